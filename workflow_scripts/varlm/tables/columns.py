"""The columns that config and tables share, as plain data: name, type, meaning.

`schemas` makes tables of them; `varlm.run` checks a config's names against them on every start of
Snakemake, where polars would cost 0.1 s a job. Types are those of Polars, by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from varlm.tables.score_kinds import SCORE_KINDS, ScoreKind, score_columns

Row = tuple[str, str, str]

# Of an allele, as `normalise` accepts it. The last three say where it was read.
VARIANT: tuple[Row, ...] = (
    ("chrom", "String", "contig as named in the cohort's VCF"),
    ("contig", "String", "the same contig as named in the reference"),
    ("pos", "UInt32", "1-based, after normalisation"),
    ("id", "String", "VCF ID; null when missing ('.')"),
    ("ref", "String", "reference allele after normalisation, upper case"),
    ("alt", "String", "alternate allele after normalisation, upper case"),
    ("input_pos", "UInt32", "POS as given"),
    ("input_ref", "String", "REF as given"),
    ("input_alt", "String", "the ALT allele as given"),
    ("kind", "String", "snv, mnv, ins, del or delins"),
    ("af", "Float32", "this ALT's INFO/AF (or AC/AN); null when absent"),
    ("file", "UInt16", "0-based index of the file within the cohort"),
    ("record", "UInt32", "0-based index of the record within its file"),
    ("allele", "UInt16", "1-based index of the ALT within its record"),
)

# Of an allele on one transcript.
TRANSCRIPT: tuple[Row, ...] = (
    ("consequence", "String", "Sequence Ontology terms on one transcript, '&' between them"),
    ("impact", "String", "HIGH, MODERATE, LOW or MODIFIER, of the most severe term"),
    ("gene", "String", "gene symbol, or the gene's id where it has none"),
    ("gene_id", "String", "gene id as in the annotation"),
    (
        "transcript",
        "String",
        "transcript id as in the annotation; where it has several proteins, : and the protein's id "
        "behind it",
    ),
    ("biotype", "String", "transcript biotype"),
    ("strand", "String", "strand of the gene, + or -"),
    ("protein_change", "String", "as bcftools csq writes it, 12A>12V; null where none"),
)

# Of an allele, of the transcripts together; after them the list of all transcripts.
CONSEQUENCE: tuple[Row, ...] = (
    ("consequence", "String", "the most severe Sequence Ontology term; null: no annotation"),
    *TRANSCRIPT[1:],
    ("nearest_gene", "String", "gene with the nearest transcription start, of all transcripts"),
    (
        "tss_distance",
        "Int32",
        "bp to that start; negative: upstream of it, in the direction of the gene",
    ),
)
TRANSCRIPTS = (
    "consequences",
    "one entry a transcript, the most severe first, the first of them in the columns above",
)

# Of each model whose score is a masked one; all are Float32.
SCORE = score_columns(SCORE_KINDS["masked"])

# Of a model whose strand is that of the allele's transcript, behind its scores.
STRAND: Row = (
    "strand",
    "String",
    "strand that the score is of: + or -, that of the allele's transcripts; both: the strands' "
    "mean, where its transcripts lie on both, or there are none; null: no score",
)

_ORIGIN = 3  # columns of VARIANT that say where an allele was read


def score_names(kind: ScoreKind) -> list[str]:
    """Return the columns of a model with this kind of score, after its name, in file order."""
    strand = [STRAND[0]] if kind.strands == "transcript" else []
    return [*(name for name, _ in score_columns(kind)), *strand]


def kinds_of(models: Iterable[str] | Mapping[str, ScoreKind]) -> Mapping[str, ScoreKind]:
    """Return model → kind of its score; masked, where only names are given."""
    return models if isinstance(models, Mapping) else dict.fromkeys(models, SCORE_KINDS["masked"])


def calibrated_columns(kinds: Mapping[str, ScoreKind]) -> dict[str, str]:
    """Return the columns of calibrated scores of models, and which end of each is harmful."""
    return {
        f"{model}_{kind.calibrated_column}": kind.harmful
        for model, kind in kinds.items()
        if kind.calibrated
    }


def annotated_names(
    models: Iterable[str] | Mapping[str, ScoreKind], extra: Iterable[str] = ()
) -> list[str]:
    """Return the names of the annotated table's columns, in file order.

    Parameters
    ----------
    models : mapping, or iterable of str
        Name of the config key `models` → kind of its score, or names alone: all masked.
    extra : iterable of str
        Columns of INFO fields and tracks.
    """
    names = [name for name, _, _ in VARIANT]
    return [
        *(name for name in names[:-_ORIGIN] if name != "contig"),
        *(name for name, _, _ in CONSEQUENCE),
        TRANSCRIPTS[0],
        *extra,
        *(
            f"{model}_{name}"
            for model, kind in kinds_of(models).items()
            for name in score_names(kind)
        ),
        *names[-_ORIGIN:],
    ]
