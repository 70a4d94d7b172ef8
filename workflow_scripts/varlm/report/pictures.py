"""The section "Top hits in their sequence": sequence logos around the top hits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from varlm.genome.reference import Genome
from varlm.report import logo
from varlm.report.inputs import ReportInput, ReportModel
from varlm.report.text import cut, decimals
from varlm.results.top_hits import picture_columns, pictured
from varlm.scoring import formulas

_PICTURE_BYTES = 2_500_000  # of all pictures together


@dataclass(frozen=True)
class LogoFigure:
    """A sequence logo, the allele as its title, and its scores in a line."""

    title: str
    facts: str
    svg: Markup


@dataclass(frozen=True)
class LogoGroup:
    """The logos of a model's top hits, and how many more did not fit."""

    model: str
    pictures: list[LogoFigure]
    left_out: int


def logo_groups(inputs: ReportInput) -> list[LogoGroup]:
    """Return the logos of each model that has hits to picture and gives bases probabilities.

    No more than a page can hold.
    """
    groups: list[LogoGroup] = []
    left = _PICTURE_BYTES
    for model in inputs.models:
        if not model.prepared.kind.distribution:
            continue
        rows = pictured(model.hits, inputs.options.pictures).to_dicts()
        if not rows:
            continue
        figures = []
        for figure in _figures(rows, model, inputs):
            left -= len(figure.svg)
            if left < 0:
                break
            figures.append(figure)
        groups.append(LogoGroup(model.name, figures, len(rows) - len(figures)))
    return groups


def _figures(
    rows: Sequence[Mapping[str, Any]], model: ReportModel, inputs: ReportInput
) -> list[LogoFigure]:
    """Return a model's logos, all with one axis."""
    sites, flank = _SiteHeights(model.sites), inputs.options.flank
    pictures = [
        _picture(row, inputs.contigs[row["chrom"]], inputs.genome, sites, flank) for row in rows
    ]
    axis = logo.axis_height(pictures)
    figures = []
    for row, picture in zip(rows, pictures, strict=True):
        title = _allele(row)
        svg = logo.draw(picture, axis, f"Sequence logo around {title}, model {model.name}")
        figures.append(LogoFigure(title, _facts(row, model.name), svg))
    return figures


class _SiteHeights:
    """Heights of letters by contig and position, from a model's `schemas.SITES`."""

    def __init__(self, sites: pl.DataFrame):
        logits = formulas.site_logits(sites)
        self.heights = logo.letter_heights(logits)
        keys = sites.select("contig", "pos").iter_rows()
        self.row = {key: i for i, key in enumerate(keys)}

    def at(self, contig: str, positions: np.ndarray) -> np.ndarray:
        """Return heights at 1-based positions, NaN where unknown."""
        heights = np.full((len(positions), 4), np.nan)
        for i, position in enumerate(positions.tolist()):
            row = self.row.get((contig, position))
            if row is not None:
                heights[i] = self.heights[row]
        return heights


def _picture(
    row: Mapping[str, Any], contig: str, genome: Genome, sites: _SiteHeights, flank: int
) -> logo.Picture:
    positions = picture_columns(genome[contig], row["pos"], row["ref"], flank)
    letters = genome.sequence(contig)[positions - 1]
    sequence = np.where(positions > 0, letters, ord(" ")).astype(np.uint8).tobytes().decode("ascii")
    heights = sites.at(contig, positions)
    return logo.Picture(positions, sequence, heights, row["pos"], row["ref"], row["alt"])


def _allele(row: Mapping[str, Any]) -> str:
    ref, alt = cut(row["ref"], 24), cut(row["alt"], 24)
    return f"{cut(row['chrom'], 60)}:{row['pos']:,} {ref}>{alt}"


def _facts(row: Mapping[str, Any], model: str) -> str:
    parts = [f"LLR {decimals(row[f'{model}_llr'])}"]
    for name, column in (("p(ref)", "p_ref"), ("p(alt)", "p_alt")):
        value = row[f"{model}_{column}"]
        if value is not None:
            parts.append(f"{name} {value:.3f}" if value >= 0.001 else f"{name} {value:.1e}")
    parts += [
        cut(str(row[name]), 60)
        for name in ("consequence", "gene", "protein_change", "id")
        if row[name] is not None
    ]
    return " · ".join(parts)
