"""The model card of a training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from varlm.training.card_elements import measured_elements
from varlm.training.card_text import interval, markdown_table
from varlm.training.curve import chose_on
from varlm.training.description import CorpusDescription

_OF_VALIDATION = ("validation_windows", "patience")  # settings that do nothing without
# Options of a model, as far as its family has them.
_SHOWN = (
    *("encoder", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("first_kernel_size", "rest_kernel_size", "dilation_cycle", "dilation_max", "depthwise"),
    *("slim", "order"),
)


def model_card(
    name: str,
    corpus: CorpusDescription,
    config: Mapping[str, Any],
    settings: Mapping[str, Any],
    curve: pl.DataFrame,
    perplexity: pl.DataFrame | None,
    mutated: pl.DataFrame | None = None,
    elements: pl.DataFrame | None = None,
    motifs: pl.DataFrame | None = None,
    *,
    start: str | None,
    description: str | None,
    licence: str | None,
    size: int,
) -> str:
    """Return the card in Markdown.

    Parameters
    ----------
    name : str
    corpus : CorpusDescription
    config : mapping
        config.json of the checkpoint.
    settings : mapping
        Of the loop.
    curve : polars.DataFrame
        The learning curve.
    perplexity : polars.DataFrame or None
        `PERPLEXITY`; None: no contigs were held out.
    mutated : polars.DataFrame or None
        `MUTATED`.
    elements, motifs : polars.DataFrame or None
        `ELEMENTS`, `MOTIFS`.
    start : str or None
        The training or the checkpoint folder whose weights were the first ones.
    description, licence : str or None
        The config's words.
    size : int
        Of the checkpoint, bytes.
    """
    parts = [
        f"# {name}\n",
        *([description.strip() + "\n"] if description else []),
        f"A {config['model_type']} checkpoint of {size / 1e6:.1f} MB, made by varlm's `train`.\n",
        "## Use\n",
        _use(name, config, corpus.window),
        "## Data\n",
        *_data(corpus),
        "## Training\n",
        *_training(corpus, config, settings, curve, start),
        *_unseen(corpus, chose_on(curve, corpus), perplexity),
        *(_mutated(mutated) if mutated is not None and mutated.height else ()),
        *measured_elements(elements, motifs),
        "## Limits\n",
        *_limits(config, corpus),
        "## Licence\n",
        (licence or "Not stated by those who trained it.").strip() + "\n",
    ]
    return "\n".join(parts)


def _use(name: str, config: Mapping[str, Any], window: int) -> str:
    lines = [
        "```yaml",
        "models:",
        f"  {name}:",
        "    path: this folder",
        f"    window: {window}",
        "```\n",
    ]
    if config["model_type"] == "GPN":
        lines.append(
            'With the package gpn: `gpn.register_auto_classes("ss")` in gpn 0.9.0, '
            '`gpn.register_auto_classes("gpn")` in its pre-release 0.9.0a1; then '
            "`AutoModelForMaskedLM.from_pretrained(folder)`.\n"
        )
    return "\n".join(lines)


def _data(corpus: CorpusDescription) -> Iterable[str]:
    yield _genomes(corpus)
    train = corpus.sets["train"]
    listed = ", ".join(f"{count:,} {reason}" for reason, count in train.left_out.items())
    yield (
        f"{train.drawn:,} windows of {corpus.window} bp, one every {corpus.stride} bp"
        + (f"; left out: {listed}" if listed else "")
        + ". "
        + (
            f"Without copies that assemblies share they are worth {train.weight:,.0f}; each is "
            "drawn accordingly. "
            if corpus.deduplicate
            else "Every window is drawn alike. "
        )
        + ("Coding sequence counts less the commoner its proteins are. " if corpus.families else "")
        + f"{train.genic:,} are genic (exons and {corpus.promoter} bp promoters)"
        + (
            f", which {corpus.genic_share:.0%} of the draws are.\n"
            if corpus.genic_share is not None
            else ".\n"
        )
    )
    for contigs, purpose in (
        (corpus.held_out, "Held out"),
        (corpus.validation, "For validation"),
    ):
        if contigs:
            yield f"{purpose}, in every genome: {_names(contigs)}.\n"


def _genomes(corpus: CorpusDescription) -> str:
    """Return the table of genomes; with groups, which one each is of and what share that has."""
    columns = {
        "genome": [g.name for g in corpus.genomes],
        "FASTA": [g.fasta for g in corpus.genomes],
        "annotation": [g.annotation or "none" for g in corpus.genomes],
        "contigs": [f"{g.contigs:,}" for g in corpus.genomes],
        "bases": [f"{g.bases:,}" for g in corpus.genomes],
    }
    if corpus.shares is not None:
        shares = {group: f"{share:.3g}" for group, share in corpus.shares.items()}
        columns["group (its share of the draws)"] = [
            f"{g.group} ({shares[str(g.group)]})" for g in corpus.genomes
        ]
    return markdown_table(columns, zip(*columns.values(), strict=True))


def _training(
    corpus: CorpusDescription,
    config: Mapping[str, Any],
    settings: Mapping[str, Any],
    curve: pl.DataFrame,
    start: str | None,
) -> Iterable[str]:
    yield "Model: " + ", ".join(f"{k} {v}" for k, v in config.items() if k in _SHOWN) + ".\n"
    chosen_on = chose_on(curve, corpus)
    if config["model_type"] == "VarlmMarkov":
        yield (
            "Counts of both strands, each order backed off to the one below. "
            + _choice_of_back_off(corpus, chosen_on, curve)
            + "\n"
        )
        return
    if start is not None:
        yield (
            f"Its first weights are those of `{start}`, which the figures of this section do not "
            "count.\n"
        )
    unused = _OF_VALIDATION if chosen_on is None else ()
    shown = [f"{k} {v}" for k, v in settings.items() if v is not None and k not in unused]
    yield f"AdamW; {', '.join(shown)}.\n"
    is_masked = config["model_type"] == "GPN"
    masked = f" ({settings['mask_share']:.0%} of the bases masked)" if is_masked else ""
    last = curve.row(-1, named=True)
    yield (
        f"{last['step']:,} steps, {last['bases']:,} bases read, {last['seconds'] / 3600:.1f} h. "
        + _choice_of_checkpoint(corpus, chosen_on, curve, masked)
        + "\n"
    )


def _choice_of_checkpoint(
    corpus: CorpusDescription, chosen_on: str | None, curve: pl.DataFrame, masked: str
) -> str:
    """Return the sentence that says which point of the training the checkpoint is."""
    if chosen_on is None:
        return (
            "There was no window for validation, so that nothing chose the checkpoint: it is that "
            "of the last step."
        )
    return (
        "The checkpoint is that of the point with the lowest loss on "
        f"{_of(corpus, chosen_on)}, a perplexity of {_lowest(curve):.4f}{masked}."
    )


def _choice_of_back_off(
    corpus: CorpusDescription, chosen_on: str | None, curve: pl.DataFrame
) -> str:
    """Return the sentence that says where the back-off's strengths come from."""
    if chosen_on is None:
        return (
            "There was no window for validation, so that nothing chose how much the lower order "
            f"counts: as much as {curve['strength'][-1]:g} bases."
        )
    return (
        f"How much the lower order counts was chosen by the loss on {_of(corpus, chosen_on)}, "
        f"where the perplexity is {_lowest(curve):.4f} at best."
    )


def _of(corpus: CorpusDescription, chosen_on: str) -> str:
    """Return the words for the contigs of a set, as the config spells them."""
    if chosen_on == "validation":
        return f"the validation contigs ({_names(corpus.validation)})"
    return f"the contigs held out ({_names(corpus.held_out)})"


def _lowest(curve: pl.DataFrame) -> float:
    """Return the lowest perplexity on the windows that chose."""
    lowest: float = curve["validation_loss"].drop_nulls().min()  # type: ignore[assignment]
    return math.exp(lowest)


def _unseen(
    corpus: CorpusDescription, chosen_on: str | None, perplexity: pl.DataFrame | None
) -> Iterable[str]:
    """Return the section of the perplexities, under a title that is true of their contigs."""
    tested = "held_out" if corpus.held_out else "validation"
    if perplexity is None:
        yield "## Sequence that it never saw\n"
        yield "No contig was held out: how good the model is on unseen sequence is not known.\n"
        return
    if tested == chosen_on:
        yield "## Sequence that it was not trained on\n"
        yield (
            "The contigs below chose the checkpoint too: the figures flatter it, and sequence that "
            "it never saw may be predicted less well. Name contigs in `held_out` and others in "
            "`validation` to know.\n"
        )
    else:
        yield "## Sequence that it never saw\n"
    yield (
        f"Perplexity of single masked bases on {_names(getattr(corpus, tested))}, "
        "with 95 % bootstrap intervals, the mean of both strands' probabilities:\n"
    )
    shown = perplexity.filter(pl.col("strands") == "mean")
    yield markdown_table(
        ("model", "region", "sites", "perplexity", "ratio to this model"),
        [
            (
                row["model"],
                row["region"],
                f"{row['sites']:,}",
                interval(row, "perplexity"),
                interval(row, "ratio"),
            )
            for row in shown.iter_rows(named=True)
        ],
    )


def _mutated(shares: pl.DataFrame) -> Iterable[str]:
    """Return the paragraph and the table of real and mutated sequences."""
    kinds = {
        "all": "insertions, deletions, swaps of neighbours and substitutions",
        "substitutions": "substitutions",
    }[shares["kinds"][0]]
    pseudo = shares.filter(pl.col("likelihood") == "pseudo")["model"].unique(maintain_order=True)
    yield (
        f"Sequences of the same contigs beside the same with 1 to M random {kinds}: the share of "
        f"{shares['pairs'][0]:,} pairs of which the real one is the likelier, by a base's mean "
        "log-likelihood or by the sum, with 95 % intervals; 0.5 is a guess"
        + (
            f". A masked model ({', '.join(pseudo)}) has no likelihood: what one pass says of "
            "every base, none masked, stands for it"
            if len(pseudo)
            else ""
        )
        + ":\n"
    )
    rows = shares.partition_by("model", "most", maintain_order=True)
    yield markdown_table(
        ("model", "M", "by the mean", "by the sum"),
        [
            (
                part["model"][0],
                str(part["most"][0]),
                *(interval(row, "share") for row in part.iter_rows(named=True)),
            )
            for part in rows
        ],
    )


def _limits(config: Mapping[str, Any], corpus: CorpusDescription) -> Iterable[str]:
    untrained = corpus.held_out or corpus.validation
    if untrained:
        yield (
            f"- All contigs but {_names([*corpus.held_out, *corpus.validation])} were trained on: "
            f"evaluate scores on {_names(untrained)} alone. Variants between the training genomes "
            "are literally in the data.\n"
        )
    else:
        yield "- Every contig was trained on: no evaluation on these genomes is fair.\n"
    yield (
        "- A log-likelihood ratio says how unexpected an allele is in its sequence, to a model of "
        "sequence alone. It is no diagnosis, and it knows neither expression nor phenotype.\n"
    )
    yield f"- The model sees {corpus.window} bp: what acts from further away it cannot know.\n"
    if config["model_type"] != "GPN":
        yield "- It is a baseline, to see other scores beside.\n"


def _names(contigs: Sequence[str]) -> str:
    return ", ".join(map(str, contigs))
