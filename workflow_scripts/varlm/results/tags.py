"""The INFO fields of the annotated VCF: names, columns that they are of, descriptions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from varlm.errors import UserError
from varlm.tables.columns import STRAND, kinds_of
from varlm.tables.score_kinds import ScoreKind

# Model → kind of its score, or names alone: all masked.
Models = Iterable[str] | Mapping[str, ScoreKind]

Tags = dict[str, tuple[str, str]]

_LLR: Tags = {
    "LLR": ("llr", "log-likelihood ratio ALT - REF, nats, {strand}; negative: ALT less likely"),
    "LLR_FWD": ("llr_fwd", "log-likelihood ratio on the forward strand, nats"),
    "LLR_REV": ("llr_rev", "log-likelihood ratio on the reverse strand, nats"),
}
_SITE: Tags = {
    "ENTROPY": ("entropy", "entropy of A, C, G, T at the site, nats; missing for indels and MNVs"),
    "P_REF": ("p_ref", "probability of REF at the site; missing for indels and MNVs"),
    "P_ALT": ("p_alt", "probability of ALT at the site; missing for indels and MNVs"),
}
# Of the annotation, where there is one: tag → column, of the transcript that is hit worst.
ANNOTATION_TAGS: Tags = {
    "VARLM_CONSEQUENCE": ("consequence", "most severe consequence, a Sequence Ontology term"),
    "VARLM_GENE": ("gene", "gene of that consequence"),
    "VARLM_TRANSCRIPT": ("transcript", "transcript of that consequence"),
    "VARLM_PROTEIN": ("protein_change", "protein change, as bcftools csq writes it"),
}
REJECTED_TAG = "VARLM_REJECTED"
# Of a model whose strand is that of the transcript.
STRAND_TAG = "STRAND"
_STRAND: Tags = {
    STRAND_TAG: (
        STRAND[0],
        "strand that the score is of: + or -, that of the transcripts; both: the mean of the two",
    )
}
_NO_ALLELES = "; missing for indels and MNVs"


def score_tags(kind: ScoreKind) -> Tags:
    """Return the tags of a model with this kind of score, less its name: column, description.

    The columns are those of the annotated table, less the model's name.
    """
    how = f"{'higher' if kind.worst_first else 'lower'} {'LLR' if kind.is_llr else 'score'}"
    if kind.worst_first:
        how += ", which is more harmful"
    return {
        **(_llr_tags(kind) if kind.is_llr else _other_tags(kind)),
        **(_SITE if kind.distribution else {}),
        "PERCENTILE": ("percentile", f"percentage of random SNVs of the genome with a {how}"),
        **(_calibrated_tags(kind) if kind.calibrated else {}),
        **(_STRAND if kind.strands == "transcript" else {}),
    }


def value_type(tag: str) -> str:
    """Return the VCF type of a tag of `score_tags`."""
    return "String" if tag == STRAND_TAG else "Float"


def _llr_tags(kind: ScoreKind) -> Tags:
    column, meaning = _LLR["LLR"]
    meaning = meaning.format(strand=kind.strand)
    if kind.name != "masked" or kind.alleles is None:
        meaning += f"; {kind.meaning}"
    return {**_LLR, "LLR": (column, meaning + ("" if kind.alleles else _NO_ALLELES))}


def _other_tags(kind: ScoreKind) -> Tags:
    tag, unit = kind.column.upper(), f", {kind.unit}" if kind.unit else ""
    missing = "" if kind.alleles else _NO_ALLELES
    meaning = kind.meaning.replace("−", "-")
    return {
        tag: (kind.column, f"{meaning}, {kind.strand}{unit}; {kind.harmful}: harmful{missing}"),
        f"{tag}_FWD": (f"{kind.column}_fwd", f"{kind.name} on the forward strand{unit}"),
        f"{tag}_REV": (f"{kind.column}_rev", f"{kind.name} on the reverse strand{unit}"),
    }


def _calibrated_tags(kind: ScoreKind) -> Tags:
    text = f"{kind.column.upper()} less its mean over random SNVs of the genome of the same "
    text += f"sequence context and ALT{_NO_ALLELES}"
    return {kind.calibrated_column.upper(): (kind.calibrated_column, text)}


def score_columns_of(models: Models) -> dict[str, str]:
    """Return INFO tag → column of the annotated table, of all models' scores, in their order."""
    return {
        f"{tag}_{model}": f"{model}_{column}"
        for model, kind in kinds_of(models).items()
        for tag, (column, _) in score_tags(kind).items()
    }


def tag_names(models: Models, tables: Iterable[str] = ()) -> list[str]:
    """Return every INFO tag that is written for these models, and for columns of tables.

    Raises
    ------
    UserError
        If two models would write the same tag, as `x` and `FWD_x` would LLR_FWD_x.
    """
    writer: dict[str, str] = {}
    for model, kind in kinds_of(models).items():
        for tag in score_tags(kind):
            name = f"{tag}_{model}"
            if name in writer:
                raise UserError(
                    f"models {writer[name]!r} and {model!r} would both write INFO/{name}; give one "
                    "of them another name in the config"
                )
            writer[name] = model
    return [*writer, *tables, *ANNOTATION_TAGS, REJECTED_TAG]
