"""What kind of file a table is, told by its content, and which index lies beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from varlm.files import inflate, text

Kind = Literal["parquet", "vcf", "text"]
_EXPECTED = "a table of scores must be a Parquet, VCF, BCF or tab-separated text file"
_INDEXES = (".tbi", ".csi")


def kind_of(path: Path) -> Kind:
    """Return what a table is.

    Raises
    ------
    UserError
        If it cannot be read, or is none of these.
    """
    head = text.head(path, _EXPECTED)
    if head[:4] == b"PAR1":
        return "parquet"
    # Read on as text, which refuses what is no text, and holds what was inflated to the same.
    first = next(text.content(path, _EXPECTED), b"")
    if first[:4] in (b"BCF\2", b"BCF\4") or first.startswith(b"##fileformat=VCF"):
        return "vcf"
    return "text"


def index_of(path: Path) -> Path | None:
    """Return the index beside a bgzip file; None: it has none, or is not compressed by bgzip."""
    if not inflate.is_bgzf(text.head(path, _EXPECTED)):
        return None
    beside = (path.with_name(path.name + suffix) for suffix in _INDEXES)
    return next((index for index in beside if index.is_file()), None)
