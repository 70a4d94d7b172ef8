"""Read GFF3 and GTF of any dialect into one table of features, in chunks of text.

Formats: GFF3 specification 1.26 (Sequence Ontology), GTF 2.2 (Brent lab), and what Ensembl,
GENCODE, NCBI, SGD, MAKER, Augustus and Prokka make of them. All positions here are 0-based and
half-open; the file's are 1-based and closed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import polars as pl

from varlm.annotation.genes.dialects import dialect_of
from varlm.annotation.genes.lines import (
    CDS_TYPES,
    PART_TYPES,
    PROTEIN_TYPES,
    WHOLE_TYPES,
    Malformed,
    columns,
)
from varlm.errors import UserError
from varlm.files.text import LONGEST, content, whole_lines

_CHUNK = 32 << 20  # bytes of text parsed at a time: bounds memory at a few times this

# Features that are never genes, transcripts or parts of them; some files have millions.
_PASSED_OVER = (
    *("match", "match_part", "cDNA_match", "EST_match", "expressed_sequence_match"),
    *("protein_match", "translated_nucleotide_match", "nucleotide_match", "biological_region"),
    *("chromosome", "scaffold", "supercontig", "contig", "start_codon"),
    *("transcription_start_site", "tss", "tts", "sequence_feature"),
    *("cds_start_nf", "mature_protein_region_of_CDS"),
)

# Exceptions that the coding pieces, transl_except or the codons themselves tell of.
_MODELLED = (
    *("ribosomal slippage", "ribosomal%20slippage", "stop codon readthrough"),
    *("stop%20codon%20readthrough", "alternative start codon", "alternative%20start%20codon"),
)

FEATURES = {
    "line": pl.UInt32(),  # 1-based, of the file
    "contig": pl.String(),  # as the file names it
    "source": pl.Categorical(),
    "type": pl.String(),
    "start": pl.Int64(),  # 0-based
    "end": pl.Int64(),  # half-open
    "strand": pl.String(),  # + or -, null where the file has . or ?
    "phase": pl.Int8(),  # bases to skip to the next codon; null where the file has .
    "id": pl.String(),
    "parent": pl.String(),  # GFF3: several, commas between them
    "gene_id": pl.String(),
    "transcript_id": pl.String(),
    "gene": pl.String(),  # symbol
    "biotype": pl.String(),  # of the transcript, or of the gene on a gene's line
    "gene_biotype": pl.String(),
    "transl_table": pl.Int64(),
    "protein_id": pl.String(),  # of a CDS
    "transl_except": pl.String(),  # codons that are read otherwise, as NCBI writes them
    "rereads": pl.String(),  # selenocysteine, readthrough: stops of it that are amino acids
    "recoded": pl.Boolean(),  # an exception that its coordinates do not tell, such as RNA editing
    "trans_spliced": pl.Boolean(),
    "pseudo": pl.Boolean(),
    "joined": pl.Boolean(),  # a gene or transcript of several lines, which NCBI numbers (part=)
}


@dataclass(frozen=True)
class AnnotationFile:
    """The features of a file and what its header says.

    Attributes
    ----------
    features : polars.DataFrame
        `FEATURES`, in the file's order.
    gtf : bool
        GTF rather than GFF3.
    dialect : str
        Whose, as far as it shows: `Ensembl GFF3`, `GENCODE GTF`, `RefSeq GFF3` …
    declared : dict
        Contig → length in bp, of the `##sequence-region` lines.
    circular : set of str
        Contigs that a region line calls circular: there, a feature may pass the end.
    organelles : set of str
        Contigs that a region line calls a mitochondrion or plastid (`genome=`).
    types : mapping
        Type → number of lines, of all that the file has.
    attributes : mapping
        Attribute → number of lines, of the first thousand.
    """

    features: pl.DataFrame
    gtf: bool
    dialect: str
    declared: dict[str, int]
    circular: set[str]
    organelles: set[str]
    types: Mapping[str, int] = field(default_factory=dict)
    attributes: Mapping[str, int] = field(default_factory=dict)


@dataclass
class _Header:
    """What is gathered over the chunks."""

    declared: dict[str, int] = field(default_factory=dict)
    circular: set[str] = field(default_factory=set)
    organelles: set[str] = field(default_factory=set)
    malformed: Malformed = field(default_factory=Malformed)
    types: Counter[str] = field(default_factory=Counter)
    attributes: Counter[str] = field(default_factory=Counter)


def read_annotation(path: Path, key: str = "reference.annotation") -> AnnotationFile:
    """Read a GFF3 or GTF file, plain, gzip or bgzip, told by its content.

    Parameters
    ----------
    path : Path
    key : str
        The config key that named the file, for messages.

    Raises
    ------
    UserError
        Naming the line, if it is of a type that makes gene models (others are passed over with a
        warning): fewer than nine columns, a position that is no number, start after end, a strand
        or phase that is none; or a file without a feature, or truncated.
    """
    header = _Header()
    frames: list[pl.DataFrame] = []
    gtf: bool | None = None
    seen = 0
    for text in _chunks(path, key):
        lines = pl.read_lines(text.decode("utf-8", "replace").encode(), name="text")
        lines = lines.with_row_index("line", offset=seen + 1).with_columns(
            pl.col("text").str.strip_chars_end("\r")
        )
        seen += lines.height
        _read_directives(lines, header)
        lines = lines.filter(
            ~pl.col("text").str.starts_with("#") & (pl.col("text").str.strip_chars() != "")
        )
        if not lines.height:
            continue
        table = columns(lines, path, header.malformed)
        if not table.height:
            continue
        header.types.update(dict(table["type"].value_counts().iter_rows()))
        if gtf is None:
            gtf = _is_gtf(table["attributes"])
            header.attributes.update(_attribute_names(table["attributes"]))
        _read_regions(table, header)
        unused = (*_PASSED_OVER, *PROTEIN_TYPES) if gtf else _PASSED_OVER
        table = table.filter(~pl.col("type").is_in(unused))
        frames.append(_with_attributes(table, gtf, derived=b"Derives_from=" in text))
    header.malformed.warn(path)
    if not frames or gtf is None:
        raise UserError(
            f"{path}: no feature found; expected a GFF3 or GTF file: lines of nine columns, "
            f"separated by tabs{header.malformed}"
        )
    features = pl.concat(frames)
    return AnnotationFile(
        features,
        gtf,
        dialect_of(features, gtf),
        header.declared,
        header.circular,
        header.organelles,
        header.types,
        header.attributes,
    )


def _chunks(path: Path, key: str) -> Iterator[bytes]:
    """Yield the file's text in pieces of whole lines, up to a `##FASTA` section."""
    expected = f"{key} must name a GFF3 or GTF file"
    pieces = content(path, expected)
    for lines, _ in whole_lines(pieces, path, _CHUNK, LONGEST, expected):
        text, sequences = _before_sequences(lines)
        yield text
        if sequences:
            for _ in pieces:
                pass  # read on, so that a truncated file is still found out
            return


def _before_sequences(text: bytes) -> tuple[bytes, bool]:
    """Return the text before a FASTA section, and whether there is one (GFF3: also a bare `>`)."""
    starts = [0 for mark in (b"##FASTA", b">") if text.startswith(mark)]
    starts += [at + 1 for mark in (b"\n##FASTA", b"\n>") if (at := text.find(mark)) >= 0]
    return (text[: min(starts)], True) if starts else (text, False)


def _read_directives(lines: pl.DataFrame, header: _Header) -> None:
    """Take the lengths that `##sequence-region name start end` lines declare."""
    for text in lines.filter(pl.col("text").str.starts_with("##sequence-region"))["text"]:
        words = text.split()
        if len(words) == 4 and words[3].isdigit():
            header.declared[unquote(words[1])] = int(words[3])


def _is_gtf(attributes: pl.Series) -> bool:
    """Tell GTF (`key "value";`) from GFF3 (`key=value;`) by the first thousand features."""
    head = attributes.head(1000)
    quoted = head.str.contains(r'^\s*[A-Za-z_]\w*\s+"').sum()
    equals = head.str.contains(r"^\s*[^\s=;]+=").sum()
    return bool(quoted > equals)


def _attribute_names(attributes: pl.Series) -> list[str]:
    """Return the names in the ninth column of the first thousand features, for messages."""
    names = (
        attributes.head(1000).str.extract_all(r'(?:^|;)\s*[^\s=;"]+').explode(empty_as_null=True)
    )
    return names.drop_nulls().str.strip_chars("; \t").to_list()


def _read_regions(table: pl.DataFrame, header: _Header) -> None:
    """Take what NCBI's region lines say of their contigs."""
    regions = table.filter(pl.col("type").is_in(WHOLE_TYPES))
    attributes = pl.col("attributes")
    circular = regions.filter(attributes.str.contains("(?i)is_circular=true"))
    header.circular.update(circular["contig"])
    organelles = regions.filter(
        attributes.str.contains(r"(?:^|;)genome=(?:mitochondrion|chloroplast|plastid|apicoplast)")
    )
    header.organelles.update(organelles["contig"])


def _with_attributes(table: pl.DataFrame, gtf: bool, derived: bool) -> pl.DataFrame:
    """Replace the attributes column by those that are needed; `derived`: some have Derives_from."""
    between = " " if gtf else "="
    attributes = pl.col("attributes").str.replace_all("; ", ";", literal=True)
    if gtf:
        attributes = attributes.str.replace_all('"', "", literal=True)
    table = table.with_columns(pl.concat_str(pl.lit(";"), attributes).alias("attributes"))

    def get(*keys: str) -> pl.Expr:
        # Splitting at literals is some twenty times faster than a regular expression.
        values = [
            pl.col("attributes")
            .str.splitn(f";{key}{between}", 2)
            .struct[1]
            .str.splitn(";", 2)
            .struct[0]
            .str.strip_chars(" ")
            for key in keys
        ]
        # NCBI writes transcript_id "" on the lines of genes.
        return pl.coalesce(pl.when(value != "").then(value) for value in values)

    def has(pattern: str) -> pl.Expr:
        return pl.col("attributes").str.contains(pattern, literal=True)

    part = pl.col("type").is_in(PART_TYPES)
    whole = table.filter(~part)
    cds = pl.col("type").is_in(CDS_TYPES)
    common = [
        get("gene_id").alias("gene_id"),
        get("transcript_id").alias("transcript_id"),
        pl.lit(None, pl.String).alias("id") if gtf else get("ID").alias("id"),
        pl.lit(None, pl.String).alias("parent") if gtf else get("Parent").alias("parent"),
    ]
    names = [
        get("gene_name", "gene", "Name").alias("gene"),
        get("transcript_biotype", "transcript_type", "biotype", "gene_biotype", "gene_type").alias(
            "biotype"
        ),
        get("gene_biotype", "gene_type", "biotype").alias("gene_biotype"),
        (has("trans-splicing") | has("trans_splicing")).alias("trans_spliced"),
        has(f";pseudo{between}true").alias("pseudo"),
    ]
    of_cds = [
        get("transl_table").cast(pl.Int64, strict=False).alias("transl_table"),
        get("protein_id").alias("protein_id"),
        get("transl_except").alias("transl_except"),
        pl.when(has("readthrough"))
        .then(pl.lit("readthrough"))
        .when(has("seleno"))
        .then(pl.lit("selenocysteine"))
        .alias("rereads"),
        (has(";exception") & ~pl.any_horizontal(map(has, _MODELLED))).alias("recoded"),
    ]
    nothing = [
        *(
            pl.lit(None, FEATURES[name]).alias(name)
            for name in ("transl_table", "protein_id", "transl_except", "rereads")
        ),
        pl.lit(False).alias("recoded"),
    ]
    joined, not_joined = has(f";part{between}").alias("joined"), pl.lit(False).alias("joined")
    frames = [
        whole.with_columns(*common, *names, *nothing, joined),
        table.filter(part & cds).with_columns(*common, *names, *of_cds, not_joined),
        table.filter(part & ~cds).with_columns(*common, *names, *nothing, not_joined),
    ]
    features = pl.concat(frames).sort("line")
    if gtf:
        return features.select(FEATURES.keys())
    if derived:
        # Proteins (TAIR, Chado), and coding pieces without a parent, name their transcript so.
        protein, origin = pl.col("type").is_in(PROTEIN_TYPES), get("Derives_from")
        features = features.with_columns(
            pl.when(protein)
            .then(pl.coalesce(origin, "parent"))
            .when(cds)
            .then(pl.coalesce("parent", origin))
            .otherwise("parent")
            .alias("parent")
        )
    features = features.select(FEATURES.keys()).with_columns(
        # Some files name the contig as the parent: that is none.
        pl.when(pl.col("parent") != pl.col("contig")).then("parent").alias("parent")
    )
    # Parents are decoded once they are split at their commas.
    encoded = ("contig", "id", "gene_id", "transcript_id", "gene", "protein_id")
    return features.with_columns(decoded(features[column]) for column in encoded)


def decoded(values: pl.Series) -> pl.Series:
    """Undo percent-encoding (GFF3), which few values have."""
    encoded = values.filter(values.str.contains("%", literal=True)).unique().to_list()
    return values.replace({value: unquote(value) for value in encoded}) if encoded else values
