"""One schema per table: column names, types and meanings; every read and write checks them.

Coordinates: `pos` is 1-based, as in VCF; `start` and `end` are 0-based and half-open, as in BED.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from varlm.errors import UserError


@dataclass(frozen=True)
class Column:
    """One column: its name, Polars type and meaning (units, coordinate base, null)."""

    name: str
    dtype: pl.DataType
    meaning: str


@dataclass(frozen=True)
class Table:
    """A table: its name and its columns, in file order."""

    name: str
    columns: tuple[Column, ...]

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Column name → Polars type, in file order."""
        return {column.name: column.dtype for column in self.columns}

    @property
    def names(self) -> list[str]:
        """Column names in file order."""
        return [column.name for column in self.columns]

    def check(self, frame: pl.DataFrame, where: str | Path) -> pl.DataFrame:
        """Return `frame` unchanged, or raise `UserError` if its columns or types differ."""
        self.check_schema(frame.schema, where)
        return frame

    def check_schema(self, found: pl.Schema, where: str | Path) -> None:
        """Raise `UserError` unless `found` has exactly this table's columns, in order."""
        if list(found.items()) == list(self.schema.items()):
            return
        expected = ", ".join(f"{name}: {dtype}" for name, dtype in self.schema.items())
        got = ", ".join(f"{name}: {dtype}" for name, dtype in found.items())
        raise UserError(
            f"{where}: not a {self.name!r} table of this version of varlm: found columns "
            f"({got}), expected ({expected}); delete the file and run the workflow again"
        )


_STRING = pl.String()
_U16, _U32, _F32 = pl.UInt16(), pl.UInt32(), pl.Float32()

CONTIGS = Table(
    "contigs",
    (
        Column("contig", _STRING, "name in the reference FASTA, first word of the header"),
        Column("length", _U32, "bp"),
        Column("offset", pl.UInt64(), "byte offset of the first base in genome.fa"),
        Column("digest", _STRING, "refget SQ.… digest (sha512t24u) of the upper-cased sequence"),
        Column("acgt", _U32, "number of A, C, G, T bases; the rest are N or other IUPAC codes"),
    ),
)

VARIANTS = Table(
    "variants",
    (
        Column("chrom", _STRING, "contig as named in the cohort's VCF"),
        Column("contig", _STRING, "the same contig as named in the reference"),
        Column("pos", _U32, "1-based, after normalisation"),
        Column("id", _STRING, "VCF ID; null when missing ('.')"),
        Column("ref", _STRING, "reference allele after normalisation, upper case"),
        Column("alt", _STRING, "alternate allele after normalisation, upper case"),
        Column("input_pos", _U32, "POS as given"),
        Column("input_ref", _STRING, "REF as given"),
        Column("input_alt", _STRING, "the ALT allele as given"),
        Column("kind", _STRING, "snv, mnv, ins, del or delins"),
        Column("af", _F32, "this ALT's INFO/AF (or AC/AN); null when absent"),
        Column("file", _U16, "0-based index of the file within the cohort"),
        Column("record", _U32, "0-based index of the record within its file"),
        Column("allele", _U16, "1-based index of the ALT within its record"),
    ),
)

REJECTED = Table(
    "rejected",
    (
        Column("chrom", _STRING, "CHROM as given"),
        Column("pos", _STRING, "POS as given (text: it may be no valid position)"),
        Column("id", _STRING, "ID as given"),
        Column("ref", _STRING, "REF as given, cut to 60 characters"),
        Column("alt", _STRING, "the ALT allele as given, cut to 60 characters"),
        Column("reason", _STRING, "one of varlm.variants.REASONS"),
        Column("detail", _STRING, "what was found, for a human"),
        Column("file", _U16, "0-based index of the file within the cohort"),
        Column("record", _U32, "0-based index of the record within its file"),
        Column("allele", _U16, "1-based index of the ALT within its record; 0 where ALT is '.'"),
    ),
)

SHARD = Table(
    "shard",
    (
        Column("contig", _STRING, "name in the reference FASTA"),
        Column("pos", _U32, "1-based"),
        Column("ref", _STRING, "normalised REF of an allele row; null: a site row"),
        Column("alt", _STRING, "normalised ALT of an allele row; null: a site row"),
    ),
)

BASES = "ACGT"
LOGIT_COLUMNS = tuple(f"{strand}_{base.lower()}" for strand in ("fwd", "rev") for base in BASES)

SITES = Table(
    "sites",
    (
        Column("contig", _STRING, "name in the reference FASTA"),
        Column("pos", _U32, "1-based"),
        *(
            Column(
                name,
                _F32,
                f"masked-centre logit of forward-strand base {name[-1].upper()}, read on the "
                f"{'forward' if name.startswith('fwd') else 'reverse'} strand"
                + ("; null when only the forward strand is scored" if name[0] == "r" else ""),
            )
            for name in LOGIT_COLUMNS
        ),
    ),
)

ALLELES = Table(
    "alleles",
    (
        Column("contig", _STRING, "name in the reference FASTA"),
        Column("pos", _U32, "1-based, normalised"),
        Column("ref", _STRING, "normalised REF"),
        Column("alt", _STRING, "normalised ALT"),
        Column("llr_fwd", _F32, "pseudo-log-likelihood ratio, alt − ref, forward strand, nats"),
        Column("llr_rev", _F32, "the same on the reverse strand; null when not scored"),
    ),
)

SCORE_COLUMNS = (
    ("llr", "log-likelihood ratio alt − ref, natural log, strand mean; negative: less likely"),
    ("llr_fwd", "the forward strand's log-likelihood ratio, nats"),
    ("llr_rev", "the reverse strand's log-likelihood ratio, nats; null when not scored"),
    ("entropy", "entropy of A, C, G, T at the site, nats; null for indels and MNVs"),
    ("p_ref", "probability of REF at the site; null for indels and MNVs"),
    ("p_alt", "probability of ALT at the site; null for indels and MNVs"),
    ("percentile", "percentile of the LLR in the genome's background; null until sampled"),
)


def annotated(models: Iterable[str]) -> Table:
    """Return the annotated table for these models: variants, annotation, scores."""
    head = VARIANTS.columns[:-3]
    return Table(
        "annotated",
        (
            *(column for column in head if column.name != "contig"),
            Column("consequence", _STRING, "Sequence Ontology term; null without annotation"),
            Column("gene", _STRING, "gene symbol or id; null without annotation"),
            *(
                Column(f"{model}_{name}", _F32, meaning)
                for model in models
                for name, meaning in SCORE_COLUMNS
            ),
            *VARIANTS.columns[-3:],
        ),
    )


def read_table(path: Path, table: Table) -> pl.DataFrame:
    """Read a Parquet file and check its columns against `table`."""
    return table.check(pl.read_parquet(path), path)


def write_table(frame: pl.DataFrame, path: Path, table: Table) -> None:
    """Check `frame` against `table` and write it as Parquet, atomically."""
    table.check(frame, path)
    with atomic_path(path) as temporary:
        frame.write_parquet(temporary, compression="zstd", compression_level=3)


class atomic_path:  # noqa: N801
    """Context manager: a path to write to, renamed onto `path` on success, removed on failure.

    The data is on disk (fsync) before the rename, so that a crash leaves the old file or the
    new one, never a part of it.
    """

    def __init__(self, path: Path):
        self.path = path
        self.temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")

    def __enter__(self) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.temporary

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.temporary.unlink(missing_ok=True)
            return
        descriptor = os.open(self.temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.temporary.replace(self.path)
