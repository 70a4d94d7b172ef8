"""Colours and the Vega-Lite configuration that all charts share, on the page and in the figures.

On the page, text, axes and grid take their colours from the style sheet (`page.css`), which knows
light, dark and print; so the marks' colours must be readable on white and on near-black alike.
"""

from __future__ import annotations

from typing import Any

# Okabe and Ito's colour-blind-safe palette, its darkest and lightest hues moved to mid-tones.
BACKGROUND = "#8a919c"  # the genome's background, always grey
OTHERS = "#6b7280"  # the rarer classes together
ACCENT = "#3a87c8"
CATEGORIES = (
    "#d55e00",
    "#3a87c8",
    "#0a9e75",
    "#e0a100",
    "#c76fa3",
    "#57b4e5",
    "#8c6bd0",
    "#a3704c",
    "#26a8a8",
    "#e05252",
    "#8a9a2b",
    "#6f7fd8",
)
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def config() -> dict[str, Any]:
    """Return the Vega-Lite `config` of every chart (light; see the module's note on dark)."""
    text, faint = "#1d2733", "#d9dee5"
    return {
        "background": None,
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": text,
            "titleColor": text,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": 500,
            "titlePadding": 8,
            "domainColor": "#8a919c",
            "tickColor": "#8a919c",
            "gridColor": faint,
            "labelOverlap": "greedy",
        },
        "axisY": {"labelLimit": 170},
        "legend": {
            "labelColor": text,
            "titleColor": text,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": 500,
            "labelLimit": 200,
            "symbolStrokeWidth": 3,
        },
        "title": {"color": text, "fontSize": 14, "fontWeight": 600, "anchor": "start"},
        "range": {"category": list(CATEGORIES)},
    }
