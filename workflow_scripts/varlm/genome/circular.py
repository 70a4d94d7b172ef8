"""Which contigs of a reference are circular, and what their scores are stored under."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from varlm.files.json_record import JsonRecord
from varlm.genome.contig_names import ContigNames
from varlm.genome.regions import whole_contigs

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


def named_circular(contigs: Sequence[str], names: ContigNames) -> dict[str, str]:
    """Return the contigs that a user calls circular, for `CircularContigs`.

    Parameters
    ----------
    contigs : sequence of str
        As the config key `reference.circular` spells them.
    names : ContigNames

    Raises
    ------
    UserError
        Naming each contig that the reference does not have, and its closest names.
    """
    matches = whole_contigs(contigs, names, "reference.circular").names.values()
    return {match.contig: "reference.circular" for match in matches if match.contig is not None}


def circular_digest(digest: str) -> str:
    """Return the name in the store of a circular contig, from the digest of its sequence.

    The scores near its ends are others than those of a linear contig of the same sequence.
    """
    return _PREFIX + digest
