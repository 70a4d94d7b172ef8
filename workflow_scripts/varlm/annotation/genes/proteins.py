"""The proteins of transcripts (or of genes without any) that have several, told apart.

Lines of one CDS share an ID (GFF3), and its protein_id; but many files give each line an ID of its
own, or none. So a protein_id tells proteins apart, and an ID that several pieces share; otherwise
the reading frames, the exons and the genome do (`junctions`).
"""

from __future__ import annotations

import polars as pl

from varlm.annotation.genes import junctions
from varlm.annotation.genes.junctions import MAX_SLIPPAGE, Sequence
from varlm.annotation.genes.lines import CDS_TYPES, EXON_TYPES, INTRON_TYPES, UTR_TYPES

_PREFIX = r"^(?:cds-|CDS:|cds:)"
_PLACE = ["start", "end", "strand"]


def told_apart(
    transcripts: pl.DataFrame, parts: pl.DataFrame, sequence: Sequence | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Make a transcript of several proteins one for each protein, with the other parts of all.

    Parameters
    ----------
    transcripts, parts : polars.DataFrame
        From `tree.assign_parts`.
    sequence : callable or None
        Contig → bases, which decide where the file leaves several readings.

    Returns
    -------
    transcripts : polars.DataFrame
        With `protein`, what tells those of several apart (null of one alone), and `untold`: whether
        the file has several and does not say which piece belongs to which.
    parts : polars.DataFrame
        Coding pieces with the `t` of their protein; others once for each.
    """
    cds = parts.with_row_index("row").filter(pl.col("type").is_in(CDS_TYPES))
    cds = _undeclared(cds)
    labelled, untold = _by_label(cds)
    known = pl.concat([labelled["t"], untold]).implode()
    cds = cds.filter(~pl.col("t").is_in(known)).join(transcripts.select("t", "contig"), on="t")
    proteins = pl.concat([labelled, *_by_frame(cds, parts, sequence)])
    transcripts = transcripts.with_columns(
        pl.lit(None, pl.String).alias("protein"),
        pl.col("t").is_in(untold.implode()).alias("untold"),
    )
    if proteins.height:
        transcripts, parts = _repeated(transcripts, parts, proteins)
    return transcripts, parts.drop("id", "protein_id")


def _undeclared(cds: pl.DataFrame) -> pl.DataFrame:
    """Return the coding pieces of transcripts that no single protein_id or ID holds together."""
    places = (
        cds.select("t", *_PLACE)
        .unique()
        .group_by("t")
        .agg(pl.len().alias("places"), pl.col("strand").n_unique().alias("strands"))
    )
    cds = cds.join(places.filter((pl.col("places") > 1) & (pl.col("strands") == 1)), on="t")
    for name in ("protein_id", "id"):
        labels = cds.select("t", name).unique().group_by("t")
        counts = labels.agg(
            pl.col(name).drop_nulls().len().alias(f"{name}s"),
            pl.col(name).is_null().any().alias(f"lacks_{name}"),
        )
        cds = cds.join(counts, on="t", how="left", maintain_order="left")
    one_protein_id = (pl.col("protein_ids") == 1) & ~pl.col("lacks_protein_id")
    one_id = (pl.col("ids") == 1) & ~pl.col("lacks_id") & (pl.col("protein_ids") < 2)
    return cds.filter(~(one_protein_id | one_id))


def _by_label(cds: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """Return `t`, `row`, `protein` of pieces whose labels tell proteins; and where some lack one.

    A label that is lacking is that of the piece with the same ID.
    """
    on_lines = cds.select("t", "id", *_PLACE).unique().drop_nulls("id").group_by("t", "id").len()
    shared = on_lines.filter(pl.col("len") > 1)["t"].unique()
    by_protein_id = pl.col("protein_ids") > 1
    cds = cds.filter(by_protein_id | (pl.col("t").is_in(shared.implode()) & (pl.col("ids") > 1)))
    of_id = pl.col("protein_id").drop_nulls().first().over("t", "id")
    label = (
        pl.when(by_protein_id)
        .then(pl.coalesce("protein_id", pl.when(pl.col("id").is_not_null()).then(of_id)))
        .otherwise(pl.col("id").str.replace(_PREFIX, ""))
    )
    cds = cds.with_columns(label.alias("protein"))
    untold = cds.filter(pl.col("protein").is_null())["t"].unique()
    cds = cds.filter(~pl.col("t").is_in(untold.implode()))
    one = _chains(cds).filter(pl.col("chain") & ~pl.col("all_close"))["t"]
    return cds.filter(~pl.col("t").is_in(one.implode())).select("t", "row", "protein"), untold


def _chains(cds: pl.DataFrame) -> pl.DataFrame:
    """Tell whether a transcript's pieces read as one protein (`chain`), and each label's as whole.

    Frames that run on from one label into the next, in the middle of a codon, are one protein's:
    its lines have IDs of their own, some of them by mistake the same.
    """
    chain = junctions.read_on(cds.select(pl.col("t").alias("key"), *_PLACE, "phase").unique())
    labels = cds.select(
        pl.struct("t", "protein").alias("key"), pl.col("t"), *_PLACE, "phase"
    ).unique()
    parts = labels.group_by("key").agg(pl.col("t").first(), junctions.closes())
    whole = parts.group_by("t").agg(pl.col("closes").all().alias("all_close"))
    return whole.join(chain.rename({"key": "t"}), on="t")


def _by_frame(
    cds: pl.DataFrame, parts: pl.DataFrame, sequence: Sequence | None
) -> list[pl.DataFrame]:
    """Return `t`, `row`, `protein` of proteins that only frames, exons and genome tell apart."""
    if not cds.height:
        return []
    places = cds.unique(["t", *_PLACE], maintain_order=True).with_columns(pl.col("t").alias("key"))
    places = junctions.with_order(places)
    after = pl.col("order").shift(-1).over("key")
    length = pl.col("end") - pl.col("start")
    over = places.filter(after < pl.col("order") + length - MAX_SLIPPAGE)["t"].unique()
    overlapping = places.filter(pl.col("t").is_in(over.implode()))
    apart = places.filter(~pl.col("t").is_in(over.implode()))
    whose = parts.with_columns(pl.col("t").alias("key"))
    cuts = junctions.cuts(
        apart,
        whose.filter(pl.col("type").is_in(EXON_TYPES)),
        whose.filter(pl.col("type").is_in(INTRON_TYPES)),
        sequence,
    )
    apart = apart.join(
        cuts.select("key", pl.lit(True).alias("cut"), "order"),
        on=["key", "order"],
        how="left",
        maintain_order="left",
    )
    run = pl.col("cut").fill_null(False).cum_sum().shift(1, fill_value=0).over("key")
    apart = apart.with_columns(run.alias("run")).filter(pl.col("run").max().over("key") > 0)
    own = [apart]
    if sequence is not None:
        own.append(_single(overlapping, sequence))
    told = pl.concat([frame.select("t", *_PLACE, "run", "id") for frame in own])
    label = pl.col("id").drop_nulls().first().over("t", "run").str.replace(_PREFIX, "")
    protein = pl.coalesce(label, (pl.col("run") + 1).cast(pl.String))
    told = told.select("t", *_PLACE, protein.alias("protein"))
    return [cds.join(told, on=["t", *_PLACE]).select("t", "row", "protein")]


def _single(overlapping: pl.DataFrame, sequence: Sequence) -> pl.DataFrame:
    """Return overlapping pieces with an ID each that are all whole proteins, up to a stop codon."""
    named = overlapping.filter(pl.col("id").is_not_null().all().over("t"))
    if not named.height:
        return named.with_columns(run=pl.lit(0, pl.UInt32))
    whole = (pl.col("phase").fill_null(0) == 0) & ((pl.col("end") - pl.col("start")) % 3 == 0)
    named = named.with_columns(junctions.ends_in_stop(named, sequence).alias("stops"))
    named = named.filter((whole & pl.col("stops")).all().over("t"))
    return named.with_columns(run=pl.int_range(pl.len(), dtype=pl.UInt32).over("t"))


def _repeated(
    transcripts: pl.DataFrame, parts: pl.DataFrame, proteins: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return transcripts once for each protein, the first keeping its `t`; and all their parts."""
    copies = proteins.select("t", "protein").unique(maintain_order=True)
    number = pl.int_range(pl.len(), dtype=pl.UInt32)
    fresh = transcripts["t"].max() + 1  # type: ignore[operator]
    copies = copies.with_columns((number.over("t") > 0).alias("more")).with_columns(
        pl.when("more").then(fresh + pl.col("more").cum_sum()).otherwise("t").alias("to")
    )
    copies = copies.with_columns(pl.col("to").cast(pl.UInt32)).drop("more")
    alone = transcripts.join(copies, on="t", how="anti")
    several = transcripts.drop("protein").join(copies, on="t").drop("t").rename({"to": "t"})
    parts = parts.with_row_index("row")
    own = parts.join(proteins, on=["t", "row"]).join(copies, on=["t", "protein"])
    others = parts.filter(~pl.col("type").is_in([*CDS_TYPES, "stop_codon"])).join(copies, on="t")
    stops = _stops(parts.filter(pl.col("type") == "stop_codon").join(copies, on="t"), own)
    between = _between(own, parts)
    columns = [column for column in parts.columns if column not in ("row", "t")]
    together = pl.concat(
        [frame.select(pl.col("to").alias("t"), *columns) for frame in (own, others, stops, between)]
    )
    kept = parts.join(copies, on="t", how="anti").drop("row")
    return (
        pl.concat([alone, several.select(alone.columns)]),
        pl.concat([kept, together.select(kept.columns)]),
    )


def _hulls(own: pl.DataFrame) -> pl.DataFrame:
    return own.group_by("to").agg(
        pl.col("start").min().alias("low"), pl.col("end").max().alias("high")
    )


def _stops(stops: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Return stop codons with the protein whose coding pieces end nearest before them (GTF)."""
    stops = stops.join(_hulls(own), on="to")
    ahead = (
        pl.when(pl.col("strand") == "-")
        .then(pl.col("low") - pl.col("end"))
        .otherwise(pl.col("start") - pl.col("high"))
    )
    stops = stops.with_columns(ahead.alias("ahead")).filter(pl.col("ahead") >= -MAX_SLIPPAGE)
    return stops.filter(pl.col("ahead") == pl.col("ahead").min().over("row"))


def _between(own: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Return what is no intron of a protein where no exon is stated: the others' pieces, and gaps.

    Between two proteins of one transcript there is messenger, as in an operon.
    """
    stated = parts.filter(pl.col("type").is_in(EXON_TYPES)).select("t").unique()
    bare = own.join(stated, on="t", how="anti").sort("t", "start", "end")
    bare = bare.with_columns(
        pl.col("end").cum_max().shift(1).over("t").alias("reach"),
        (pl.col("to") != pl.col("to").shift(1).over("t")).alias("another"),
    )
    gaps = bare.filter(pl.col("another") & (pl.col("start") > pl.col("reach")))
    gaps = gaps.with_columns(pl.col("reach").alias("start"), pl.col("start").alias("end"))
    hulls = bare.select("t", "to").unique().join(_hulls(bare), on="to")
    messenger = pl.concat([bare, gaps]).drop("to").join(hulls, on="t")
    outside = (pl.col("start") >= pl.col("high")) | (pl.col("end") <= pl.col("low"))
    kind = pl.lit(UTR_TYPES[0]).alias("type")
    return messenger.filter(outside).with_columns(kind).select(own.columns)
