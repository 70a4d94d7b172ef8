"""Where one coding sequence ends and another begins among the pieces that share a name.

A protein in several pieces and several proteins look the same where every piece is whole codons.
Then the genome decides: an in-frame stop codon with a start codon behind it ends a protein. In a
spliced one, a piece does not end in a stop.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.genome.bases import COMPLEMENT

Sequence = Callable[[str], NDArray[np.uint8]]  # contig → its bases, ASCII

MAX_SLIPPAGE = 3  # bp that a reading frame may step forth or back: no boundary of two proteins
_STOPS = ("TAA", "TAG", "TGA")
_STARTS = r"^(?:[ACGT]TG|AT[ACGT])$"


def with_order(pieces: pl.DataFrame) -> pl.DataFrame:
    """Sort coding pieces by `key` and place in the direction of translation, column `order`."""
    order = pl.when(pl.col("strand") == "-").then(-pl.col("end")).otherwise("start")
    return pieces.with_columns(order.alias("order")).sort("key", "order")


def cuts(
    pieces: pl.DataFrame, exons: pl.DataFrame, introns: pl.DataFrame, sequence: Sequence | None
) -> pl.DataFrame:
    """Return the pieces behind which another protein begins.

    Parameters
    ----------
    pieces : polars.DataFrame
        `key`, `contig`, `start`, `end`, `strand`, `phase`: coding pieces, each once; those of a key
        on one strand.
    exons, introns : polars.DataFrame
        `key`, `start`, `end`, as the file states them.
    sequence : callable or None
        Contig → bases. Without it only those boundaries are found that lie inside an exon.

    Returns
    -------
    polars.DataFrame
        `key`, `order` (as `with_order`) of the last piece of each protein but the last.
    """
    found = _candidates(pieces)
    if not found.height:
        return found.select("key", "order")
    ends = exons.select("key", pl.col("end").alias("low"), pl.lit(True).alias("ends")).unique()
    starts = exons.select("key", pl.col("start").alias("high"), pl.lit(True).alias("starts"))
    across = introns.select(
        "key",
        pl.col("start").alias("low"),
        pl.col("end").alias("high"),
        pl.lit(True).alias("cross"),
    )
    for table, keys in (
        (ends, ["key", "low"]),
        (starts.unique(), ["key", "high"]),
        (across.unique(), ["key", "low", "high"]),
    ):
        found = found.join(table, on=keys, how="left", maintain_order="left")
    spliced = ((pl.col("ends") & pl.col("starts")) | pl.col("cross")).fill_null(False)
    found = found.with_columns(spliced.alias("spliced"))
    if sequence is None:
        inside = found.filter(~pl.col("spliced")).join(exons, on="key", suffix="_exon")
        return inside.filter(
            (pl.col("start_exon") < pl.col("low")) & (pl.col("end_exon") > pl.col("high"))
        ).select("key", "order")
    found = _with_codons(found, sequence)
    ended = pl.col("last").is_in(_STOPS)
    surely = ended & (pl.col("first") == "ATG")
    likely = (ended | pl.col("after").is_in(_STOPS)) & pl.col("first").str.contains(_STARTS)
    return found.filter(pl.when(pl.col("spliced")).then(surely).otherwise(likely)).select(
        "key", "order"
    )


def _candidates(pieces: pl.DataFrame) -> pl.DataFrame:
    """Return the pieces that end with a codon, before one that begins with one, apart from it."""
    pieces = with_order(pieces)
    forward = pl.col("strand") != "-"
    length = (pl.col("end") - pl.col("start")).cum_sum().over("key")
    phase = pl.col("phase").fill_null(0).cast(pl.Int64)
    behind = [pl.col(name).shift(-1).over("key") for name in ("start", "end")]
    joined = pieces.with_columns(
        ((length - phase.first().over("key")) % 3 == 0).alias("closed"),
        (phase.shift(-1).over("key") == 0).alias("opens"),
        pl.when(forward).then("end").otherwise(behind[1]).alias("low"),
        pl.when(forward).then(behind[0]).otherwise("start").alias("high"),
    )
    apart = pl.col("high") - pl.col("low") > MAX_SLIPPAGE
    return joined.filter(pl.col("closed") & pl.col("opens") & apart)


def _with_codons(found: pl.DataFrame, sequence: Sequence) -> pl.DataFrame:
    """Add the codons before a boundary (`last`), behind it (`after`), and the next `first`."""
    tables = []
    for (contig,), rows in found.group_by("contig", maintain_order=True):
        bases = sequence(str(contig))
        forward = (rows["strand"] != "-").fill_null(True).to_numpy()
        low, high = rows["low"].to_numpy(), rows["high"].to_numpy()
        places = {
            "last": np.where(forward, low - 3, high),
            "after": np.where(forward, low, high - 3),
            "first": np.where(forward, high, low - 3),
        }
        codons = [pl.Series(name, _codons(bases, at, forward)) for name, at in places.items()]
        tables.append(rows.with_columns(codons))
    return pl.concat(tables)


def _codons(
    bases: NDArray[np.uint8], at: NDArray[np.int64], forward: NDArray[np.bool_]
) -> list[str]:
    """Return three bases from each place on; of the reverse strand, as it reads."""
    index = at[:, None] + np.arange(3)
    triples = bases[index.clip(0, len(bases) - 1)]
    triples = np.where(forward[:, None], triples, COMPLEMENT[triples[:, ::-1]])
    return [bytes(triple).decode("ascii", "replace") for triple in triples.astype(np.uint8)]


def ends_in_stop(pieces: pl.DataFrame, sequence: Sequence) -> pl.Series:
    """Tell of each piece, a protein of its own, whether a stop codon ends it or follows it."""
    rows = pieces.with_row_index("at").with_columns(
        pl.col("end").alias("low"), pl.col("start").alias("high")
    )
    codons = _with_codons(rows, sequence).sort("at")
    return codons["last"].is_in(_STOPS) | codons["after"].is_in(_STOPS)


def read_on(pieces: pl.DataFrame) -> pl.DataFrame:
    """Tell of each `key` whether its pieces read as one protein: column `chain`.

    They overlap by no more than a slip of the ribosome, and state phases that follow from their
    lengths, not all of them 0.
    """
    pieces = with_order(pieces)
    length = pl.col("end") - pl.col("start")
    phase = pl.col("phase").cast(pl.Int64)
    before = (length.cum_sum() - length).over("key")
    expected = ((phase.first().over("key") - before) % 3 + 3) % 3
    after = pl.col("order").shift(-1).over("key")
    flags = pieces.select(
        "key",
        (phase == expected).fill_null(False).alias("follows"),
        (after >= pl.col("order") + length - MAX_SLIPPAGE).fill_null(True).alias("apart"),
        (phase > 0).alias("inside"),
    )
    chain = pl.col("follows").all() & pl.col("apart").all() & pl.col("inside").any()
    return flags.group_by("key").agg(chain.alias("chain"))


def closes() -> pl.Expr:
    """Tell whether a protein's pieces are whole codons, from the first one's start."""
    reverse = pl.col("strand").first() == "-"
    begins = (
        pl.when(reverse)
        .then(pl.col("phase").sort_by("end").last())
        .otherwise(pl.col("phase").sort_by("start").first())
    )
    length = (pl.col("end") - pl.col("start")).sum()
    return ((begins.fill_null(0) == 0) & (length % 3 == 0)).alias("closes")
