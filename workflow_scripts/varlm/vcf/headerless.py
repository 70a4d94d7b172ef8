"""Lines of a VCF without its header: told by their first record, made whole with dots.

Example files of SpliceAI, GPN and VEP, and tables written by hand, are such: CHROM, POS, ID, REF
and ALT, perhaps more, separated by tabs or blanks, without `#CHROM`, or with one of five columns.
They are read as a VCF without samples.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from varlm.errors import UserError
from varlm.vcf.header import FIXED, shown

log = logging.getLogger(__name__)

NAMES = b"\t".join(FIXED)
_LEAST = 5  # columns: CHROM, POS, ID, REF, ALT
_REF = re.compile(rb"[ACGTUNRYSWKMBDHV]+|\.", re.IGNORECASE)  # VEP's structural variants: '.'
_ALT = re.compile(rb"[ACGTUNRYSWKMBDHV*.,]+|.*[<\[\]].*", re.IGNORECASE)


@dataclass(frozen=True)
class Headerless:
    """How the records of such a file become those of a VCF.

    Attributes
    ----------
    separator : bytes or None
        Between columns; None: blanks.
    """

    separator: bytes | None

    def records(self, lines: bytes, where: Callable[[int], str]) -> bytes:
        """Return whole lines as records of eight columns.

        Blank lines and those that start with '#' stay, for who checks all lines.

        Parameters
        ----------
        lines : bytes
            Each ends in a line feed.
        where : callable
            0-based line of these → how a message names it.

        Raises
        ------
        UserError
            Naming the line: it has fewer than five columns.
        """
        records = []
        for number, ended in enumerate(lines.removesuffix(b"\n").split(b"\n")):
            line = ended.removesuffix(b"\r")
            if not line.strip() or line.startswith(b"#"):
                records.append(line)
                continue
            fields = line.split(self.separator)
            if len(fields) < _LEAST:
                raise UserError(
                    f"{where(number)}: {len(fields)} column{'s' if len(fields) > 1 else ''}, "
                    f"expected at least CHROM, POS, ID, REF and ALT (found {shown(line)}); mend or "
                    "remove the line"
                )
            fields = fields[: len(FIXED)]
            records.append(b"\t".join(fields + [b"."] * (len(FIXED) - len(fields))))
        return b"\n".join(records) + b"\n"


def headerless(lines: Sequence[bytes], first: bytes, path: Path) -> Headerless | None:
    """Return how to read a file without a whole header; None for any other file.

    Warns of a file that it tells.

    Parameters
    ----------
    lines : sequence of bytes
        The lines that start with '#'.
    first : bytes
        The line after them.
    path : Path
        For the log.
    """
    named = [line for line in lines if line.startswith(b"#CHROM")]
    if named and (len(named) > 1 or named[0] != lines[-1] or not _is_short(named[0])):
        return None
    separator = b"\t" if first.count(b"\t") >= _LEAST - 1 else None
    fields = first.split(separator)
    if not (_is_record(fields) or (named and not first.strip())):
        return None
    log.warning(
        "%s: %s; its lines are read as a VCF's without samples: CHROM, POS, ID, REF, ALT, and "
        "QUAL, FILTER and INFO where they are there%s",
        path,
        "its #CHROM line has fewer than 8 columns" if named else "has no #CHROM line",
        f"; {len(fields) - len(FIXED)} more columns are left out, since no header names them"
        if len(fields) > len(FIXED)
        else "",
    )
    return Headerless(separator)


def made_header(lines: Sequence[bytes]) -> list[bytes]:
    """Return the header of such a file: its ## lines, and the names of the eight columns."""
    return [*(line for line in lines if line.startswith(b"##")), NAMES]


def _is_short(line: bytes) -> bool:
    """Return whether a #CHROM line names the first columns of a VCF, five to seven."""
    names = tuple(line.split(b"\t"))
    return _LEAST <= len(names) < len(FIXED) and names == FIXED[: len(names)]


def _is_record(fields: Sequence[bytes]) -> bool:
    """Return whether these may be a record's first columns: POS is a number, REF and ALT bases."""
    return (
        len(fields) >= _LEAST
        and fields[1].isdigit()
        and _REF.fullmatch(fields[3]) is not None
        and _ALT.fullmatch(fields[4]) is not None
    )
