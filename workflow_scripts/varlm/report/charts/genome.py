"""Scores along the genome."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt

from varlm.report.charts.chart import Chart, Row, axis, rounded
from varlm.report.counts import GenomeBins, ModelCounts
from varlm.report.scales import Scale

MIN_FOR_WINDOW = 5  # alleles in a stretch of the genome that gets a quantile


def genome_chart(counts: Mapping[str, ModelCounts], bins: GenomeBins) -> Chart:
    """Return the heat map along the genome, of scores on one scale.

    The signal `metric` chooses median, q05 (the quantile at the harmful end) or alleles.
    """
    rows: list[Row] = []
    scale = next(iter(counts.values())).scale
    unit, bases = ("Mb", 1e6) if max(bins.contigs.values(), default=0) >= 1e6 else ("kb", 1e3)
    for model, of_model in counts.items():
        for (contig, window), values in of_model.by("genome", "contig", "window").items():
            assert isinstance(window, int)
            enough = values.total >= MIN_FOR_WINDOW
            end = min((window + 1) * bins.width, bins.contigs[str(contig)])
            rows.append(
                {
                    "model": model,
                    "contig": contig,
                    "start": window * bins.width / bases,
                    "end": end / bases,
                    "from": window * bins.width + 1,
                    "to": end,
                    "alleles": values.total,
                    "median": rounded(values.quantile(0.5), scale.bins) if enough else None,
                    scale.tail_column: (
                        rounded(values.quantile(scale.tail), scale.bins) if enough else None
                    ),
                }
            )
    more = f"; the {len(bins.contigs)} longest contigs, {bins.left_out} shorter ones are left out"
    return Chart(
        "llr_along_genome",
        f"{scale.heading} along the genome",
        f"Stretches of {bins.width:,} bp, coloured where they have at least {MIN_FOR_WINDOW} "
        f"alleles{more if bins.left_out else ''}.",
        rows,
        lambda data, *_: _genome_map(data, list(bins.contigs), unit, scale),
        ""
        if any(row["median"] is not None for row in rows)
        else f"No stretch of the genome has {MIN_FOR_WINDOW} alleles.",
    )


def _genome_map(data: alt.Data, contigs: list[str], unit: str, scale: Scale) -> alt.Chart:
    tail = scale.tail_column
    value = "metric" if tail == "q05" else f"metric === 'q05' ? '{tail}' : metric"
    metric = alt.param(name="metric", value="median")
    return (
        alt.Chart(data)
        .transform_calculate(value=f"datum[{value}]")
        .mark_rect(strokeWidth=0, invalid=None)
        .encode(
            x=alt.X(
                "start:Q",
                title=f"position ({unit})",
                scale=alt.Scale(nice=False, zero=True),
                axis=axis(format=",.6~f"),
            ),
            x2="end:Q",
            y=alt.Y(
                "contig:N", title=None, scale=alt.Scale(domain=contigs, padding=0.15), sort=None
            ),
            color=alt.condition(
                "isValid(datum.value)",
                alt.Color("value:Q", title=None, scale=alt.Scale(scheme="viridis", zero=False)),
                alt.value("#8a919c55"),
            ),
            tooltip=[
                alt.Tooltip("contig:N"),
                alt.Tooltip("from:Q", format=","),
                alt.Tooltip("to:Q", format=","),
                alt.Tooltip("alleles:Q", format=","),
                alt.Tooltip("median:Q", format=scale.format),
                alt.Tooltip(f"{tail}:Q", title=scale.tail_words, format=scale.format),
            ],
        )
        .add_params(metric)
        .properties(height=18 * len(contigs))
    )
