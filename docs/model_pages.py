"""Tables of docs/models.md and docs/outputs.md that follow from the code: families, kinds, costs.

A family is a row of workflow_scripts/varlm/run/model_families.py, a kind of score one of
workflow_scripts/varlm/tables/score_kinds.py; what a kind is by a formula stands here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import model_costs

from varlm.results.tags import score_tags
from varlm.run.model_families import FAMILIES, KIND_OPTIONS, OPTION_VALUES, Family
from varlm.tables.score_kinds import SCORE_KINDS, ScoreKind, score_columns
from varlm.tracks.sites import tracks_of

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]

# Of each kind, what it is. z: logits; p: probabilities; h: last hidden states.
FORMULAS = {
    "masked": "The site is masked: z(ALT) − z(REF), which is ln p(ALT) − ln p(REF). k-mers: all "
    "tokens over the site are masked, and z is that of the whole k-mer with the allele, at one of "
    "them (joint)",
    "marginal": "All k-mers over the site are masked. At each of them, a softmax over the 4ᵏ "
    "k-mers, added up by the base at the site; p is the mean over these tokens: "
    "ln p(ALT) − ln p(REF)",
    "dense": "As masked, with REF seen, and a constant added ([dense scores](#dense-scores)). "
    "k-mers: p as in marginal",
    "likelihood": "Σ ln p(token | those before it) of the window with ALT, less that with REF",
    "mean_likelihood": "The same with, in place of each sum, the mean over the tokens that count",
    "probability": "The site is masked: p(ALT) − p(REF); the softmax is over the whole vocabulary "
    "(GPN: over the four bases)",
    "cosine": "1 − h(REF)·h(ALT) / (|h(REF)| |h(ALT)|), nothing masked",
    "euclidean": "|h(ALT) − h(REF)|, nothing masked",
    "inner_product": "h(REF)·h(ALT), nothing masked",
    "influence": "The mean over all other positions of the window of the largest change of a "
    "base's log-odds there, |logit p(base | ALT) − logit p(base | REF)|; nothing masked",
    "divergence": "The mean over the positions at a distance of 1 to `flank` of "
    "Σ p(base | ALT) ln (p(base | ALT) / p(base | REF)); nothing masked",
}

_ALLELES = {
    "pseudo": "pseudo-log-likelihood ratio",
    "sequence": "two whole windows",
    None: "no",
}
_SWAPPED = {"negates": "negates it", "same": "leaves it the same", None: "another score"}

# Of each option, what it sets.
OPTIONS = {
    "species": "Which species' token stands before the sequence: its name in the checkpoint's "
    "vocabulary, such as `homo_sapiens`; `none` of a BERT of k-mers that has no species. Part of "
    "the store's key",
    "counted": "Of a likelihood, which tokens count: `all` but the first, special ones such as "
    "[SEP] too; or `nucleotides`, an N among them",
    "embedding": "Whose last hidden state is compared: that of the token that holds the `variant` "
    "(the mean where several do), or that of the window's `first` base",
    "definition": "`gagneur`: 1e-10 is added to each probability, then they are normalised again, "
    "and logarithms are binary. `songlab`: natural logarithms of the probabilities as they are",
    "flank": "Bases on each side of the site",
}


def kinds_of_options() -> dict[str, str]:
    """Return option → where it exists, in words."""
    where: dict[str, list[str]] = {option: [] for option in OPTION_VALUES}
    for kind, options in KIND_OPTIONS.items():
        for option in options:
            where[option].append(f"score `{kind}`")
    for family in FAMILIES.values():
        for option in family.options:
            where[option].append(f"`{family.name}`")
    return {option: ", ".join(places) for option, places in where.items()}


def defaults_of(option: str) -> str:
    """Return the defaults of an option, in words."""
    values: dict[object, list[str]] = {}
    for kind, options in KIND_OPTIONS.items():
        if option in options:
            values.setdefault(options[option], []).append(kind)
    for family in FAMILIES.values():
        if option in family.options:
            values.setdefault(family.options[option], []).append(family.name)
    shown = {value: "**required**" if value is None else f"`{value}`" for value in values}
    if len(values) == 1:
        return next(iter(shown.values()))
    return "; ".join(f"{text} ({', '.join(values[value])})" for value, text in shown.items())


def options_table() -> Table:
    """Return the options of families and kinds."""
    where = kinds_of_options()
    rows = [
        (f"`{option}`", where[option], _values(option), defaults_of(option), OPTIONS[option])
        for option in OPTION_VALUES
    ]
    return ("key", "of", "values", "default", "meaning"), rows


def _values(option: str) -> str:
    values = OPTION_VALUES[option]
    if values is not None:
        return ", ".join(f"`{value}`" for value in values)
    return "a whole number from 1" if option == "flank" else "a name"


def families_table() -> Table:
    """Return the families with what they score by default."""
    rows = [
        (
            f"`{family.name}`",
            family.title,
            _recognised(family),
            f"{family.window:,}",
            family.strands,
            family.scores[0],
            ", ".join(f"`{option}`" for option in family.options),
        )
        for family in FAMILIES.values()
    ]
    head = ("`family`", "models", "by itself where config.json has", "window, bp", "strands")
    return (*head, "score", "options"), rows


def _recognised(family: Family) -> str:
    """Return what of a config.json tells a family that no other shares."""
    alone = [
        name
        for name in family.model_types
        if sum(name in other.model_types for other in FAMILIES.values()) == 1
    ]
    told = [f"`model_type` {', '.join(alone)}"] if alone else []
    if family.auto_map != "\0":
        told.append(f"`auto_map` to {family.auto_map}")
    return " or ".join(told) or "say `family`"


def definitions_table() -> Table:
    """Return the kinds of score with their definitions."""
    rows = [
        (f"`{kind.name}`", FORMULAS[kind.name] + (f"; {kind.unit}" if kind.unit else ""))
        for kind in SCORE_KINDS.values()
    ]
    return ("`score`", "definition"), rows


def kinds_table() -> Table:
    """Return what follows from each kind of score, and which families have it."""
    rows = [
        (
            f"`{kind.name}`",
            f"`{kind.column}`",
            kind.harmful,
            _SWAPPED[kind.swap],
            _ALLELES[kind.alleles],
            _having(kind),
        )
        for kind in SCORE_KINDS.values()
    ]
    head = ("`score`", "column", "harmful end", "swapping REF and ALT", "indels and MNVs")
    return (*head, "families"), rows


def _having(kind: ScoreKind) -> str:
    """Return the families that have a kind of score, in bold those that have it by default."""
    having = [family for family in FAMILIES.values() if kind.name in family.scores]
    return ", ".join(
        f"**{family.name}**" if family.scores[0] == kind.name else family.name for family in having
    )


def columns_table() -> Table:
    """Return columns, INFO fields and tracks of each kind, those of alike kinds once."""
    alike: dict[tuple[str, ...], list[ScoreKind]] = {}
    for kind in SCORE_KINDS.values():
        alike.setdefault(tuple(name for name, _ in score_columns(kind)), []).append(kind)
    rows = [
        (
            ", ".join(f"`{kind.name}`" for kind in kinds),
            ", ".join(f"`{{model}}_{name}`" for name in names),
            ", ".join(f"`{tag}_{{model}}`" for tag in score_tags(kinds[0])),
            ", ".join(f"`{track.name}.bw`" for track in tracks_of(kinds[0])),
        )
        for names, kinds in alike.items()
    ]
    return ("`score`", "columns", "VCF INFO", "tracks"), rows


def costs_table() -> Table:
    """Return what a site costs."""
    return model_costs.HEAD, model_costs.rows()


BLOCKS: Mapping[str, Callable[[], Table]] = {
    "families": families_table,
    "definitions": definitions_table,
    "kinds": kinds_table,
    "options": options_table,
    "costs": costs_table,
}


def filled(text: str, table: Callable[..., str]) -> str:
    """Return a page with the tables between its marks made anew.

    Parameters
    ----------
    text : str
        With the lines `<!-- NAME -->` and `<!-- end of NAME -->` once for each block.
    table : function
        Head and rows → Markdown.
    """
    for name, make in BLOCKS.items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if text.count(start) != 1 or text.count(end) != 1:
            raise SystemExit(f"models.md: expected the lines {start.strip()} and {end} once each")
        head, rest = text.split(start)
        text = f"{head}{start}{table(*make())}{end}{rest.split(end)[1]}"
    return text
