"""The header of a VCF: its check, and its structured lines."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from varlm.errors import UserError

log = logging.getLogger(__name__)

FIXED = (b"#CHROM", b"POS", b"ID", b"REF", b"ALT", b"QUAL", b"FILTER", b"INFO")


def columns_of(lines: Sequence[bytes], behind: bytes, path: Path) -> int:
    """Return the number of columns of the #CHROM line, or say what is wrong with the header.

    Parameters
    ----------
    lines : sequence of bytes
        The lines that start with '#', without line ends.
    behind : bytes
        The line after them.
    path : Path
        For messages.

    Raises
    ------
    UserError
        Naming the line: none is #CHROM's, or it is not the last, or is malformed.
    """
    named = [index for index, line in enumerate(lines) if line.startswith(b"#CHROM")]
    if not named:
        offending = behind or (lines[-1] if lines else b"")
        raise UserError(
            f"{path}, line {len(lines) + 1}: no '#CHROM' header line before the first record "
            f"(found {shown(offending)}); expected a VCF: ## lines, then #CHROM with "
            "tab-separated column names, then records"
        )
    if named[0] + 1 < len(lines):
        raise joined_files(f"{path}, line {named[0] + 2}", lines[named[0] + 1])
    for number, line in enumerate(lines[:-1], 1):
        if not line.startswith(b"##"):
            raise UserError(
                f"{path}, line {number}: {shown(line)} is no header line; expected '##…' before "
                "the '#CHROM' line"
            )
    if not lines[0].startswith(b"##fileformat=VCF"):
        log.warning(
            "%s: the first line is not ##fileformat=VCFv4.x; read as VCF 4 all the same", path
        )
    return _check_names(lines[-1], f"{path}, line {len(lines)}")


def _check_names(line: bytes, where: str) -> int:
    """Check the #CHROM line and return its number of columns."""
    names = line.split(b"\t")
    if tuple(names[:8]) != FIXED:
        remedy = (
            "columns must be separated by tabs, not blanks"
            if len(names) < 8 and len(line.split()) >= 8
            else "expected " + " ".join(name.decode() for name in FIXED)
        )
        raise UserError(f"{where}: malformed header line {shown(line)}: {remedy}")
    if len(names) > 8 and names[8] != b"FORMAT":
        raise UserError(
            f"{where}: column 9 is {shown(names[8])}; expected FORMAT before the samples"
        )
    return len(names)


def joined_files(where: str, line: bytes) -> UserError:
    """Return the error about a header line behind the #CHROM line."""
    return UserError(
        f"{where}: a header line {shown(line)} after the #CHROM line; were files joined "
        "with cat? Give each file by itself, or join them with 'bcftools concat'"
    )


def shown(text: bytes) -> str:
    """Return the first bytes of a line for a message, without control characters."""
    return repr(text[:60].decode("utf-8", "replace")) + ("…" if len(text) > 60 else "")


def structured(text: str) -> dict[str, str]:
    """Return the key=value pairs of a structured header line after its '<', quoted or not."""
    fields: dict[str, str] = {}
    key, value, quoted, in_value = "", "", False, False
    for letter in text:
        if letter == '"':
            quoted = not quoted
        elif quoted:
            value += letter
        elif letter in ",>":
            if in_value:
                fields.setdefault(key.strip(), value)
            key, value, in_value = "", "", False
            if letter == ">":
                break
        elif letter == "=" and not in_value:
            in_value = True
        elif in_value:
            value += letter
        else:
            key += letter
    return fields
