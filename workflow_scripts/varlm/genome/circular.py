"""Which contigs of a reference are circular, and what their scores are stored under."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from varlm.files.json_record import JsonRecord

FILE = "circular.json"  # in the reference folder
_PREFIX = "circular."


@dataclass(frozen=True, kw_only=True)
class CircularContigs(JsonRecord):
    """The file `circular.json` of a reference folder.

    Attributes
    ----------
    contigs : dict of str
        Circular contig of the reference → what calls it so, in words.
    """

    MADE_BY = "find_circular"

    contigs: dict[str, str]

    @classmethod
    def of_folder(cls, folder: Path) -> CircularContigs:
        """Return what a reference folder says; none are circular in one of before `find_circular`.

        Raises
        ------
        UserError
            If the file is there and not readable.
        """
        path = folder / FILE
        return cls.read(path) if path.exists() else cls(contigs={})


def circular_digest(digest: str) -> str:
    """Return the name in the store of a circular contig, from the digest of its sequence.

    The scores near its ends are others than those of a linear contig of the same sequence.
    """
    return _PREFIX + digest
