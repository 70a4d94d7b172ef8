"""Sequence logos around the top hits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from varlm.genome.reference import Genome
from varlm.report import logo, page
from varlm.report.given import ReportInput
from varlm.results.top_hits import pictured
from varlm.scoring import formulas
from varlm.tables.parquet import read_table
from varlm.tables.schemas import SITES

_PICTURE_BYTES = 2_500_000  # of all pictures together


def _pictures(
    given: ReportInput,
    best: Mapping[str, pl.DataFrame],
    contigs: Mapping[str, str],
    genome: Genome,
) -> list[dict[str, Any]]:
    groups = []
    left = _PICTURE_BYTES
    for model in given.models:
        chosen = pictured(best[model.name], given.pictures) if given.pictures else None
        if chosen is None or not chosen.height:
            continue
        sites = _SiteHeights(model.pictures)
        rows = list(chosen.iter_rows(named=True))
        drawn = [_picture(row, contigs[row["chrom"]], genome, sites, given.flank) for row in rows]
        axis = logo.axis_height(drawn)
        shown = []
        for row, picture in zip(rows, drawn, strict=True):
            title = _allele(row)
            svg = logo.draw(picture, axis, f"Sequence logo around {title}, model {model.name}")
            left -= len(svg)
            if left < 0:
                break
            shown.append({"title": title, "facts": _picture_facts(row, model.name), "svg": svg})
        left_out = len(rows) - len(shown)
        groups.append({"model": model.name, "pictures": shown, "left_out": left_out})
    return groups


class _SiteHeights:
    """Heights of letters by contig and position, from a model's pictures table."""

    def __init__(self, path: Path):
        table = read_table(path, SITES)
        logits = formulas.site_logits(table)
        self.heights = logo.letter_heights(logits)
        keys = table.select("contig", "pos").iter_rows()
        self.row = {key: i for i, key in enumerate(keys)}

    def at(self, contig: str, start: int, columns: int) -> np.ndarray:
        """Return heights of `columns` positions from 1-based `start`, NaN where unknown."""
        heights = np.full((columns, 4), np.nan)
        for i in range(columns):
            row = self.row.get((contig, start + i))
            if row is not None:
                heights[i] = self.heights[row]
        return heights


def _picture(
    row: Mapping[str, Any], contig: str, genome: Genome, sites: _SiteHeights, flank: int
) -> logo.Picture:
    start = row["pos"] - flank
    columns = len(row["ref"]) + 2 * flank
    bases = genome.sequence(contig)
    low, high = max(start - 1, 0), min(start - 1 + columns, len(bases))
    inside = bases[low:high].tobytes().decode("ascii")
    sequence = (" " * (low - start + 1) + inside).ljust(columns)
    heights = sites.at(contig, start, columns)
    return logo.Picture(start, sequence, heights, row["pos"], row["ref"], row["alt"])


def _allele(row: Mapping[str, Any]) -> str:
    ref, alt = page.cut(row["ref"], 24), page.cut(row["alt"], 24)
    return f"{page.cut(row['chrom'], 60)}:{row['pos']:,} {ref}>{alt}"


def _picture_facts(row: Mapping[str, Any], model: str) -> str:
    parts = [f"LLR {page.decimals(row[f'{model}_llr'])}"]
    for name, column in (("p(ref)", "p_ref"), ("p(alt)", "p_alt")):
        value = row[f"{model}_{column}"]
        if value is not None:
            parts.append(f"{name} {value:.3f}" if value >= 0.001 else f"{name} {value:.1e}")
    parts += [
        page.cut(str(row[name]), 60)
        for name in ("consequence", "gene", "protein_change", "id")
        if row[name] is not None
    ]
    return " · ".join(parts)
