"""Features that pass the end of a contig: passed over if few, another assembly's if many."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from varlm.annotation.genes.lines import CDS_TYPES, CUT_CDS, PART_TYPES
from varlm.errors import UserError

log = logging.getLogger(__name__)

# An annotation of another assembly has genes beyond the ends of most contigs that differ. Single
# tools let a gene or two hang over (Bakta's tmRNA: github.com/oschwengers/bakta/issues/377).
_PLACES, _SHARE = 10, 0.01  # of many lines: so many places, and more than this share of the lines
_FEW_PLACES, _FEW_SHARE = 3, 0.1  # of few lines
_MOST = 0.5  # and whatever the number, more than this share


def within_ends(
    features: pl.DataFrame,
    lengths: Mapping[str, int],
    declared: Mapping[str, int],
    circular: set[str],
    path: Path,
) -> pl.DataFrame:
    """Return the features less those that pass the end of a contig that is not circular.

    A gene or transcript that passes it stays, cut, where parts of it remain; of a coding piece
    that passes it a `CUT_CDS` stays beside the other parts: that sequence is not whole.

    Parameters
    ----------
    features : polars.DataFrame
        `gff.FEATURES`, contigs named as in the reference.
    lengths, declared : mapping
        Contig of the reference → its length, and the length that the file's header declares.
    circular : set of str
        Contigs of the reference whose ends are looked after elsewhere.
    path : Path
        For messages.

    Raises
    ------
    UserError
        If so many pass, or the header declares such lengths, that it is another assembly's.
    """
    length = pl.col("contig").replace_strict(lengths, return_dtype=pl.Int64)
    passes = (pl.col("end") > length) & ~pl.col("contig").is_in(circular)
    past = features.filter(passes)
    if not past.height:
        return features
    first = past.row(0, named=True)
    shown = (
        f"line {first['line']}: {first['type']} {first['start'] + 1}-{first['end']} on contig "
        f"{first['contig']!r}, which has {lengths[first['contig']]} bp in the reference"
    )
    longer = [c for c in past["contig"].unique() if declared.get(c, 0) > lengths[c]]
    if longer or _is_another(past, features.height):
        raise UserError(
            f"{path}, {shown} ({past.height} features pass the end of their contig); is it the "
            "annotation of another assembly? Give the one of this reference"
        )
    log.warning(
        "%s: %d of %d features pass the end of their contig and are passed over (%s)",
        path,
        past.height,
        features.height,
        shown,
    )
    inside = features.filter(~passes)
    return pl.concat([inside, _remains(past.with_columns(length.alias("length")), inside)]).sort(
        "line", maintain_order=True
    )


def _is_another(past: pl.DataFrame, total: int) -> bool:
    """Tell whether features pass ends in such number that the annotation is of other sequences."""
    reach = pl.col("end").cum_max().shift(1).over("contig")
    places = past.sort("contig", "start", "end").select(
        (pl.col("start") >= reach).fill_null(True).sum()
    )
    share = past.height / total
    return (
        share > _MOST
        or (places.item() >= _PLACES and share > _SHARE)
        or (places.item() >= _FEW_PLACES and share > _FEW_SHARE)
    )


def _remains(past: pl.DataFrame, inside: pl.DataFrame) -> pl.DataFrame:
    """Return what is kept of features past an end: what belongs to parts that remain, cut."""
    is_part = pl.col("type").is_in(PART_TYPES)
    # Of GFF3, then of GTF: what a part belongs to, the name of a node, what it belongs to.
    owner = pl.coalesce("parent", "id", "transcript_id", "gene_id")
    name = pl.coalesce("id", "transcript_id", "gene_id")
    above = pl.coalesce("parent", pl.when(pl.col("id").is_null()).then("gene_id"))
    parts, nodes = past.filter(is_part), past.filter(~is_part)
    parts = parts.join(
        _names(inside.filter(is_part), owner),
        left_on=["contig", owner],
        right_on=["contig", "of"],
        how="semi",
    )
    names = pl.concat(
        [_names(inside.filter(is_part), owner), _names(inside.filter(~is_part), above)]
    )
    kept = nodes.clear()
    for _ in range(3):  # gene, transcript, miRNA: each holds the next
        kept = nodes.join(names, left_on=["contig", name], right_on=["contig", "of"], how="semi")
        names = pl.concat([names, _names(kept, above)])
    marks = parts.filter(pl.col("type").is_in([*CDS_TYPES, "stop_codon"])).with_columns(
        pl.lit(CUT_CDS).alias("type"), pl.min_horizontal("start", pl.col("length") - 1)
    )
    cut = pl.concat([parts, kept]).filter(pl.col("start") < pl.col("length"))
    remains = pl.concat([cut, marks]).with_columns(pl.col("length").alias("end"))
    return remains.select(inside.columns)


def _names(features: pl.DataFrame, name: pl.Expr) -> pl.DataFrame:
    """Return contig and `of`: the names in a column, which may hold several with commas between."""
    names = features.select("contig", name.str.split(",").alias("of"))
    return names.explode("of", empty_as_null=True).drop_nulls().unique()
