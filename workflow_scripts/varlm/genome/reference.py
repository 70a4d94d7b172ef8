"""The reference: any FASTA → one encoded genome that every later step maps into memory.

The encoded genome is itself a FASTA, `genome.fa`: one line a contig, upper case, one ASCII byte
a base, with its own `.fai`. Base `start` (0-based) of a contig is the byte at
`offset + start`; nothing is copied to read a window, and `bcftools` reads the same file.
A FASTA's own `.fai` and `.gzi` are never used: a stale one returns wrong bases without an error.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from varlm.errors import UserError
from varlm.files import inflate
from varlm.tables.schemas import CONTIGS, atomic_path, read_table, write_table

CHUNK = 8 << 20  # bytes of text at a time: memory stays bounded for any genome

_IUPAC = b"ACGTNRYSWKMBDHV"
_BLANKS = b"\r\n \t"
_UPPER = bytes.maketrans(b"abcdefghijklmnopqrstuvwxyzUu", b"ABCDEFGHIJKLMNOPQRSTTVWXYZTT")
_LOWER = bytes(int(chr(byte).islower()) if byte < 128 else 0 for byte in range(256))
_ACGT = np.zeros(256, dtype=bool)
_ACGT[list(b"ACGT")] = True

BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # what some editors put before the first character
_OTHER_COMPRESSION = (b"BZh9", b"\xfd7zX", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"CRAM")


@dataclass(frozen=True)
class Contig:
    """One contig: name, length in bp, byte offset in genome.fa, refget digest, A/C/G/T count."""

    contig: str
    length: int
    offset: int
    digest: str
    acgt: int


@dataclass(frozen=True)
class IndexedReference:
    """What `index_reference` made: the contigs (`CONTIGS`) and the names left out as empty."""

    contigs: pl.DataFrame
    empty: list[str]


class Genome:
    """The encoded genome of a `reference/` folder.

    Attributes
    ----------
    folder, fasta : Path
        The folder, and the `genome.fa` in it.
    contigs : polars.DataFrame
        `varlm.tables.schemas.CONTIGS`, in FASTA order.
    """

    def __init__(self, folder: Path, contigs: pl.DataFrame, data: np.ndarray):
        self.folder = folder
        self.fasta = folder / "genome.fa"
        self.contigs = contigs
        self._data = data
        self._verified: set[str] = set()
        self._by_name = {row["contig"]: Contig(**row) for row in contigs.iter_rows(named=True)}

    @classmethod
    def open(cls, folder: Path) -> Genome:
        """Map the genome that `index_reference` wrote into `folder`.

        Raises
        ------
        UserError
            If a file is missing, or `genome.fa` is not as long as `contigs.parquet` says.
        """
        fasta, table = folder / "genome.fa", folder / "contigs.parquet"
        for path in (fasta, table):
            if not path.exists():
                raise UserError(f"{path}: not found; run the step index_reference first")
        contigs = read_table(table, CONTIGS)
        end = contigs.select((pl.col("offset") + pl.col("length")).max()).item()
        size = fasta.stat().st_size
        if size != end + 1:  # one line feed closes the file
            raise UserError(
                f"{fasta}: {size} bytes, but contigs.parquet beside it expects {end + 1}; "
                "delete the folder and run index_reference again"
            )
        return cls(folder, contigs, np.memmap(fasta, dtype=np.uint8, mode="r"))

    @property
    def names(self) -> list[str]:
        """Contig names in FASTA order."""
        return list(self._by_name)

    @property
    def lengths(self) -> dict[str, int]:
        """Contig → length in bp, in FASTA order."""
        return dict(self.contigs.select("contig", "length").iter_rows())

    def __contains__(self, contig: str) -> bool:
        return contig in self._by_name

    def __getitem__(self, contig: str) -> Contig:
        return self._by_name[contig]

    def sequence(self, contig: str) -> np.ndarray:
        """Return the contig as a read-only view: uint8 ASCII, shape (length,), upper case.

        Raises
        ------
        UserError
            If it is not the sequence that `index_reference` wrote: scores would be stored under
            the digest of another one.
        """
        entry = self._by_name[contig]
        sequence = self._data[entry.offset : entry.offset + entry.length]
        if contig not in self._verified:
            found = refget_digest(hashlib.sha512(sequence.data))
            if found != entry.digest:
                raise UserError(
                    f"{self.fasta}: the sequence of contig {contig!r} changed since "
                    f"index_reference wrote it (digest {found}, expected {entry.digest}); delete "
                    "the folder and run the workflow again"
                )
            self._verified.add(contig)
        return sequence


def index_reference(
    fasta: Path, folder: Path, soft_masked: BinaryIO | None = None
) -> IndexedReference:
    """Encode `fasta` into `folder` and return what was found.

    Plain, gzipped and bgzipped FASTA are read as streams (so plain gzip needs no re-compression).
    Lower case becomes upper case, U becomes T, blanks, blank lines and carriage returns are
    dropped, IUPAC codes are kept (and count as N when scored). Contigs without a base are left
    out, and named in the result.

    Parameters
    ----------
    fasta, folder : Path
    soft_masked : BinaryIO, optional
        Takes one byte a base, contig after contig: 1 where the FASTA has lower case, else 0.

    Raises
    ------
    UserError
        Naming file and line: text before the first header, a header without a name, a name
        given twice, a character that is no IUPAC nucleotide code, a file without sequence,
        a truncated or damaged compressed file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / "genome.fa") as temporary, temporary.open("wb") as out:
        writer = _GenomeWriter(fasta, out, soft_masked)
        for chunk in _decompressed(fasta):
            writer.feed(chunk)
        contigs = writer.close()
    frame = pl.DataFrame([vars(contig) for contig in contigs], schema=CONTIGS.schema)
    with atomic_path(folder / "genome.fa.fai") as temporary:
        temporary.write_text(
            "".join(
                f"{c.contig}\t{c.length}\t{c.offset}\t{c.length}\t{c.length + 1}\n" for c in contigs
            )
        )
    write_table(frame, folder / "contigs.parquet", CONTIGS)
    return IndexedReference(frame, writer.empty)


def refget_digest(sha512: hashlib._Hash) -> str:
    """Return the GA4GH refget digest SQ.… (sha512t24u) of a hashed sequence."""
    return "SQ." + base64.urlsafe_b64encode(sha512.digest()[:24]).decode()


class _GenomeWriter:
    """Takes the FASTA's text in chunks of any size, writes genome.fa, collects the contigs."""

    def __init__(self, source: Path, out: BinaryIO, soft_masked: BinaryIO | None = None):
        self.source = source
        self.out = out
        self.soft_masked = soft_masked
        self.contigs: list[Contig] = []
        self.empty: list[str] = []
        self.lines: dict[str, int] = {}  # contig → line of its header
        self.line = 1  # the line that the next byte is on, 1-based
        self.offset = 0
        self.name: str | None = None
        self.header: bytes | None = None  # a header line still without its end
        self.length = self.acgt = 0
        self.sha = hashlib.sha512()
        self.at_line_start = True

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the text."""
        start = 0
        while start < len(chunk):
            if self.header is not None:
                end = chunk.find(b"\n", start)
                self.header += chunk[start : end if end >= 0 else len(chunk)]
                if end < 0:
                    return
                self._open_contig()
                start, self.at_line_start = end + 1, True
                continue
            if self.at_line_start and chunk[start : start + 1] == b">":
                self._close_contig()
                self.header = b""
                start += 1
                continue
            end = chunk.find(b"\n>", start)
            end = end + 1 if end >= 0 else len(chunk)
            self._bases(chunk[start:end])
            self.at_line_start = chunk[end - 1 : end] == b"\n"
            start = end

    def close(self) -> list[Contig]:
        """Close the last contig and return all of them."""
        if self.header is not None:
            self._open_contig()
        self._close_contig()
        if not self.contigs:
            raise UserError(
                f"{self.source}: no sequence found; expected a FASTA file: '>name' lines, "
                "each followed by lines of nucleotides"
            )
        self.out.flush()
        return self.contigs

    def _open_contig(self) -> None:
        assert self.header is not None
        words = self.header.split()
        where = f"{self.source}, line {self.line}"
        if not words:
            raise UserError(f"{where}: a '>' header without a name; give every contig a name")
        try:
            name = words[0].decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{where}: the contig name {words[0]!r} is not UTF-8 text; rename the contig"
            ) from error
        if name in self.lines:
            raise UserError(
                f"{where}: the contig name {name!r} is given twice (first on line "
                f"{self.lines[name]}); variants on it would be ambiguous: rename or remove one"
            )
        self.lines[name] = self.line
        self.name, self.header = name, None
        self.line += 1
        self.length = self.acgt = 0
        self.sha = hashlib.sha512()

    def _close_contig(self) -> None:
        if self.name is None:
            return
        if self.length == 0:
            self.empty.append(self.name)
        else:
            digest = refget_digest(self.sha)
            self.contigs.append(
                Contig(self.name, self.length, self.offset - self.length, digest, self.acgt)
            )
            self._write(b"\n")
        self.name = None

    def _bases(self, text: bytes) -> None:
        bases = text.translate(_UPPER, _BLANKS)
        if bases:
            if self.name is None:
                raise UserError(
                    f"{self.source}, line {self.line}: sequence before the first '>' header; "
                    "expected a FASTA file (is it truncated at the start, or another format?)"
                )
            if bases.translate(None, _IUPAC):
                self._complain(text)
            if self.length == 0:
                self._write(b">" + self.name.encode() + b"\n")
            self._write(bases)
            if self.soft_masked is not None:
                self.soft_masked.write(text.translate(_LOWER, _BLANKS))
            self.sha.update(bases)
            self.length += len(bases)
            self.acgt += int(_ACGT[np.frombuffer(bases, np.uint8)].sum())
            if self.length >= 2**32 - 1:
                raise UserError(
                    f"{self.source}: contig {self.name!r} is longer than 4,294,967,294 bp, "
                    "which positions of 32 bits cannot hold; split it"
                )
        self.line += text.count(b"\n")

    def _complain(self, text: bytes) -> None:
        rest = text.translate(None, _IUPAC + _IUPAC.lower() + b"Uu" + _BLANKS)
        at = text.index(rest[:1])
        line = self.line + text[:at].count(b"\n")
        raise UserError(
            f"{self.source}, line {line}: {rest[:1].decode('latin-1')!r} in the sequence of "
            f"contig {self.name!r} is no nucleotide; expected A, C, G, T, U, N or another IUPAC "
            "code (is this a protein or an alignment file?)"
        )

    def _write(self, data: bytes) -> None:
        self.out.write(data)
        self.offset += len(data)


def _decompressed(path: Path) -> Iterator[bytes]:
    """Yield the text of a plain, gzipped or bgzipped file in chunks, checking it is whole."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); reference.fasta must name a FASTA file"
        ) from error
    with file:
        head = file.read(18)
        file.seek(0)
        if not head:
            raise UserError(f"{path}: the file is empty; expected a FASTA file")
        if inflate.is_gzip(head):
            yield from inflate.inflate(file, path, lambda _: None)
            return
        if head[:4] in _OTHER_COMPRESSION:
            raise UserError(
                f"{path}: compressed in a format other than gzip; decompress it or use bgzip"
            )
        if head.startswith(BYTE_ORDER_MARK):
            file.seek(len(BYTE_ORDER_MARK))
        while chunk := file.read(CHUNK):
            yield chunk
