"""The learning curve: what it says of the contigs that chose the checkpoint, and its picture."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from varlm.figures import theme
from varlm.training.corpus import REGIONS
from varlm.training.description import CorpusDescription

_LOSS = "loss_"  # the curve's columns of the region classes
_SHOWN_SHARE = 0.02  # of the validation contigs' bases: the loss of fewer is noise
_WIDTH, _HEIGHT = 520, 320  # pixels


def chose_on(curve: pl.DataFrame, corpus: CorpusDescription) -> str | None:
    """Return the set whose loss chose the checkpoint; None: nothing did.

    Earlier code let the held-out contigs choose where there were none for validation. It shows in
    the curve, which then has losses all the same.
    """
    if curve["validation_loss"].null_count() == curve.height:
        return None
    return "validation" if corpus.validates else "held_out"


def learning_curve(curve: pl.DataFrame, corpus: CorpusDescription) -> dict[str, Any]:
    """Return the Vega-Lite specification of the losses over the steps, as perplexities.

    Region classes of which there is next to nothing in the validation windows are not shown. A
    Markov chain's steps are orders. Without validation windows the training loss stands alone; a
    chain then has none, which the picture says.

    Parameters
    ----------
    curve : polars.DataFrame
        The learning curve.
    corpus : CorpusDescription
    """
    chosen_on = chose_on(curve, corpus) or "validation"
    bases = corpus.sets[chosen_on].bases
    enough = [name for name in REGIONS if bases[name] >= _SHOWN_SHARE * sum(bases.values())]
    label = chosen_on.replace("_", "-")
    names = {"train_loss": "training, as masked", "validation_loss": label}
    names |= {f"{_LOSS}{region}": f"{label}, {region}" for region in enough}
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
    chart = _lines(long, shown, by_order="strength" in curve.columns) if shown else _nothing()
    specification: dict[str, Any] = chart.properties(width=_WIDTH, height=_HEIGHT).to_dict()
    specification["config"] = theme.config()
    return specification


def _lines(long: pl.DataFrame, shown: list[str], *, by_order: bool) -> alt.Chart:
    """Return a line for each part."""
    colours = alt.Scale(domain=shown, range=list(theme.CATEGORIES[: len(shown)]))
    return (
        alt.Chart(alt.Data(values=long.to_dicts()))
        .mark_line(point=alt.OverlayMarkDef(size=18))
        .encode(
            x=alt.X("step:Q", title="order" if by_order else "step"),
            y=alt.Y("perplexity:Q", title="perplexity", scale=alt.Scale(zero=False)),
            color=alt.Color("part:N", title=None, scale=colours),
        )
    )


def _nothing() -> alt.Chart:
    """Return a line that says why there is no curve: vl-convert cannot draw an empty one."""
    words = [{"text": "no loss to show: there was no window for validation"}]
    return alt.Chart(alt.Data(values=words)).mark_text(fontSize=14).encode(text="text:N")
