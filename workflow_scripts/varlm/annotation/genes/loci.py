"""One ID at several places of a contig: each place is a gene or transcript of its own.

UCSC's tables have a transcript for every place that an mRNA aligns to, and tools that work in
stretches begin their numbers anew. Features of several lines (trans-spliced genes, and those whose
lines NCBI numbers with `part`) stay one.
"""

from __future__ import annotations

import polars as pl

from varlm.annotation.genes import junctions
from varlm.annotation.genes.junctions import Sequence
from varlm.annotation.genes.lines import CDS_TYPES, EXON_TYPES, GENE, PART_TYPES, PROTEIN_TYPES

MARK = "\x1f"  # between an ID and the number of its place; no file can have it in an ID
_IN_SEVERAL_BLOCKS = 0.1  # more of the transcripts: the lines are in another order
_PLAIN = r"^[^%,;=&]+$"  # names that need no decoding, so that parents can be compared


def without_mark(name: pl.Expr) -> pl.Expr:
    """Return names as the file has them."""
    return name.str.replace(MARK + r"\d+$", "")


def with_places(features: pl.DataFrame, gtf: bool, sequence: Sequence | None) -> pl.DataFrame:
    """Give an ID that stands for several genes or transcripts of a contig a number at each place.

    Parameters
    ----------
    features : polars.DataFrame
        `gff.FEATURES`, contigs named as in the reference.
    gtf : bool
    sequence : callable or None
        Contig → bases, which tell where one coding sequence ends and the next begins.

    Returns
    -------
    polars.DataFrame
        The features, with `id`, `parent`, `gene_id` and `transcript_id` numbered (`without_mark`).
    """
    nodes = features.filter(~pl.col("type").is_in(PART_TYPES))
    if gtf:
        is_gene = pl.col("type") == "gene"
        for column, own in (("gene_id", is_gene), ("transcript_id", ~is_gene)):
            features = _by_lines_of_gtf(features, nodes.filter(own), column)
        named = features.filter(pl.col("transcript_id").is_not_null())
        named = named.filter(pl.col("type").is_in(PART_TYPES))
        return _by_frame(features, nodes, named, "transcript_id", sequence)
    nodes = nodes.filter(~pl.col("type").is_in(PROTEIN_TYPES) & pl.col("id").is_not_null())
    split: set[tuple[str, str]] = set()
    is_gene = pl.col("type").str.contains(GENE)
    for own in (is_gene, ~is_gene):
        features = _by_lines_of_gff3(features, nodes.filter(own), split)
    # A CDS without a parent is a gene of its own, on lines of one ID.
    named = features.filter(pl.col("parent").is_null() & pl.col("id").is_not_null())
    named = named.filter(pl.col("type").is_in(CDS_TYPES))
    return _by_frame(features, nodes, named, "id", sequence)


def _places(lines: pl.DataFrame) -> pl.DataFrame:
    """Return where names lie that have several places: `strand`, `low`, `high`, the number `k`."""
    keys = ["contig", "name"]
    names = lines.group_by(keys).len().filter(pl.col("len") > 1)
    lines = lines.join(names, on=keys, how="semi").filter(pl.col("name").str.contains(_PLAIN))
    lines = lines.filter(~(pl.col("trans_spliced") | pl.col("joined")).any().over(keys))
    lines = lines.sort(*keys, "strand", "start", "end")
    reach = pl.col("end").cum_max().shift(1).over(*keys, "strand")
    fresh = (pl.col("start") >= reach).fill_null(True)
    places = (
        lines.with_columns(fresh.cum_sum().alias("place"))
        .group_by("place", maintain_order=True)
        .agg(
            *(pl.col(name).first() for name in (*keys, "strand", "parent")),
            pl.col("start").min().alias("low"),
            pl.col("end").max().alias("high"),
        )
    )
    places = places.filter(pl.len().over(keys) > 1).sort(*keys, "low", maintain_order=True)
    return places.with_columns(pl.int_range(pl.len()).over(keys).alias("k")).drop("place")


def _placed(owned: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Return `line`, `name`, `k` of features in the one place of their name that holds them.

    Names are left out of which a feature lies in no place, or in two, or a place holds none.
    """
    keys = ["contig", "name"]
    owned = owned.join(places.select(keys).unique(), on=keys, how="semi")
    held = owned.join(places.drop("parent"), on=keys, suffix="_place").filter(
        (pl.col("start") >= pl.col("low"))
        & (pl.col("end") <= pl.col("high"))
        & (pl.col("strand") == pl.col("strand_place")).fill_null(True)
    )
    per_line = owned.select(*keys, "line").join(
        held.group_by(*keys, "line").len(), on=[*keys, "line"], how="left"
    )
    stray = per_line.filter(pl.col("len").fill_null(0) != 1).select(keys)
    empty = (
        places.join(held, on=[*keys, "k"], how="anti").select(keys).join(owned, on=keys, how="semi")
    )
    return held.join(pl.concat([stray, empty]).unique(), on=keys, how="anti")


def _by_lines_of_gtf(features: pl.DataFrame, lines: pl.DataFrame, column: str) -> pl.DataFrame:
    """Tell apart genes, or transcripts, that have lines at several places."""
    places = _places(lines.filter(pl.col(column).is_not_null()).with_columns(name=column))
    if not places.height:
        return features
    named = features.filter(pl.col(column).is_not_null()).with_columns(name=column)
    return _renamed(features, _placed(named, places), column)


def _by_lines_of_gff3(
    features: pl.DataFrame, lines: pl.DataFrame, split: set[tuple[str, str]]
) -> pl.DataFrame:
    """Tell apart genes, or other features with parts, that have lines at several places.

    A feature of several lines may also be one in pieces: at each place its coding pieces must be
    whole codons; without any, what it belongs to must lie at several places too, or be nothing.
    """
    lines = lines.with_columns(name="id")
    places = _places(lines)
    if not places.height:
        return features
    children = features.filter(pl.col("parent").is_not_null()).with_columns(
        pl.col("parent").str.split(",").alias("name")
    )
    children = children.explode("name", empty_as_null=True)
    own_lines = lines.join(places.select("contig", "name"), on=["contig", "name"], how="semi")
    placed = _placed(pl.concat([children, own_lines]), places)
    coding = placed.filter(pl.col("type").is_in(CDS_TYPES))
    whole = (
        coding.unique(["contig", "name", "k", "start", "end"])
        .group_by("contig", "name", "k")
        .agg(junctions.closes())
        .group_by("contig", "name")
        .agg(pl.col("closes").all())
    )
    alone = places.filter(pl.col("parent").is_null() | _in(split)).select("contig", "name").unique()
    split_names = pl.concat(
        [
            whole.filter("closes").select("contig", "name"),
            alone.join(whole, on=["contig", "name"], how="anti"),
        ]
    )
    placed = placed.join(split_names, on=["contig", "name"], how="semi")
    split.update(placed.select("contig", "name").unique().iter_rows())
    features = _renamed(features, placed.filter(pl.col("id") == pl.col("name")), "id")
    return _with_parents(features, placed.filter(pl.col("id").ne_missing(pl.col("name"))))


def _in(split: set[tuple[str, str]]) -> pl.Expr:
    """Tell whether a parent is one that lies at several places."""
    names = [f"{contig}{MARK}{name}" for contig, name in split]
    return pl.concat_str("contig", pl.lit(MARK), without_mark(pl.col("parent"))).is_in(names)


def _numbered(name: str) -> pl.Expr:
    """Return a name with the number of its place; the first keeps the name."""
    return (
        pl.when(pl.col("k") > 0)
        .then(pl.concat_str(name, pl.lit(MARK), pl.col("k").cast(pl.String)))
        .otherwise(name)
    )


def _renamed(features: pl.DataFrame, placed: pl.DataFrame, column: str) -> pl.DataFrame:
    """Put numbers behind the names in a column, by line."""
    names = placed.select("line", _numbered("name").alias("new")).unique("line")
    features = features.join(names, on="line", how="left", maintain_order="left")
    return features.with_columns(pl.coalesce("new", column).alias(column)).drop("new")


def _with_parents(features: pl.DataFrame, placed: pl.DataFrame) -> pl.DataFrame:
    """Put numbers behind the names that are parents, of which a line may have several."""
    new = {
        (line, name): numbered
        for line, name, numbered in placed.select(
            "line", "name", _numbered("name").alias("n")
        ).iter_rows()
    }
    lines = features.filter(pl.col("line").is_in([line for line, _ in new])).select(
        "line", "parent"
    )
    parents = [
        (line, ",".join(new.get((line, name), name) for name in parent.split(",")))
        for line, parent in lines.iter_rows()
    ]
    table = pl.DataFrame(parents, {"line": pl.UInt32, "new": pl.String}, orient="row")
    features = features.join(table, on="line", how="left", maintain_order="left")
    return features.with_columns(pl.coalesce("new", "parent").alias("parent")).drop("new")


# Without lines of their own -------------------------------------------------------------------


def _by_frame(
    features: pl.DataFrame,
    nodes: pl.DataFrame,
    named: pl.DataFrame,
    column: str,
    sequence: Sequence | None,
) -> pl.DataFrame:
    """Tell apart transcripts that have no line: by strand, and where a coding sequence ends."""
    stated = nodes.select("contig", column).drop_nulls()
    unstated = named.join(stated, on=["contig", column], how="anti")
    unstated = unstated.filter(~pl.col(column).str.contains(MARK, literal=True))
    keys = unstated.group_by("contig", column).len().filter(pl.col("len") > 1)
    if not keys.height:
        return features
    key = pl.concat_str("contig", pl.lit(MARK), column).alias("key")
    named = named.with_columns(key, pl.col(column).alias("name"))
    blocks = _blocks(named)
    named = named.join(keys, on=["contig", column], how="semi")
    named = named.filter(~pl.col("trans_spliced").any().over("key"))
    strands = pl.col("strand").drop_nulls().n_unique().over("key")
    coding = pl.col("type").is_in(CDS_TYPES).any().over("key")
    placed = [
        _by_strand(named.filter(strands > 1), sequence),
        named.filter((strands <= 1) & ~coding).join(blocks, on="line").select("line", "name", "k"),
    ]
    if sequence is not None:
        placed.append(_by_end(named.filter((strands == 1) & coding), sequence))
    return _renamed(features, pl.concat(placed), column)


def _blocks(named: pl.DataFrame) -> pl.DataFrame:
    """Return `line`, `k` of lines in several blocks, where a file has one for each transcript.

    A transcript whose lines are in two blocks, others' between them, is at two places.
    """
    named = named.sort("line")
    block = (pl.col("key") != pl.col("key").shift(1)).fill_null(True).cum_sum()
    named = named.select("line", "key", "start", "end", block.alias("block"))
    spans = named.group_by("key", "block").agg(pl.col("start").min(), pl.col("end").max())
    keys = spans["key"].n_unique()
    several = spans.filter(pl.len().over("key") > 1).sort("key", "start")
    if several["key"].n_unique() > _IN_SEVERAL_BLOCKS * keys:
        several = several.clear()
    apart = (
        (pl.col("start") >= pl.col("end").shift(1).over("key")).fill_null(True).all().over("key")
    )
    several = several.filter(apart).with_columns(pl.int_range(pl.len()).over("key").alias("k"))
    return named.join(several.select("block", "k"), on="block").select("line", "k")


def _by_strand(named: pl.DataFrame, sequence: Sequence | None) -> pl.DataFrame:
    """Return `line`, `name`, `k`: a transcript on each strand, if each codes for a whole protein.

    Otherwise it is trans-spliced, as mod(mdg4) of the fly. So is none that codes for nothing.
    """
    reverse = (pl.col("strand") == "-").fill_null(False).cast(pl.Int64).alias("k")
    coding = named.filter(pl.col("type").is_in(CDS_TYPES))
    whole = (
        coding.unique(["key", "start", "end", "strand"])
        .group_by("key", "strand")
        .agg(junctions.closes())
    )
    if sequence is not None and coding.height:
        ends = junctions.with_order(coding).group_by("key", "strand").last()
        ends = ends.with_columns(junctions.ends_in_stop(ends, sequence).alias("stops"))
        whole = whole.join(ends.select("key", "strand", "stops"), on=["key", "strand"])
        whole = whole.with_columns(closes=pl.col("closes") & pl.col("stops"))
    both = whole.group_by("key").agg(pl.len(), pl.col("closes").all())
    spliced = both.filter((pl.col("len") != 2) | ~pl.col("closes"))
    return named.join(spliced, on="key", how="anti").select("line", "name", reverse)


def _by_end(named: pl.DataFrame, sequence: Sequence) -> pl.DataFrame:
    """Return `line`, `name`, `k`: a transcript up to each end of a coding sequence.

    They part where no exon lies between the end of one and the start of the next.
    """
    pieces = named.filter(pl.col("type").is_in(CDS_TYPES)).unique(
        ["key", "start", "end"], maintain_order=True
    )
    pieces = pieces.filter(pl.len().over("key") > 1)
    exons = named.filter(pl.col("type").is_in(EXON_TYPES))
    cuts = junctions.cuts(pieces, exons, exons.clear(), sequence)
    if not cuts.height:
        return named.clear().select("line", "name", pl.lit(0, pl.Int64).alias("k"))
    ordered = junctions.with_order(pieces).with_columns(
        pl.col("start").shift(-1).over("key").alias("next_start"),
        pl.col("end").shift(-1).over("key").alias("next_end"),
    )
    gaps = ordered.join(cuts, on=["key", "order"], how="semi").select(
        "key",
        pl.min_horizontal("end", "next_end").alias("low"),
        pl.max_horizontal("start", "next_start").alias("high"),
    )
    parts = named.join(gaps.select("key").unique(), on="key", how="semi")
    bounds = _between_exons(gaps, parts)
    number = (
        parts.join(bounds, on="key")
        .group_by("line")
        .agg((pl.col("start") >= pl.col("bound")).sum().cast(pl.Int64).alias("k"))
    )
    return parts.join(number, on="line").select("line", "name", "k")


def _between_exons(gaps: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Return `key`, `bound`: the end of the widest stretch without a part in each gap."""
    spans = parts.group_by("key").agg(pl.struct("start", "end").alias("parts"))
    rows = []
    for key, low, high, spans_of_key in gaps.join(spans, on="key").iter_rows():
        at, widest, bound = low, 0, None
        for span in sorted(spans_of_key, key=lambda span: span["start"]):
            start = min(span["start"], high)
            if span["end"] > low and start - at > widest:
                widest, bound = start - at, start
            at = max(at, span["end"])
        if bound is not None:
            rows.append((key, bound))
    return pl.DataFrame(rows, {"key": pl.String, "bound": pl.Int64}, orient="row")
