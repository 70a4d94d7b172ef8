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
and rename at the end (`schemas.atomic_path`).

htslib is no validator (of 607 invalid files it accepts 544, crashes on 12), so no file goes
through it but BCF, in a child process, its blocks checked and its records counted beforehand.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from varlm.errors import UserError
from varlm.files import inflate
from varlm.vcf import bcf
from varlm.vcf.header import structured

log = logging.getLogger(__name__)

Format = Literal["vcf", "vcf.gzip", "vcf.bgzip", "bcf"]

# Bytes of text in a chunk, give or take a line: with many samples, few bytes are looked at.
CHUNK = 8 << 20
WIDE_CHUNK = 32 << 20
WIDE = 200  # columns
MAX_LINE = 1 << 28  # a longer line is no record: a zip bomb of 1.4 MB grows to gigabytes
LONG_LINES = 1000  # mean bytes a line from which a loop over lines beats a scan of each byte
FIXED = (b"#CHROM", b"POS", b"ID", b"REF", b"ALT", b"QUAL", b"FILTER", b"INFO")

_OTHER_FORMATS = {
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x1f\x9d": "compress (.Z)",
    b"CRAM": "CRAM",
    b"BAM\1": "BAM",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


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
        The lines that start with '#', without line ends; the last is the #CHROM line.
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
        self.columns = self._check_header()
        self._lines = len(self.header_lines)

    @cached_property
    def contig_lengths(self) -> dict[str, int | None]:
        """Contigs that the header declares, with their length in bp, None where not given."""
        found: dict[str, int | None] = {}
        for line in self.header_lines:
            if line.startswith(b"##contig=<"):
                fields = structured(line[len(b"##contig=<") :].decode("utf-8", "replace"))
                length = fields.get("length", "")
                if "ID" in fields:
                    usable = length.isascii() and length.isdigit()
                    found.setdefault(fields["ID"], int(length) if usable else None)
        return found

    def where(self, record: int) -> str:
        """Return how a message names the 0-based `record`: the file and the line."""
        if self.format == "bcf":
            return f"{self.path}, record {record + 1}"
        return f"{self.path}, line {len(self.header_lines) + record + 1}"

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
            chunk = self._checked(data, record)
            record += chunk.records
            self._lines += chunk.records
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
        try:
            with self.path.open("rb") as file:
                head = file.read(1 << 16)
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be read ({error.strerror}); expected a VCF or BCF file"
            ) from error
        if not head:
            raise UserError(f"{self.path}: the file is empty (0 bytes); expected a VCF or BCF file")
        compression: Format = "vcf"
        inner = head
        if inflate.is_gzip(head):
            compression = "vcf.bgzip" if inflate.is_bgzf(head) else "vcf.gzip"
            inner = next(filter(None, self._raw_pieces(hashing=False)), b"")
        if inner[:3] == b"BCF":
            if inner[3:4] != b"\2":
                raise UserError(
                    f"{self.path}: BCF of a version other than 2; convert it with a bcftools of "
                    "its time"
                )
            self._bcf_records = bcf.count_records(self._raw_pieces(hashing=True), self.path)
            return "bcf", bcf.text(self.path, self._genotypes)
        for magic, name in _OTHER_FORMATS.items():
            if inner.startswith(magic):
                raise UserError(
                    f"{self.path}: found {name}; expected VCF (plain, gzip or bgzip) or BCF: "
                    "convert the file"
                )
        return compression, self._raw_pieces(hashing=True)

    def _raw_pieces(self, hashing: bool) -> Iterator[bytes]:
        """Yield the decompressed content; the digest takes the file's own bytes."""
        update = self._digest.update if hashing else lambda _: None
        with self.path.open("rb") as file:
            head = file.read(18)
            file.seek(0)
            if inflate.is_gzip(head):
                yield from inflate.inflate(file, self.path, update)
                return
            while piece := file.read(1 << 20):
                update(piece)
                yield piece

    # -- the header --------------------------------------------------------------------------

    def _read_header(self) -> list[bytes]:
        lines: list[bytes] = []
        buffer = bytearray()
        for piece in self._pieces:
            if not buffer and not lines and piece.startswith(b"\xef\xbb\xbf"):
                piece = piece[3:]  # a byte-order mark from an editor
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
            self._check_length(len(buffer), len(lines))
        if buffer[:1] == b"#":  # the file ends with the header, without a line feed
            lines.append(bytes(buffer).removesuffix(b"\r"))
            buffer.clear()
        self._rest = bytes(buffer)
        return lines

    def _check_header(self) -> int:
        """Return the number of columns of the #CHROM line, or say what is wrong with the header."""
        lines = self.header_lines
        named = [index for index, text in enumerate(lines) if text.startswith(b"#CHROM")]
        if named and named[0] + 1 < len(lines):
            self._complain(lines[named[0] + 1], named[0] + 1 - len(lines), 0)
        if not named:
            line = len(lines) + 1
            found = self._rest.split(b"\n", 1)[0] or (lines[-1] if lines else b"")
            raise UserError(
                f"{self.path}, line {line}: no '#CHROM' header line before the first record "
                f"(found {_shown(found)}); expected a VCF: ## lines, then #CHROM with "
                "tab-separated column names, then records"
            )
        line = len(lines)
        for index, text in enumerate(lines[:-1]):
            if not text.startswith(b"##"):
                raise UserError(
                    f"{self.path}, line {index + 1}: {_shown(text)} is no header line; expected "
                    "'##…' before the '#CHROM' line"
                )
        if not lines[0].startswith(b"##fileformat=VCF"):
            log.warning(
                "%s: the first line is not ##fileformat=VCFv4.x; read as VCF 4 all the same",
                self.path,
            )
        names = lines[-1].split(b"\t")
        if tuple(names[:8]) != FIXED:
            remedy = (
                "columns must be separated by tabs, not blanks"
                if len(names) < 8 and len(lines[-1].split()) >= 8
                else "expected " + " ".join(name.decode() for name in FIXED)
            )
            raise UserError(
                f"{self.path}, line {line}: malformed header line {_shown(lines[-1])}: {remedy}"
            )
        if len(names) > 8 and names[8] != b"FORMAT":
            raise UserError(
                f"{self.path}, line {line}: column 9 is {_shown(names[8])}; expected FORMAT "
                "before the samples"
            )
        return len(names)

    # -- the lines ---------------------------------------------------------------------------

    def _check_length(self, pending: int, lines: int) -> None:
        if pending > MAX_LINE:
            raise UserError(
                f"{self.path}, line {lines + 1}: longer than {MAX_LINE} bytes, the longest line "
                "that is read; is this a VCF? Split the record, or drop its long field"
            )

    def _whole_lines(self, size: int) -> Iterator[bytes]:
        """Join the pieces into buffers of whole lines, of about `size` bytes."""
        parts, total, feed = [self._rest], len(self._rest), b"\n" in self._rest
        self._rest = b""
        for piece in self._pieces:
            parts.append(piece)
            total += len(piece)
            feed = feed or b"\n" in piece
            if not feed:
                self._check_length(total, self._lines)
            elif total >= size:
                whole = b"".join(parts)
                cut = _last_record_end(whole[: whole.rfind(b"\n") + 1])
                parts, total, feed = [whole[cut:]], len(whole) - cut, False
                if cut:
                    yield whole[:cut]
        whole = b"".join(parts)
        del parts
        if whole and not whole.endswith(b"\n"):
            log.warning(
                "%s: the last line does not end in a line feed; it is read as it is, but make "
                "sure that the file was not cut there",
                self.path,
            )
            whole += b"\n"
        # Blank lines are tolerated after the last record only, where editors leave them.
        whole = whole[: _last_record_end(whole)]
        if whole:
            yield whole

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
        chunk = Chunk(data, starts, ends, first_record, len(self.header_lines) + first_record + 1)
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
            raise UserError(
                f"{where}: a header line {_shown(line)} after the #CHROM line; were files joined "
                "with cat? Give each file by itself, or join them with 'bcftools concat'"
            )
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
            + f" (found {_shown(line)})"
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


def _shown(text: bytes) -> str:
    """Return the first bytes of a line for a message, without control characters."""
    return repr(text[:60].decode("utf-8", "replace")) + ("…" if len(text) > 60 else "")
