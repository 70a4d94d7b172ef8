"""How the draws are shared out: in and outside genes, and between groups of genomes."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from varlm.errors import UserError

_TRAIN = pl.col("set") == "train"


def balanced(windows: pl.DataFrame, genic_share: float | None) -> pl.DataFrame:
    """Give the training windows in and outside genes their shares of the draws.

    Parameters
    ----------
    windows : polars.DataFrame
        `WINDOWS`.
    genic_share : float or None
        Share of what is in genes; None: nothing changes, nor where all windows are of one kind.
    """
    if genic_share is None:
        return windows
    genic = float(windows.filter(_TRAIN & pl.col("genic"))["weight"].sum())
    rest = float(windows.filter(_TRAIN & ~pl.col("genic"))["weight"].sum())
    if not genic or not rest:  # no annotation, or nothing but genes
        return windows
    factor = pl.when("genic").then(genic_share / genic).otherwise((1 - genic_share) / rest)
    scale = genic + rest
    return windows.with_columns(
        weight=pl.when(_TRAIN).then(pl.col("weight") * factor * scale).otherwise("weight")
    )


def shared_out(
    windows: pl.DataFrame,
    genic_share: float | None,
    shares: Mapping[str, float],
    group_of: Mapping[str, str | None],
) -> pl.DataFrame:
    """Give groups of genomes their shares of the draws, each with its share in genes.

    Parameters
    ----------
    windows : polars.DataFrame
        `WINDOWS`, by start.
    genic_share : float or None
        Share of what is in genes, of each group.
    shares : mapping
        Group → its share of the draws; all of them add up to 1.
    group_of : mapping
        Genome → its group.

    Returns
    -------
    polars.DataFrame
        The same windows. The weights of those to train on still add up to what they did.

    Raises
    ------
    UserError
        If a group has nothing to draw.
    """
    total = float(windows.filter(_TRAIN)["weight"].sum())
    parts = []
    for group, share in shares.items():
        members = [genome for genome, other in group_of.items() if other == group]
        part = balanced(windows.filter(pl.col("genome").is_in(members)), genic_share)
        own = float(part.filter(_TRAIN)["weight"].sum())
        if not own:
            raise UserError(
                f"windows.shares: no window of the group {group} is left to train on; its genomes "
                f"are {', '.join(members)}: give it others, or no share"
            )
        weight = pl.col("weight") * (share * total / own)
        parts.append(part.with_columns(weight=pl.when(_TRAIN).then(weight).otherwise("weight")))
    return pl.concat(parts).sort("start")
