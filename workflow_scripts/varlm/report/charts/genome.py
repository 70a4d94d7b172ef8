"""LLR along the genome."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt

from varlm.report.charts.chart import Chart, Row, axis, rounded
from varlm.report.counts import GenomeBins, ModelCounts

MIN_FOR_WINDOW = 5  # alleles in a stretch of the genome that gets a quantile


def genome_chart(counts: Mapping[str, ModelCounts], bins: GenomeBins) -> Chart:
    """Return the heat map along the genome; the signal `metric` chooses median, q05 or alleles."""
    rows: list[Row] = []
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
                    "median": rounded(values.quantile(0.5)) if enough else None,
                    "q05": rounded(values.quantile(0.05)) if enough else None,
                }
            )
    more = f"; the {len(bins.contigs)} longest contigs, {bins.left_out} shorter ones are left out"
    return Chart(
        "llr_along_genome",
        "LLR along the genome",
        f"Stretches of {bins.width:,} bp, coloured where they have at least {MIN_FOR_WINDOW} "
        f"alleles{more if bins.left_out else ''}.",
        rows,
        lambda data, *_: _genome_map(data, list(bins.contigs), unit),
        ""
        if any(row["median"] is not None for row in rows)
        else f"No stretch of the genome has {MIN_FOR_WINDOW} alleles.",
    )


def _genome_map(data: alt.Data, contigs: list[str], unit: str) -> alt.Chart:
    metric = alt.param(name="metric", value="median")
    return (
        alt.Chart(data)
        .transform_calculate(value="datum[metric]")
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
                alt.Tooltip("median:Q", format=".2f"),
                alt.Tooltip("q05:Q", title="5 % quantile", format=".2f"),
            ],
        )
        .add_params(metric)
        .properties(height=18 * len(contigs))
    )
