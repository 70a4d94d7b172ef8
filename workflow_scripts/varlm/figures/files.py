"""Charts as files: SVG, and PNG at twice the size, drawn by vl-convert."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from varlm.files.whole import atomic_path

# Every figure of a report; all of them are written, those without data with a line that says so,
# so that a workflow can name them beforehand.
FIGURES = (
    "llr_by_consequence",
    "llr_density",
    "llr_along_genome",
    "llr_by_frequency",
    "strand_agreement",
    "percentiles",
)


def write_figures(specifications: Mapping[str, dict[str, Any]], folder: Path) -> None:
    """Write `{folder}/{name}.svg` and `.png` of each specification, on white."""
    import vl_convert  # starts a JavaScript engine: only where figures are drawn

    for name, specification in specifications.items():
        config = {**specification.get("config", {}), "background": "white"}
        text = json.dumps({**specification, "config": config})
        svg = _renumbered(vl_convert.vegalite_to_svg(text))
        with atomic_path(folder / f"{name}.svg") as temporary:
            temporary.write_text(svg, encoding="utf-8")
        with atomic_path(folder / f"{name}.png") as temporary:
            temporary.write_bytes(vl_convert.svg_to_png(svg, scale=2))


def _renumbered(svg: str) -> str:
    """Return the SVG, its gradients and clips numbered from 0, not over all of the process."""
    numbers: dict[str, int] = {}

    def renumber(match: re.Match[str]) -> str:
        number = numbers.setdefault(match[2] + match[3], len(numbers))
        return f"{match[1]}{match[2]}{number}"

    return re.sub(r'(id="|url\(#)(gradient_|clip)(\d+)', renumber, svg)
