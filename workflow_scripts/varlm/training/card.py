"""The model card of a training, and the picture of its learning curve."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import altair as alt
import polars as pl

from varlm.figures import theme
from varlm.training.corpus import REGIONS

_LOSS = "loss_"  # the curve's columns of the region classes
_SHOWN_SHARE = 0.02  # of the validation contigs' bases: the loss of fewer is noise


def learning_curve(curve: pl.DataFrame, corpus: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Vega-Lite specification of the losses over the steps, as perplexities.

    Region classes of which there is next to nothing in the validation windows are not shown. A
    Markov chain's steps are orders.

    Parameters
    ----------
    curve : polars.DataFrame
        The learning curve.
    corpus : mapping
        corpus.json of `prepare_training`.
    """
    by_order = "strength" in curve.columns
    sets = corpus["sets"]
    which = "validation" if sets["validation"]["windows"] else "held_out"
    bases = sets[which]["bases"]
    enough = [name for name in REGIONS if bases[name] >= _SHOWN_SHARE * sum(bases.values())]
    names = {"train_loss": "training, as masked", "validation_loss": "validation"}
    names |= {f"{_LOSS}{region}": f"validation, {region}" for region in enough}
    columns = [name for name in names if name in curve.columns]
    long = (
        curve.select("step", *columns)
        .unpivot(index="step", variable_name="part", value_name="loss")
        .drop_nulls("loss")
        .with_columns(
            pl.col("part").replace_strict(names), perplexity=pl.col("loss").cast(pl.Float64).exp()
        )
        .select("step", "part", "perplexity")
    )
    shown = [names[name] for name in columns if names[name] in set(long["part"])]
    chart = (
        alt.Chart(alt.Data(values=long.to_dicts()))
        .mark_line(point=alt.OverlayMarkDef(size=18))
        .encode(
            x=alt.X("step:Q", title="order" if by_order else "step"),
            y=alt.Y("perplexity:Q", title="perplexity", scale=alt.Scale(zero=False)),
            color=alt.Color(
                "part:N",
                title=None,
                scale=alt.Scale(domain=shown, range=list(theme.CATEGORIES[: len(shown)])),
            ),
        )
        .properties(width=520, height=320)
    )
    specification: dict[str, Any] = chart.to_dict()
    specification["config"] = theme.config()
    return specification


def model_card(
    name: str,
    corpus: Mapping[str, Any],
    config: Mapping[str, Any],
    settings: Mapping[str, Any],
    curve: pl.DataFrame,
    perplexity: pl.DataFrame | None,
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
    corpus : mapping
        corpus.json of `prepare_training`.
    config : mapping
        config.json of the checkpoint.
    settings : mapping
        Of the loop.
    curve : polars.DataFrame
        The learning curve.
    perplexity : polars.DataFrame or None
        `PERPLEXITY`; None: no contigs were held out.
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
        _use(name, config, corpus["window"]),
        "## Data\n",
        *_data(corpus),
        "## Training\n",
        *_training(config, settings, curve, start),
        "## Sequence that it never saw\n",
        *_unseen(corpus, curve, perplexity),
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
            'With the package gpn: `gpn.register_auto_classes("gpn")`, then '
            "`AutoModelForMaskedLM.from_pretrained(folder)`.\n"
        )
    return "\n".join(lines)


def _data(corpus: Mapping[str, Any]) -> Iterable[str]:
    yield _table(
        ("genome", "FASTA", "annotation", "contigs", "bases"),
        [
            (
                g["name"],
                g["fasta"],
                g["annotation"] or "none",
                f"{g['contigs']:,}",
                f"{g['bases']:,}",
            )
            for g in corpus["genomes"]
        ],
    )
    train = corpus["sets"]["train"]
    listed = ", ".join(f"{count:,} {reason}" for reason, count in train["left_out"].items())
    yield (
        f"{train['drawn']:,} windows of {corpus['window']} bp, one every {corpus['stride']} bp"
        + (f"; left out: {listed}" if listed else "")
        + ". "
        + (
            f"Without copies that assemblies share they are worth {train['weight']:,.0f}; each is "
            "drawn accordingly. "
            if corpus["deduplicate"]
            else "Every window is drawn alike. "
        )
        + f"{train['genic']:,} are genic (exons and {corpus['promoter']} bp promoters)"
        + (
            f", which {corpus['genic_share']:.0%} of the draws are.\n"
            if corpus["genic_share"] is not None
            else ".\n"
        )
    )
    for key, what in (("held_out", "Held out"), ("validation", "For validation")):
        if corpus[key]:
            yield f"{what}, in every genome: {', '.join(map(str, corpus[key]))}.\n"


def _training(
    config: Mapping[str, Any],
    settings: Mapping[str, Any],
    curve: pl.DataFrame,
    start: str | None,
) -> Iterable[str]:
    yield "Model: " + ", ".join(f"{k} {v}" for k, v in config.items() if k in _SHOWN) + ".\n"
    if config["model_type"] == "VarlmMarkov":
        yield "Counts of both strands, each order backed off to the one below.\n"
        return
    if start is not None:
        yield (
            f"Its first weights are those of `{start}`, which the figures of this section do not "
            "count.\n"
        )
    shown = ", ".join(f"{key} {value}" for key, value in settings.items() if value is not None)
    yield f"AdamW; {shown}.\n"
    last = curve.row(-1, named=True)
    yield (
        f"{last['step']:,} steps, {last['bases']:,} bases read, {last['seconds'] / 3600:.1f} h. "
        "The checkpoint is that of the point with the lowest validation loss.\n"
    )


_SHOWN = (
    *("encoder", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("first_kernel_size", "rest_kernel_size", "dilation_cycle", "dilation_max", "depthwise"),
    *("slim", "order"),
)


def _unseen(
    corpus: Mapping[str, Any], curve: pl.DataFrame, perplexity: pl.DataFrame | None
) -> Iterable[str]:
    losses = curve["validation_loss"].drop_nulls()
    if len(losses):
        low: float = losses.min()  # type: ignore[assignment]
        yield (
            "Lowest perplexity on the validation windows"
            + (" (15 % of the bases masked)" if "train_loss" in curve.columns else "")
            + f": {math.exp(low):.4f}.\n"
        )
    if perplexity is None:
        yield "No contig was held out: how good the model is on unseen sequence is not known.\n"
        return
    where = corpus["held_out"] or corpus["validation"]
    yield (
        f"Perplexity of single masked bases on {', '.join(map(str, where))}, "
        "with 95 % bootstrap intervals, the mean of both strands' probabilities:\n"
    )
    shown = perplexity.filter(pl.col("strands") == "mean")
    yield _table(
        ("model", "region", "sites", "perplexity", "ratio to the first"),
        [
            (
                row["model"],
                row["region"],
                f"{row['sites']:,}",
                _interval(row, "perplexity"),
                _interval(row, "ratio"),
            )
            for row in shown.iter_rows(named=True)
        ],
    )


def _limits(config: Mapping[str, Any], corpus: Mapping[str, Any]) -> Iterable[str]:
    held = corpus["held_out"] or corpus["validation"]
    if held:
        yield (
            f"- All contigs but {', '.join(map(str, held))} were trained on: evaluate scores on "
            "these alone. Variants between the training genomes are literally in the data.\n"
        )
    else:
        yield "- Every contig was trained on: no evaluation on these genomes is fair.\n"
    yield (
        "- A log-likelihood ratio says how unexpected an allele is in its sequence, to a model of "
        "sequence alone. It is no diagnosis, and it knows neither expression nor phenotype.\n"
    )
    yield f"- The model sees {corpus['window']} bp: what acts from further away it cannot know.\n"
    if config["model_type"] != "GPN":
        yield "- It is a baseline, to see other scores beside.\n"


def _interval(row: Mapping[str, float], name: str) -> str:
    return f"{row[name]:.3f} ({row[f'{name}_low']:.3f}–{row[f'{name}_high']:.3f})"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"
