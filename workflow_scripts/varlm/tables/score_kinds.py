"""What a model's score may be: kinds of score and what follows from each, as plain data.

A kind says in one place which columns a score has, which end of it is harmful, what swapping REF
and ALT does to it, and how it comes out of the four numbers that the store keeps for a site and
strand (one for each of A, C, G, T there). Free of numpy and polars: `varlm.run` reads it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

LLR = "llr"
Strands = Literal["both", "forward", "transcript"]


@dataclass(frozen=True, kw_only=True)
class ScoreKind:
    """A kind of score: a value of the config key `models.NAME.score`.

    Attributes
    ----------
    name : str
    column : str
        Of the annotated table, after the model's name: `llr` of every log-ratio, else the name.
    meaning : str
        For column descriptions and pages.
    unit : str
        `nats`, or empty where there is none.
    harmful : str
        Which end of it is that of harmful variants: `low` or `high`.
    difference : bool
        Whether a score is number[alt] − number[ref] of a site's four numbers; else number[alt].
    swap : str or None
        What swapping REF and ALT does: `negates` it, leaves it the `same`, or None: neither.
    distribution : bool
        Whether the four numbers are log-probabilities but for a constant: the site has an entropy,
        and REF and ALT have probabilities there.
    alleles : str or None
        How indels and MNVs are scored: `pseudo` (a pseudo-log-likelihood ratio of two windows),
        `sequence` (the likelihoods of two whole windows), or None: they are not.
    strands : str
        Which strands' score it is: the mean of `both`, `forward`, or `transcript`: that of the
        allele's transcript, which a column of its own names.
    calibrated : bool
        Whether a column beside it has the score less what the genome's SNVs of its mutation
        context have.
    """

    name: str
    column: str
    meaning: str
    unit: str = ""
    harmful: Literal["low", "high"] = "low"
    difference: bool = True
    swap: Literal["negates", "same"] | None = "negates"
    distribution: bool = False
    alleles: Literal["pseudo", "sequence"] | None = None
    strands: Strands = "both"
    calibrated: bool = False

    @property
    def calibrated_column(self) -> str:
        """The column of the calibrated score, after the model's name."""
        return f"{self.column}_calibrated"

    @property
    def is_llr(self) -> bool:
        """Whether it is a log-likelihood ratio."""
        return self.column == LLR

    @property
    def title(self) -> str:
        """What the score is called on pages and axes, without its unit."""
        if self.is_llr:
            return "LLR"
        return _TITLES.get(self.name, self.name.replace("_", " "))

    @property
    def strand(self) -> str:
        """Of which strand the score is, in words."""
        return _STRANDS[self.strands]

    def of_bases(self) -> ScoreKind:
        """Return the kind as a family has it that scores no indels and MNVs.

        Where such a one masks a site, it is with all of a k-mer.
        """
        meaning = "of the k-mer with the site, which is masked"
        return replace(
            self, alleles=None, meaning=meaning if self.name == "masked" else self.meaning
        )

    @property
    def worst_first(self) -> bool:
        """Whether the most harmful score is the highest: the order of a list, descending."""
        return self.harmful == "high"


_STRANDS = {
    "both": "strand mean",
    "forward": "forward strand",
    "transcript": "strand of the transcript",
}
_TITLES = {
    "probability": "P(alt) − P(ref)",
    "cosine": "cosine distance",
    "euclidean": "Euclidean distance",
}


def _llr(name: str, meaning: str, **more: object) -> ScoreKind:
    settings: dict[str, object] = {"unit": "nats", "distribution": True, **more}
    return ScoreKind(name=name, column=LLR, meaning=meaning, **settings)  # type: ignore[arg-type]


def _other(name: str, meaning: str, **more: object) -> ScoreKind:
    return ScoreKind(name=name, column=name, meaning=meaning, **more)  # type: ignore[arg-type]


SCORE_KINDS: dict[str, ScoreKind] = {
    kind.name: kind
    for kind in (
        _llr("masked", "the site is masked", alleles="pseudo"),
        _llr("marginal", "of one base: the k-mers over it are masked and marginalised"),
        _llr(
            "dense",
            "nothing is masked; on the scale of masked LLRs, of models that have such",
            alleles="pseudo",
        ),
        _llr("likelihood", "of the whole window", alleles="sequence"),
        _llr(
            "mean_likelihood",
            "of the whole window, mean over its tokens",
            alleles="sequence",
            distribution=False,
        ),
        _other("probability", "P(alt) − P(ref) at the masked site"),
        _other(
            "cosine",
            "cosine distance of the embeddings with REF and with ALT",
            harmful="high",
            swap="same",
        ),
        _other(
            "euclidean",
            "Euclidean distance of the embeddings with REF and with ALT",
            harmful="high",
            swap="same",
        ),
        _other(
            "inner_product",
            "inner product of the embeddings with REF and with ALT",
            difference=False,
            swap="same",
        ),
        _other(
            "influence",
            "mean over the other positions of the largest change of the log-odds of a base there",
            harmful="high",
            swap="same",
        ),
        _other(
            "divergence",
            "mean Kullback-Leibler divergence of the bases predicted beside it, ALT from REF",
            unit="nats",
            harmful="high",
            swap=None,
        ),
    )
}

Column = tuple[str, str]


def score_columns(kind: ScoreKind) -> tuple[Column, ...]:
    """Return the columns of a model with this kind of score, after its name: name and meaning.

    All are Float32.
    """
    own = _llr_columns(kind) if kind.is_llr else _other_columns(kind)
    score, than = ("LLR" if kind.is_llr else "score"), "lower"
    if kind.harmful == "high":
        score, than = "score (which is more harmful)", "higher"
    return (
        *own,
        *(_SITE if kind.distribution else ()),
        (
            "percentile",
            f"percentage of the genome's background SNVs with a {than} {score}, ties half, 0 to "
            "100; null where scoring.background_sites is 0",
        ),
        *(_calibrated_columns(kind) if kind.calibrated else ()),
    )


def _calibrated_columns(kind: ScoreKind) -> tuple[Column, ...]:
    return (
        (
            kind.calibrated_column,
            f"{kind.column} less its mean over the genome's background SNVs of the same 5-mer and "
            "ALT, of the same trinucleotide and ALT where those are at fewer than 100 sites; null "
            "where these are too, and for indels and MNVs",
        ),
    )


_SITE: tuple[Column, ...] = (
    ("entropy", "entropy of A, C, G, T at the site, nats; null for indels and MNVs"),
    ("p_ref", "probability of REF at the site; null for indels and MNVs"),
    ("p_alt", "probability of ALT at the site; null for indels and MNVs"),
)


def _llr_columns(kind: ScoreKind) -> tuple[Column, ...]:
    more = "" if kind.name == "masked" and kind.alleles else f"; {kind.meaning}"
    return (
        (
            LLR,
            f"log-likelihood ratio alt − ref, natural log, {kind.strand}; negative: less likely"
            + more,
        ),
        (f"{LLR}_fwd", "the forward strand's log-likelihood ratio, nats"),
        (f"{LLR}_rev", "the reverse strand's log-likelihood ratio, nats; null when not scored"),
    )


def _other_columns(kind: ScoreKind) -> tuple[Column, ...]:
    unit = f", {kind.unit}" if kind.unit else ""
    return (
        (kind.column, f"{kind.meaning}, {kind.strand}{unit}; {kind.harmful}: harmful"),
        (f"{kind.column}_fwd", f"the forward strand's{unit}"),
        (f"{kind.column}_rev", f"the reverse strand's{unit}; null when not scored"),
    )


def kind_in(columns: Collection[str], model: str) -> ScoreKind | None:
    """Return the kind of a model's score by the names of a table's columns; None: it has none.

    Kinds that have the same columns are alike in all that follows from a score.
    """
    for kind in SCORE_KINDS.values():
        names = [f"{model}_{name}" for name, _ in score_columns(kind)]
        if all(name in columns for name in names):
            return kind
    return None
