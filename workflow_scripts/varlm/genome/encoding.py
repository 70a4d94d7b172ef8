"""FASTA → encoded genome: one line a contig, upper case, with its refget digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from varlm.errors import UserError
from varlm.files.text import LONGEST, content
from varlm.files.whole import atomic_path
from varlm.genome.bases import IS_ACGT, IUPAC
from varlm.genome.reference import Contig, refget_digest
from varlm.tables.parquet import write_table
from varlm.tables.schemas import CONTIGS

_BLANKS = b"\r\n \t"
_UPPER = bytes.maketrans(b"abcdefghijklmnopqrstuvwxyzUu", b"ABCDEFGHIJKLMNOPQRSTTVWXYZTT")
_LOWER = bytes(int(chr(byte).islower()) if byte < 128 else 0 for byte in range(256))


@dataclass(frozen=True)
class IndexedReference:
    """What `index_reference` made: the contigs (`CONTIGS`) and the names left out as empty."""

    contigs: pl.DataFrame
    empty: list[str]


def index_reference(
    fasta: Path,
    folder: Path,
    soft_masked: BinaryIO | None = None,
    key: str = "reference.fasta",
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
    key : str
        The config key that named the file, for messages.

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
        for chunk in content(fasta, f"{key} must name a FASTA file"):
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
                    self._check_header_length()
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
            what = "no sequence found" if self.line > 1 else "the file is empty"
            raise UserError(
                f"{self.source}: {what}; expected a FASTA file: '>name' lines, "
                "each followed by lines of nucleotides"
            )
        self.out.flush()
        return self.contigs

    def _check_header_length(self) -> None:
        assert self.header is not None
        if len(self.header) > LONGEST:
            raise UserError(
                f"{self.source}, line {self.line}: a '>' header longer than {LONGEST} bytes; "
                "expected a contig's name (is this a FASTA file?)"
            )

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
            if bases.translate(None, IUPAC):
                self._complain(text)
            if self.length == 0:
                self._write(b">" + self.name.encode() + b"\n")
            self._write(bases)
            if self.soft_masked is not None:
                self.soft_masked.write(text.translate(_LOWER, _BLANKS))
            self.sha.update(bases)
            self.length += len(bases)
            self.acgt += int(IS_ACGT[np.frombuffer(bases, np.uint8)].sum())
            if self.length >= 2**32 - 1:
                raise UserError(
                    f"{self.source}: contig {self.name!r} is longer than 4,294,967,294 bp, "
                    "which positions of 32 bits cannot hold; split it"
                )
        self.line += text.count(b"\n")

    def _complain(self, text: bytes) -> None:
        rest = text.translate(None, IUPAC + IUPAC.lower() + b"Uu" + _BLANKS)
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
