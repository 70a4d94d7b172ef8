"""A few rejected alleles of each reason, without reading all of them into memory."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from varlm.errors import UserError
from varlm.tables.schemas import REJECTED
from varlm.variants.rejected import read_rejected

_REASON = REJECTED.names.index("reason")


def read_examples(path: Path, by_reason: Mapping[str, int], count: int) -> pl.DataFrame:
    """Return the first `count` rows of each reason of a `rejected.tsv.gz` (`schemas.REJECTED`).

    Reading stops as soon as every reason has its rows: a cohort may have millions of them.

    Parameters
    ----------
    by_reason : mapping
        Reason → number of rows, from the accounting.

    Raises
    ------
    UserError
        If the file is cut, or has fewer rows of a reason than the accounting counts.
    """
    lacking = {reason: min(count, there) for reason, there in by_reason.items()}
    chosen = []
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
            header = next(lines, "")
            for line in lines:
                if not any(lacking.values()):
                    break
                reason = line.split("\t", _REASON + 1)[_REASON]
                if lacking.get(reason):
                    lacking[reason] -= 1
                    chosen.append(line)
    except (EOFError, gzip.BadGzipFile, IndexError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); delete it and run the workflow again"
        ) from error
    short = [reason for reason, number in lacking.items() if number]
    if short:
        raise UserError(
            f"{path}: has fewer rows of the reason {short[0]!r} than the accounting counts "
            f"({by_reason[short[0]]}); delete the cohort's folder and run the workflow again"
        )
    # The few rows pass through a file of their own, so that one function undoes the escapes.
    with tempfile.TemporaryDirectory() as folder:
        few = Path(folder) / "rejected.tsv.gz"
        few.write_bytes(gzip.compress("".join([header, *chosen]).encode("utf-8"), 1))
        return read_rejected(few)
