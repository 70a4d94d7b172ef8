"""Scores by class: one row a class, with the middle half and nine tenths of its alleles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import altair as alt

from varlm.figures import theme
from varlm.report.charts.chart import (
    BACKGROUND_LABEL,
    INTERVALS,
    MEDIANS,
    Chart,
    Row,
    axis,
    five,
    score_axis,
)
from varlm.report.classes import CONSEQUENCE, ClassLabels, class_column, class_labels, labelled
from varlm.report.counts import ModelCounts
from varlm.report.distributions import Distribution
from varlm.report.scales import Scale

SHOWN_CLASSES = 12  # the rest are shown as one


def interval_chart(
    counts: Mapping[str, ModelCounts], backgrounds: Mapping[str, Distribution]
) -> Chart:
    """Return the chart of scores on one scale by class, against the background.

    The class is the consequence, or the kind of allele where no row has a consequence. The
    `SHOWN_CLASSES` most numerous are shown, the rest as one.
    """
    labels, word = class_labels(counts, SHOWN_CLASSES), class_word(counts)
    scale = next(iter(counts.values())).scale
    rows: list[Row] = [
        {"model": model, "class": label, **five(values)}
        for model, label, values in labelled_scores(counts, backgrounds, labels)
    ]
    behind = any(background.total for background in backgrounds.values())
    against = " The grey row is the genome's background." if behind else ""
    return Chart(
        "llr_by_consequence",
        f"{scale.heading} by {word}",
        f"Each {word}: the bar holds the middle half of its alleles, the line nine tenths, the "
        f"mark is the median. {scale.further}{against}",
        rows,
        lambda data, rows, _: interval_rows(data, rows, [BACKGROUND_LABEL, *labels.order], scale),
        "" if labels.order else "No allele has a score.",
    )


def class_word(counts: Mapping[str, ModelCounts]) -> str:
    """Return what a class is, in the words of a title."""
    return "consequence" if class_column(counts) == CONSEQUENCE else "kind of allele"


def labelled_scores(
    counts: Mapping[str, ModelCounts],
    backgrounds: Mapping[str, Distribution],
    labels: ClassLabels,
) -> Iterator[tuple[str, str, Distribution]]:
    """Yield (model, label, scores): each model's background, then its classes; none empty."""
    column = class_column(counts)
    for model, of_model in counts.items():
        by_label = labelled(of_model, column, labels)
        entries = [(label, by_label[label]) for label in labels.order if label in by_label]
        for label, values in [(BACKGROUND_LABEL, backgrounds[model]), *entries]:
            if values.total:
                yield model, label, values


def interval_rows(
    data: alt.Data, rows: Sequence[Row], order: list[str], scale: Scale
) -> alt.LayerChart:
    """Return the chart of one row a class: nine tenths, middle half and median of its scores.

    Parameters
    ----------
    rows : sequence
        Each with `class` and what `five` returns.
    order : list of str
        The classes from above; those without a row are left out.
    scale : Scale
        Of the scores.
    """
    present = {row["class"] for row in rows}
    order = [label for label in order if label in present]
    y = alt.Y("class:N", title=None, scale=alt.Scale(domain=order, paddingInner=0.35), sort=None)
    tooltip = [
        alt.Tooltip("class:N", title="class"),
        alt.Tooltip("alleles:Q", format=","),
        *(alt.Tooltip(f"{name}:Q", format=scale.format) for name, _ in INTERVALS),
    ]
    color = alt.condition(
        f"datum.class === '{BACKGROUND_LABEL}'",
        alt.value(theme.BACKGROUND),
        alt.value(theme.ACCENT),
    )
    base = alt.Chart(data).encode(y=y, tooltip=tooltip)
    along = score_axis(scale)
    x = alt.X("q05:Q", **along, axis=axis())
    whisker = base.mark_rule(strokeWidth=1.5).encode(x=x, x2="q95:Q", color=color)
    box = base.mark_bar(height={"band": 0.8}, opacity=0.75, cornerRadius=2)
    box = box.encode(x=alt.X("q25:Q", title=along["title"]), x2="q75:Q", color=color)
    middle = base.mark_tick(thickness=2.5, height={"band": 1.0}, color="#1d2733", opacity=1)
    middle = middle.encode(x=alt.X("median:Q", title=along["title"])).properties(name=MEDIANS)
    return alt.layer(whisker, box, middle).properties(height=24 * len(order))
