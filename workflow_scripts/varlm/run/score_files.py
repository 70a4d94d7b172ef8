"""The files of a table of published scores: of a pattern by contig each, and their indexes."""

from __future__ import annotations

import glob
from pathlib import Path

from varlm.run.config_keys import is_address
from varlm.run.score_tables import CONTIG

INDEXES = (".tbi", ".csi")
_COMPRESSED = (".gz", ".bgz", ".bcf")


def table_files(path: str) -> list[str]:
    """Return the files of a table as rules take them: each with its index behind it.

    Parameters
    ----------
    path : str
        As the config says it. Of an address the index is a .tbi.
    """
    return [file for data in _data_files(path) for file in (data, *_index(data))]


def _data_files(path: str) -> list[str]:
    """Return the files with the scores: those of a pattern that are there, sorted."""
    if CONTIG not in path:
        return [path]
    pattern = "*".join(map(glob.escape, path.split(CONTIG)))
    return sorted(glob.glob(pattern))  # noqa: PTH207 (a Path would lose ./ and say so nowhere)


def _index(path: str) -> list[str]:
    if is_address(path):
        is_indexed = path.partition("?")[0].endswith(_COMPRESSED)
        return [path + INDEXES[0]] if is_indexed and "?" not in path else []
    return [path + suffix for suffix in INDEXES if Path(path + suffix).is_file()][:1]
