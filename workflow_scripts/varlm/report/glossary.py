"""The section "Glossary": what the scores of a report mean, and what not to conclude from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from varlm.tables.score_kinds import ScoreKind

_LLR = "LLR (log-likelihood ratio)"
_AT_SITE = (
    "log p(alternate) − log p(reference) at the site, natural logarithm, as the model predicts {} "
    "from the sequence around it. −2 means that the model holds the alternate allele e² ≈ 7 times "
    "less likely than the reference; 0 means equally likely."
)
_PSEUDO = (
    " For insertions, deletions and multi-base changes it is the difference of the "
    "pseudo-log-likelihoods of the two sequences, and has a wider range: compare them among "
    "themselves."
)
_JOINT = (
    "log p(k-mer with the alternate base) − log p(k-mer with the reference's), natural logarithm, "
    "as the model predicts the hidden k-mer with the site from the sequence around it. −2 means "
    "that the model holds the alternate k-mer e² ≈ 7 times less likely than the reference's; 0 "
    "means equally likely. It is another number than the ratio of the two bases, whose "
    "probabilities are sums over k-mers."
)
_WINDOW = (
    "log p(window with the alternate allele) − log p(window with the reference), natural logarithm,"
    " {} of the window, each predicted from those before it. Negative: the model finds the sequence"
    " with the alternate allele less likely."
)
_BASES_ONLY = " Insertions, deletions and multi-base changes have none."
_EITHER_WAY = (
    " Swapping the two alleles changes nothing: it says how much the sequence changes to the model,"
    " not whether for the worse."
)
_EMBEDDINGS = (
    "between what the model makes of the sequence with the reference and with the alternate allele "
    "(their embeddings: the last hidden states)"
)

# Of each kind of score: the term, and what it means.
_MEANINGS = {
    "masked": (_LLR, _AT_SITE.format("the hidden base") + _PSEUDO),
    "marginal": (
        _LLR,
        _AT_SITE.format("the base")
        + " All k-mers over the base are hidden, and their probabilities are added up to those of "
        "the base." + _BASES_ONLY,
    ),
    "dense": (
        _LLR,
        _AT_SITE.format("the base")
        + " Nothing is hidden: one pass answers many sites. That the model sees the reference "
        "there makes it likelier by the same factor everywhere; of models that can hide a base the "
        "LLRs are corrected for that, and are on the scale of those of a hidden one." + _PSEUDO,
    ),
    "likelihood": (_LLR, _WINDOW.format("the sum over the tokens")),
    "mean_likelihood": (_LLR, _WINDOW.format("the mean over the tokens")),
    "probability": (
        "P(alt) − P(ref)",
        "The model's probability of the alternate base at the hidden site, less that of the "
        "reference: −1 to 1. Negative: the alternate base is less likely; near −1 the model is all "
        "but sure of the reference." + _BASES_ONLY,
    ),
    "cosine": (
        "Cosine distance",
        f"1 − the cosine {_EMBEDDINGS}: 0 where they are alike, up to 2."
        + _EITHER_WAY
        + _BASES_ONLY,
    ),
    "euclidean": (
        "Euclidean distance",
        f"The distance {_EMBEDDINGS}: 0 where they are alike, without an upper end."
        + _EITHER_WAY
        + _BASES_ONLY,
    ),
    "inner_product": (
        "Inner product",
        f"The inner product {_EMBEDDINGS}: the lower, the less alike." + _EITHER_WAY + _BASES_ONLY,
    ),
    "influence": (
        "Influence",
        "How much the alternate base changes what the model predicts elsewhere: the largest change "
        "of the log-odds of a base at each other position, on average." + _BASES_ONLY,
    ),
    "divergence": (
        "Divergence",
        "How far the bases predicted beside the site with the alternate base are from those with "
        "the reference: their mean Kullback-Leibler divergence, nats." + _BASES_ONLY,
    ),
}


@dataclass(frozen=True)
class Glossary:
    """What the scores mean.

    Attributes
    ----------
    lead : str
        What to know before the first chart.
    scores : list of (term, meaning)
    score : str
        What a score is called in a sentence about all models; `scores_word` is its plural.
    harmful, harmless : str
        A score at the harmful end, and at the other.
    worse : str
        What has the score of a worse variant.
    strands : str
        Which strand's the scores are, as the end of a sentence.
    distribution : bool
        Whether a model gives bases probabilities, so that there are entropies and logos.
    distance : bool
        Whether a model's scores are such that swapping REF and ALT leaves them.
    """

    lead: str
    scores: list[tuple[str, str]]
    score: str
    scores_word: str
    harmful: str
    harmless: str
    worse: str
    strands: str
    distribution: bool
    distance: bool


def glossary(kinds: Mapping[str, ScoreKind]) -> Glossary | None:
    """Return what the scores of a report mean; `kinds` is by model, None of none."""
    if not kinds:
        return None
    llrs = all(kind.is_llr for kind in kinds.values())
    return Glossary(
        lead=_lead(kinds),
        scores=_scores(kinds),
        score="LLR" if llrs else "score",
        scores_word="LLRs" if llrs else "Scores",
        harmful="low LLR" if llrs else "score at the harmful end",
        harmless="An LLR near 0" if llrs else "A score at the other end",
        worse="a lower LLR" if llrs else "a more harmful score",
        strands=_strands(kinds),
        distribution=any(kind.distribution for kind in kinds.values()),
        distance=any(kind.swap == "same" for kind in kinds.values()),
    )


def _scores(kinds: Mapping[str, ScoreKind]) -> list[tuple[str, str]]:
    by_entry: dict[tuple[str, str], list[str]] = {}
    for model, kind in kinds.items():
        by_entry.setdefault(_entry(kind), []).append(model)
    if len(by_entry) == 1:
        return list(by_entry)
    return [
        (f"{term}: {', '.join(models)}", meaning) for (term, meaning), models in by_entry.items()
    ]


def _entry(kind: ScoreKind) -> tuple[str, str]:
    """Return the term of a kind, and what it means."""
    term, meaning = _MEANINGS[kind.name]
    if kind.alleles is not None:
        return term, meaning
    if kind.name == "masked":
        return term, _JOINT + _BASES_ONLY
    return term, meaning.replace(_PSEUDO, _BASES_ONLY)


_STRAND_OF = {
    "both": "the mean of both",
    "forward": "that of the forward strand",
    "transcript": "that of the strand of the allele's transcripts, or the mean of both where they "
    "lie on both or there are none",
}


def _strands(kinds: Mapping[str, ScoreKind]) -> str:
    """Return which strand's the scores are, as the end of a sentence."""
    by_strands: dict[str, list[str]] = {}
    for model, kind in kinds.items():
        by_strands.setdefault(kind.strands, []).append(model)
    if len(by_strands) == 1:
        return _STRAND_OF[next(iter(by_strands))]
    return "; ".join(f"{_STRAND_OF[s]} ({', '.join(of)})" for s, of in by_strands.items())


def _lead(kinds: Mapping[str, ScoreKind]) -> str:
    """Return which end of each score is the harmful one, as a sentence."""
    if all(kind.is_llr for kind in kinds.values()):
        return (
            "A negative LLR means that the model finds the alternate allele less likely than the "
            "reference."
        )
    ends: dict[str, dict[str, list[str]]] = {"low": {}, "high": {}}
    for model, kind in kinds.items():
        ends[kind.harmful].setdefault(kind.title, []).append(model)
    one = len({kind.title for kind in kinds.values()}) == 1
    clauses = []
    for end, titles in ends.items():
        names = [title if one else f"{title} ({', '.join(of)})" for title, of in titles.items()]
        clauses += [f"{end} for {_listed(names)}"] if names else []
    return f"The harmful end of the scores is {', and '.join(clauses)}."


def _listed(words: Sequence[str]) -> str:
    """Return words with commas and an and."""
    *head, last = words
    return f"{', '.join(head)} and {last}" if head else last
