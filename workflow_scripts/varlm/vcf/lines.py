r"""Read any VCF or BCF file as guarded chunks of whole text lines, whatever its suffix or index.

>>> source = open_vcf(Path("cohort.vcf.gz"))       # VCF, gzip, bgzip or BCF: told by magic bytes
>>> source.header_lines                             # list[bytes], without line ends; last: #CHROM
>>> for chunk in source.chunks():                   # whole lines, checked
...     chunk.data                                  # bytes; every line ends in b"\n"
...     chunk.starts, chunk.ends                    # offsets of each line, without its b"\n"
...     chunk.first_record                          # 0-based index of the first line's record
>>> source.records, source.sha256                   # known once `chunks` is exhausted

What the reader of the chunks may rely on: the compression is whole (each CRC, each length, the
end marker of bgzip), every line has as many columns as the #CHROM line, none is blank or starts
with '#', none holds a NUL. Anything else raises one `UserError` that names the file and the line.
Nothing is decoded: the bytes are the file's own (for BCF, those of `bcftools view`), a carriage
return before the line feed included. Errors appear while iterating, so write to a temporary name
and rename at the end (`varlm.files.whole.atomic_path`).

htslib is no validator (of 607 invalid files it accepts 544, crashes on 12), so no file goes
through it but BCF, in a child process, its blocks checked and its records counted beforehand.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np

from varlm.errors import UserError
from varlm.files import inflate, text
from varlm.vcf import bcf
from varlm.vcf.header import FIXED, columns_of, joined_files, shown, structured
from varlm.vcf.headerless import headerless, made_header

log = logging.getLogger(__name__)

Format = Literal["vcf", "vcf.gzip", "vcf.bgzip", "bcf"]

# Bytes of text in a chunk, give or take a line: with many samples, few bytes are looked at.
CHUNK = 8 << 20
WIDE_CHUNK = 32 << 20
WIDE = 200  # columns
MAX_LINE = 1 << 28  # bytes; a longer line is no record
LONG_LINES = 1000  # mean bytes a line from which a loop over lines beats a scan of each byte

_LONG = "is this a VCF? Split the record, or drop its long field"
_EXPECTED = "expected a VCF or BCF file"


@dataclass(frozen=True)
class Chunk:
    """Whole lines of a VCF: record `first_record + i` is `data[starts[i]:ends[i]]`.

    Attributes
    ----------
    data : bytes
        The lines; each ends in a line feed.
    starts, ends : numpy.ndarray
        int64, shape (records,): offsets of each line's first byte and of its line feed.
    first_record : int
        0-based index in the file of the first line's record.
    first_line : int
        1-based line number in the (decompressed) file of the first line.
    """

    data: bytes
    starts: np.ndarray
    ends: np.ndarray
    first_record: int
    first_line: int

    @property
    def records(self) -> int:
        """How many records the chunk holds."""
        return len(self.starts)

    def line(self, index: int) -> bytes:
        """Return the line of the chunk's record `index` (0-based), without its line feed."""
        return self.data[self.starts[index] : self.ends[index]]


class VcfSource:
    """One VCF or BCF file; see the module's docstring.

    Attributes
    ----------
    path : Path
    format : str
        `vcf`, `vcf.gzip`, `vcf.bgzip` or `bcf`: what the file is, whatever its suffix.
    header_lines : list of bytes
        The lines that start with '#', without line ends; the last is the #CHROM line, which is
        made where the file has none (`varlm.vcf.headerless`).
    columns : int
        Number of columns of the #CHROM line: 8, or 9 and more with FORMAT and samples.
    records : int or None
        Number of records; None before `chunks` is exhausted.
    sha256 : str or None
        Digest of the file as it lies on disk; None before `chunks` is exhausted.
    """

    def __init__(self, path: Path, genotypes: bool):
        self.path = path
        self.records: int | None = None
        self.sha256: str | None = None
        self._genotypes = genotypes
        self._digest = hashlib.sha256()
        self.format, self._pieces = self._open()
        self._rest = b""
        self.header_lines = self._read_header()
        self._lines_before = len(self.header_lines)
        first_record = self._first_record()
        self._headerless = headerless(self.header_lines, first_record, path)
        if self._headerless is None:
            self.columns = columns_of(self.header_lines, first_record, path)
        else:
            self.header_lines = made_header(self.header_lines)
            self.columns = len(FIXED)

    @cached_property
    def contig_lengths(self) -> dict[str, int | None]:
        """Contigs that the header declares, with their length in bp, None where not given."""
        lengths: dict[str, int | None] = {}
        for line in self.header_lines:
            if line.startswith(b"##contig=<"):
                fields = structured(line[len(b"##contig=<") :].decode("utf-8", "replace"))
                length = fields.get("length", "")
                if "ID" in fields:
                    usable = length.isascii() and length.isdigit()
                    lengths.setdefault(fields["ID"], int(length) if usable else None)
        return lengths

    def where(self, record: int) -> str:
        """Return how a message names the 0-based `record`: the file and the line."""
        if self.format == "bcf":
            return f"{self.path}, record {record + 1}"
        return f"{self.path}, line {self._lines_before + record + 1}"

    def _where_after(self, records: int, index: int) -> str:
        return self.where(records + index)

    def chunks(self, size: int | None = None) -> Iterator[Chunk]:
        """Yield the records as chunks of about `size` bytes of whole lines. Runs once.

        Raises
        ------
        UserError
            If the file is truncated or damaged, or a line is malformed; it names the line.
        """
        record = 0
        default = WIDE_CHUNK if self.columns >= WIDE else CHUNK
        for data in self._whole_lines(size or default):
            if self._headerless is not None:
                data = self._headerless.records(data, partial(self._where_after, record))
            chunk = self._checked(data, record)
            record += chunk.records
            yield chunk
        if self.format == "bcf" and record != self._bcf_records:
            raise UserError(
                f"{self.path}: bcftools returned {record} of {self._bcf_records} records; "
                "the file is damaged: make it again with 'bcftools view -Ob'"
            )
        self.records, self.sha256 = record, self._digest.hexdigest()

    # -- the file ----------------------------------------------------------------------------

    def _open(self) -> tuple[Format, Iterator[bytes]]:
        """Tell the format by the magic bytes and return the text as an iterator of pieces."""
        head = text.head(self.path, _EXPECTED)
        if not head:
            raise UserError(f"{self.path}: the file is empty (0 bytes); {_EXPECTED}")
        compression: Format = "vcf"
        if inflate.is_gzip(head):
            compression = "vcf.bgzip" if inflate.is_bgzf(head) else "vcf.gzip"
        pieces = text.content(self.path, _EXPECTED, self._digest.update)
        first = next(pieces, b"")
        if not first:
            raise UserError(f"{self.path}: holds nothing once decompressed; {_EXPECTED}")
        pieces = chain([first], pieces)
        if first[:3] != b"BCF":
            return compression, pieces
        if first[3:4] != b"\2":
            raise UserError(
                f"{self.path}: BCF of a version other than 2; convert it with a bcftools of its "
                "time"
            )
        self._bcf_records = bcf.count_records(pieces, self.path)
        return "bcf", bcf.text(self.path, self._genotypes)

    # -- the header --------------------------------------------------------------------------

    def _read_header(self) -> list[bytes]:
        lines: list[bytes] = []
        buffer = bytearray()
        for piece in self._pieces:
            searched = len(buffer)
            buffer += piece
            at = 0
            while (
                at < len(buffer)
                and buffer[at] == 35
                and (end := buffer.find(b"\n", max(at, searched))) >= 0
            ):
                lines.append(bytes(buffer[at:end]).removesuffix(b"\r"))
                at = end + 1
            del buffer[:at]
            if buffer and buffer[0] != 35:
                break
            if len(buffer) > MAX_LINE:
                raise UserError(
                    f"{self.path}, line {len(lines) + 1}: longer than {MAX_LINE} bytes; {_LONG}"
                )
        if buffer[:1] == b"#":  # the file ends with the header, without a line feed
            lines.append(bytes(buffer).removesuffix(b"\r"))
            buffer.clear()
        self._rest = bytes(buffer)
        return lines

    def _first_record(self) -> bytes:
        """Return the line after the header; reads on where a piece ends inside it."""
        while b"\n" not in self._rest and len(self._rest) <= MAX_LINE:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._rest += piece
        return self._rest.split(b"\n", 1)[0].removesuffix(b"\r")

    # -- the lines ---------------------------------------------------------------------------

    def _whole_lines(self, size: int) -> Iterator[bytes]:
        """Join the pieces into buffers of whole lines, of about `size` bytes."""
        pieces = chain([self._rest], self._pieces)
        self._rest = blank = b""
        for block, line in text.whole_lines(
            pieces, self.path, size, MAX_LINE, _LONG, self._lines_before + 1
        ):
            if not block.endswith(b"\n"):
                log.warning(
                    "%s: the last line does not end in a line feed; it is read as it is, but make "
                    "sure that the file was not cut there",
                    self.path,
                )
                block += b"\n"
            # Blank lines are tolerated after the last record only, where editors leave them.
            records = blank + block
            end = _last_record_end(records)
            blank = records[end:]
            if end:
                yield records[:end]
            elif len(blank) > MAX_LINE:
                raise UserError(f"{self.path}, line {line}: blank lines without end; remove them")

    def _checked(self, data: bytes, first_record: int) -> Chunk:
        """Find the lines of `data` and check each; cost: one pass over the bytes."""
        array = np.frombuffer(data, np.uint8)
        sample = data.count(b"\n", 0, 1 << 16)
        if sample * LONG_LINES < min(len(data), 1 << 16):
            starts, ends, tabs = _long_lines(data, array)
        else:
            ends = np.flatnonzero(array == 10)
            starts = np.concatenate(([0], ends[:-1] + 1))
            tabs = np.add.reduceat((array == 9).view(np.uint8), starts, dtype=np.int32)
        chunk = Chunk(data, starts, ends, first_record, self._lines_before + first_record + 1)
        wrong = (tabs != self.columns - 1) | (array[starts] == 35)
        if b"\0" in data:
            wrong[np.searchsorted(ends, data.index(b"\0"))] = True
        if wrong.any():
            index = int(wrong.argmax())
            self._complain(chunk.line(index), first_record + index, int(tabs[index]) + 1)
        return chunk

    def _complain(self, line: bytes, record: int, columns: int) -> None:
        where = self.where(record)
        if not line.strip():
            raise UserError(f"{where}: blank line; expected a record: remove the line")
        if line.startswith(b"#"):
            raise joined_files(where, line)
        if b"\0" in line:
            raise UserError(
                f"{where}: a NUL byte in column {line[: line.index(0)].count(9) + 1}; the file is "
                "damaged: make or copy it again"
            )
        blanks = columns == 1 and len(line.split()) >= 5
        raise UserError(
            f"{where}: {columns} column{'s' if columns > 1 else ''}, but the #CHROM line has "
            f"{self.columns}; "
            + (
                "columns must be separated by tabs, not blanks"
                if blanks
                else "the record is cut or malformed: mend or remove it"
            )
            + f" (found {shown(line)})"
        )


def open_vcf(path: Path, genotypes: bool = True) -> VcfSource:
    """Open a VCF or BCF file: read its header, be ready to yield its records.

    Parameters
    ----------
    path : Path
        VCF, gzipped or bgzipped VCF, or BCF; told by its content. Indexes beside it are ignored.
    genotypes : bool
        Whether FORMAT and samples are wanted; False saves time for BCF and changes no other file.

    Raises
    ------
    UserError
        If the file cannot be read, is empty or another format, or its header is malformed.
    """
    return VcfSource(path, genotypes)


def _last_record_end(lines: bytes) -> int:
    """Return the offset after the last line that is not blank, in whole lines."""
    text = len(lines.rstrip(b"\r\n"))
    return lines.index(b"\n", text) + 1 if text else 0


def _long_lines(data: bytes, array: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return starts, ends and numbers of tabs of long lines, by memchr and one pass a line."""
    starts, ends, tabs = [], [], []
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        starts.append(at)
        ends.append(end)
        tabs.append(np.count_nonzero(array[at:end] == 9))
        at = end + 1
    return np.array(starts, np.int64), np.array(ends, np.int64), np.array(tabs, np.int64)
