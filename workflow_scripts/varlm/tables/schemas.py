"""One schema per table: column names, types and meanings; every read and write checks them.

Coordinates: `pos` is 1-based, as in VCF; `start` and `end` are 0-based and half-open, as in BED.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from varlm.errors import UserError
from varlm.tables import columns
from varlm.tables.parquet import Column, Table, described_table
from varlm.tables.score_kinds import SCORE_KINDS, ScoreKind, kind_in, score_columns

CONSEQUENCES_CALLED = "varlm.consequences"  # Parquet metadata: whether there was an annotation
MODEL_ABOUT = "varlm.model."  # and what is known of a model, after its name: JSON
ALLELES_SCORED = "alleles"  # there: `ScoreKind.alleles`, where it is not what the kind has

_STRING = pl.String()
_U16, _U32 = pl.UInt16(), pl.UInt32()
_F32, _F64 = pl.Float32(), pl.Float64()


def _columns(rows: Iterable[columns.Row]) -> tuple[Column, ...]:
    """Return columns whose types are given by name."""
    return tuple(Column(name, getattr(pl, dtype)(), meaning) for name, dtype, meaning in rows)


CONTIGS = Table(
    "contigs",
    (
        Column("contig", _STRING, "name in the reference FASTA, first word of the header"),
        Column("length", _U32, "bp"),
        Column("offset", pl.UInt64(), "byte offset of the first base in genome.fa"),
        Column("digest", _STRING, "refget SQ.… digest (sha512t24u) of the upper-cased sequence"),
        Column("acgt", _U32, "number of A, C, G, T bases; the rest are N or other IUPAC codes"),
    ),
    signed=True,
)

VARIANTS = Table("variants", _columns(columns.VARIANT), signed=True)

REJECTED = Table(
    "rejected",
    (
        Column("chrom", _STRING, "CHROM as given"),
        Column("pos", _STRING, "POS as given (text: it may be no valid position)"),
        Column("id", _STRING, "ID as given"),
        Column("ref", _STRING, "REF as given, cut to 60 characters"),
        Column("alt", _STRING, "the ALT allele as given, cut to 60 characters"),
        Column("reason", _STRING, "one of varlm.variants.cohort.REASONS"),
        Column("detail", _STRING, "what was found, for a human"),
        Column("file", _U16, "0-based index of the file within the cohort"),
        Column("record", _U32, "0-based index of the record within its file"),
        Column("allele", _U16, "1-based index of the ALT within its record; 0 where ALT is '.'"),
    ),
)

WINDOWS = Table(
    "windows",
    (
        Column("genome", _STRING, "name of the training genome"),
        Column("contig", _STRING, "contig as its FASTA names it"),
        Column("contig_start", pl.Int64(), "first base of the contig in bases.npy, 0-based"),
        Column("contig_end", pl.Int64(), "end of the contig in bases.npy, half-open"),
        Column("start", pl.Int64(), "first base of the window in bases.npy, 0-based"),
        Column("set", _STRING, "train, validation or held_out"),
        Column("genic", pl.Boolean(), "whether half of it or more is exons and promoters"),
        Column("weight", pl.Float64(), "how often it is drawn, relative to the others of its set"),
        Column("left_out", _STRING, "why it is never drawn; null: it is"),
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

LOGIT_COLUMNS = tuple(f"{strand}_{base}" for strand in ("fwd", "rev") for base in "acgt")

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

# The sites around top hits, for the report's pictures.
PICTURES = Table("pictures", SITES.columns, signed=True)

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

BACKGROUND = Table(
    "background",
    (
        Column("contig", _STRING, "refget digest of the contig, after circular. if it is circular"),
        Column("pos", _U32, "1-based"),
        Column("ref", _STRING, "the reference's base"),
        Column("alt", _STRING, "one of the three others"),
        Column("llr", _F32, "log-likelihood ratio alt − ref, nats, strand mean"),
    ),
    signed=True,
)

CONTEXT_MEANS = Table(
    "context_means",
    (
        Column(
            "context",
            _STRING,
            "an SNV between its neighbours, on the strand where REF is C or T: AC[C>T]GA of a "
            "5-mer, C[C>T]G of a trinucleotide",
        ),
        Column("sites", _U32, "sites of the background with this context"),
        Column("mean", _F64, "mean score of their SNVs; null without a site"),
        Column("sd", _F64, "standard deviation of these scores; null of fewer than two"),
    ),
    signed=True,
)

EVALUATION = Table(
    "evaluation",
    (
        Column("cohort", _STRING, "name of the cohort"),
        Column("task", _STRING, "name of the label, `A vs B` of consequences, or allele frequency"),
        Column("kind", _STRING, "labels, quantitative, contrast or frequency"),
        Column(
            "group",
            _STRING,
            "all alleles, those of one consequence, those not turned, match groups (of "
            "evaluate.match: matched 1:n), or a tail",
        ),
        Column(
            "metric",
            _STRING,
            "auroc, auprc, spearman, pearson, odds_ratio, pairwise_accuracy, auroc_within_groups, "
            "auroc_within_strata or auroc_explained; behind it _by_chromosome, _by_consequence or "
            "_by_group: the mean over these; null: not measured",
        ),
        Column(
            "score",
            _STRING,
            "model, column, the scores of a combination, or mutation_context; higher: worse",
        ),
        Column("alleles", _U32, "compared: those that all scores have"),
        Column("positives", _U32, "of them in the first class (of frequency: rare)"),
        Column("negatives", _U32, "of them in the second class (of frequency: common)"),
        Column("missing", _U32, "alleles of the task for which this score has no value"),
        Column("value", _F64, "the metric; null: not measured, see note"),
        Column("low", _F64, "lower end of its 95 % interval"),
        Column("high", _F64, "upper end"),
        Column("difference", _F64, "value less that of the first model, on the same alleles"),
        Column("difference_low", _F64, "lower end of its 95 % interval (paired bootstrap)"),
        Column("difference_high", _F64, "upper end"),
        Column("p_value", _F64, "two-sided: Fisher's exact test, or of the correlation"),
        Column("note", _STRING, "what else is to be known, for a human"),
    ),
)

TRANSCRIPT_CONSEQUENCE = _columns(columns.TRANSCRIPT)

# What an annotation adds to an allele: columns of `annotated`, null without one. The rows of
# `consequences.parquet` are those of `variants.parquet`, in their order.
CONSEQUENCES = Table(
    "consequences",
    (
        *_columns(columns.CONSEQUENCE),
        Column(
            columns.TRANSCRIPTS[0],
            pl.List(pl.Struct({column.name: column.dtype for column in TRANSCRIPT_CONSEQUENCE})),
            columns.TRANSCRIPTS[1],
        ),
    ),
)

SCORE_COLUMNS = columns.SCORE


def annotated(
    models: Iterable[str] | Mapping[str, ScoreKind],
    extra: Iterable[Column] = (),
) -> Table:
    """Return the annotated table: variants, consequences, `extra` (INFO, tracks), scores, keys.

    Parameters
    ----------
    models : mapping, or iterable of str
        Name → kind of its score, or names alone: all masked.
    extra : iterable of Column
    """
    head = VARIANTS.columns[:-3]
    return Table(
        "annotated",
        (
            *(column for column in head if column.name != "contig"),
            *CONSEQUENCES.columns,
            *extra,
            *(
                column
                for model, kind in columns.kinds_of(models).items()
                for column in _model_columns(model, kind)
            ),
            *VARIANTS.columns[-3:],
        ),
        signed=True,
    )


def _model_columns(model: str, kind: ScoreKind) -> Iterator[Column]:
    """Yield the columns of a model's score."""
    for name, meaning in score_columns(kind):
        if kind.strands == "transcript":
            meaning = meaning.replace(kind.strand, f"of the strand in {model}_strand")
        yield Column(f"{model}_{name}", _F32, meaning)
    if kind.strands == "transcript":
        name, _, meaning = columns.STRAND
        yield Column(f"{model}_{name}", _STRING, meaning)


def read_annotated_table(path: Path, models: Iterable[str]) -> Table:
    """Return the schema of an annotated table, the columns of INFO and tracks among it.

    Raises
    ------
    UserError
        If the file is no annotated table of these models.
    """
    described = described_table("annotated", path)
    names = [column.name for column in described.columns]
    masked = SCORE_KINDS["masked"]  # of a model without columns, which the check below names
    kinds = {model: _kind_in(names, model) or masked for model in models}
    plain = annotated(kinds)
    extra = [column for column in described.columns if column.name not in plain.schema]
    table = annotated(kinds, extra)
    table.check_schema(pl.Schema(described.schema), path)
    return table


def read_kinds(path: Path, models: Iterable[str]) -> dict[str, ScoreKind]:
    """Return model → kind of its score, by the columns of an annotated table and what it says.

    Kinds that have the same columns are told apart by the table's metadata.

    Raises
    ------
    UserError
        If the table has no score of a model.
    """
    names, metadata = [*pl.read_parquet_schema(path)], pl.read_parquet_metadata(path)
    kinds = {}
    for model in models:
        kind = _kind_in(names, model)
        if kind is None:
            raise UserError(
                f"{path}: no score of the model {model}; delete it and run the workflow again"
            )
        about = json.loads(metadata.get(f"{MODEL_ABOUT}{model}", "{}"))
        kinds[model] = _named_kind(about, kind)
    return kinds


def _kind_in(names: Sequence[str], model: str) -> ScoreKind | None:
    """Return the kind of a model's score by a table's columns; of the transcript's if one says."""
    kind = kind_in(names, model)
    if kind is None:
        return None
    behind = names.index(f"{model}_{score_columns(kind)[-1][0]}") + 1
    calibrated = names[behind : behind + 1] == [f"{model}_{kind.calibrated_column}"]
    kind, behind = replace(kind, calibrated=calibrated), behind + calibrated
    of_transcript = names[behind : behind + 1] == [f"{model}_{columns.STRAND[0]}"]
    return replace(kind, strands="transcript") if of_transcript else kind


def _named_kind(about: Mapping[str, Any], kind: ScoreKind) -> ScoreKind:
    """Return the kind that a model's metadata names, if it has the columns of `kind`."""
    named = SCORE_KINDS.get(about.get("score", ""))
    if named is not None and _names(named) == _names(replace(kind, calibrated=False)):
        kind = replace(named, strands=kind.strands, calibrated=kind.calibrated)
    if about.get("strands") == "forward":
        kind = replace(kind, strands="forward")
    return kind if about.get(ALLELES_SCORED, kind.alleles) else kind.of_bases()


def _names(kind: ScoreKind) -> list[str]:
    return [name for name, _ in score_columns(kind)]


def has_consequences(annotated_table: Path) -> bool:
    """Return whether an annotated table was made with an annotation."""
    return pl.read_parquet_metadata(annotated_table).get(CONSEQUENCES_CALLED) == "yes"
