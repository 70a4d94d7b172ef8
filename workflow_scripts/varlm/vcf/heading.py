"""The header and the first records of a VCF or BCF, for checks that must not read it whole."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from varlm.errors import UserError, first_few
from varlm.files import text
from varlm.vcf.header import columns_of
from varlm.vcf.lines import open_vcf

_EXPECTED = "expected a VCF or BCF file"
_BCF = b"BCF\2"
_PREFIX = 9  # bytes of a BCF before its header's text: magic, version, length (section 6.2)


class WithHeader(Protocol):
    """A file of variants whose header lines are known, without line ends; the last is #CHROM's."""

    @property
    def path(self) -> Path:
        """The file, for messages."""

    @property
    def header_lines(self) -> list[bytes]:
        """As in the file."""


@dataclass(frozen=True)
class Heading:
    """The beginning of a file.

    Attributes
    ----------
    path : Path
    header_lines : list of bytes
        The lines that start with '#', without line ends.
    first_records : list of bytes
        Some lines after them; none of a BCF.
    first_line : int
        1-based line of the first of them.
    """

    path: Path
    header_lines: list[bytes]
    first_records: list[bytes]
    first_line: int = 1


def read_heading(path: Path, records: int = 0) -> Heading:
    """Return the header, with all samples, and up to so many records; a few MB are read.

    Raises
    ------
    UserError
        If the file cannot be read, is another format, or its header is malformed.
    """
    first = next(text.content(path, _EXPECTED), b"")
    if first.startswith(_BCF):
        return Heading(path, _bcf_header(path), [])
    source = open_vcf(path)
    chunk = next(source.chunks(1), None) if records else None
    if chunk is None:
        return Heading(path, source.header_lines, [])
    lines = [chunk.line(index) for index in range(min(records, chunk.records))]
    return Heading(path, source.header_lines, lines, chunk.first_line)


def _bcf_header(path: Path) -> list[bytes]:
    """Return the lines of a BCF's header: its text is stored as it is, a NUL behind it."""
    start = b""
    for piece in text.content(path, _EXPECTED):
        start += piece
        if len(start) >= _PREFIX:
            (length,) = struct.unpack_from("<I", start, _PREFIX - 4)
            if len(start) >= _PREFIX + length:
                header = start[_PREFIX : _PREFIX + length].rstrip(b"\0")
                lines = [line.removesuffix(b"\r") for line in header.splitlines()]
                columns_of(lines, b"", path)
                return lines
    raise UserError(f"{path}: truncated inside the header; copy or make the file again")


def check_samples(files: Sequence[WithHeader]) -> None:
    """Raise `UserError` unless the files of a cohort have the same samples in the same order."""
    for file in islice(files, 1, None):
        names, first_names = file.header_lines[-1], files[0].header_lines[-1]
        if names != first_names:
            raise UserError(
                f"{file.path}: its samples are not those of {files[0].path}: "
                f"{_difference(names, first_names)}; the files of one cohort must "
                "have the same samples in the same order: make them cohorts of their own, or "
                "reorder them with 'bcftools view -s'"
            )


def _difference(own_line: bytes, first_line: bytes) -> str:
    """Say how the sample names of a #CHROM line differ from those of the first file's."""
    # As dictionaries, for their order: cohorts have thousands of samples.
    own, first = (
        dict.fromkeys(line.decode("utf-8", "replace").split("\t")[9:])
        for line in (own_line, first_line)
    )
    extra = first_few([name for name in own if name not in first], 3)
    missing = first_few([name for name in first if name not in own], 3)
    if extra or missing:
        return f"only here {extra or 'none'}; only there {missing or 'none'}"
    return "the same names in another order"
