"""Which of the parents that a GFF3 names are transcripts: some are proteins, genes or regions."""

from __future__ import annotations

import polars as pl

from varlm.annotation.genes.gff import decoded
from varlm.annotation.genes.lines import CDS_TYPES, GENE, TRANSCRIPT

# What holds genes rather than being one; a feature below it stands for itself.
GROUPINGS = (
    *("region", "operon", "regulon", "gene_group", "gene_cluster", "gene_array", "gene_cassette"),
    *("mobile_genetic_element", "integrated_mobile_genetic_element", "genomic_island", "prophage"),
    *("transposable_element", "insertion_sequence", "pathogenic_island", "sequence_alteration"),
)


def one_parent_a_row(
    parts: pl.DataFrame, nodes: pl.DataFrame, proteins: pl.DataFrame
) -> pl.DataFrame:
    """Repeat parts of several transcripts, once for each; drop parents that are none.

    A parent that is a protein (TAIR's `Parent=X.1,X.1-Protein`) is what the protein derives from.
    Of several parents on a line those are kept that are most like a transcript: a gene or region
    beside its transcript, or a name that the file does not have, would make a second gene.

    Parameters
    ----------
    parts, nodes, proteins : polars.DataFrame
        `gff.FEATURES`; `proteins` are features such as `polypeptide`.

    Returns
    -------
    polars.DataFrame
        The parts, `parent` one name, decoded; null where a part belongs to nothing but a region.
    """
    parts = parts.with_columns(
        pl.when(pl.col("parent").is_null())
        .then("transcript_id")
        .otherwise("parent")
        .alias("parent")
    )
    single, split = _split(parts)
    if proteins.height:
        single, split = (_through_proteins(frame, proteins) for frame in (single, split))
    return _off_groupings(pl.concat([single, _likest_transcripts(split, nodes)]), nodes)


def first_parent(nodes: pl.DataFrame) -> pl.DataFrame:
    """Leave genes and transcripts one parent: of several a gene or transcript that is there."""
    single, split = _split(nodes)
    return pl.concat(
        [single, _likest_transcripts(split, nodes).unique("line", maintain_order=True)]
    ).sort("line", maintain_order=True)


def _split(features: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return features with one parent or none, and a row for each parent of the others."""
    several = pl.col("parent").str.contains(",", literal=True).fill_null(False)
    parents = pl.col("parent").str.replace_all(" ", "", literal=True).str.strip_chars(",")
    single = features.filter(~several)
    split = features.filter(several).with_columns(parents.str.split(","))
    split = split.explode("parent", empty_as_null=True)
    return single.with_columns(decoded(single["parent"])), split.with_columns(
        decoded(split["parent"])
    )


def _through_proteins(parts: pl.DataFrame, proteins: pl.DataFrame) -> pl.DataFrame:
    """Replace a parent that is a protein by what the protein derives from."""
    of = proteins.select(
        "contig",
        pl.col("id").alias("parent"),
        pl.col("parent").str.split(",").list.first().alias("of"),
    ).drop_nulls()
    of = of.with_columns(decoded(of["of"])).unique(["contig", "parent"], maintain_order=True)
    parts = parts.join(of, on=["contig", "parent"], how="left", maintain_order="left")
    parts = parts.with_columns(pl.coalesce("of", "parent").alias("parent")).drop("of")
    return parts.unique(["line", "parent"], maintain_order=True)


def _likest_transcripts(split: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
    """Keep, of each line's parents, those that are transcripts, or genes, or at least there."""
    if not split.height:
        return split
    kind = pl.col("type")
    likeness = (
        pl.when(kind.str.contains(TRANSCRIPT))
        .then(4)
        .when(kind.str.contains(GENE))
        .then(3)
        .when(kind.is_in(GROUPINGS))
        .then(1)
        .otherwise(2)
    )
    known = nodes.group_by("contig", pl.col("id").alias("parent")).agg(
        likeness.max().alias("likeness")
    )
    split = split.join(known, on=["contig", "parent"], how="left", maintain_order="left")
    split = split.with_columns(pl.col("likeness").fill_null(0))
    return split.filter(pl.col("likeness") == pl.col("likeness").max().over("line")).drop(
        "likeness"
    )


def _off_groupings(parts: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
    """Leave coding pieces without a parent where it is one that holds genes."""
    groupings = nodes.filter(pl.col("type").is_in(GROUPINGS)).select(
        "contig", pl.col("id").alias("parent")
    )
    if not groupings.height:
        return parts
    held = parts.filter(pl.col("type").is_in(CDS_TYPES)).join(
        groupings, on=["contig", "parent"], how="semi"
    )
    return parts.with_columns(
        pl.when(~pl.col("line").is_in(held["line"].implode())).then("parent").alias("parent")
    )
