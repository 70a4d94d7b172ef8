"""From features and their parents to genes, transcripts and parts, for GTF and GFF3."""

from __future__ import annotations

import polars as pl

from varlm.annotation.genes.lines import CDS_TYPES, GENE, PART_TYPES, PROTEIN_TYPES, TRANSCRIPT
from varlm.annotation.genes.parents import GROUPINGS, first_parent, one_parent_a_row


def _spans(rows: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Join rows of one thing (split over lines) into one: span, first of the rest."""
    return rows.group_by(keys, maintain_order=True).agg(
        pl.col("start").min(),
        pl.col("end").max(),
        pl.col("strand").drop_nulls().first(),
        (pl.col("strand").drop_nulls().n_unique() > 1).alias("both_strands"),
        pl.col("type").first(),
        *(
            pl.col(name).drop_nulls().first()
            for name in ("parent", "gene_id", "transcript_id", "gene", "biotype", "gene_biotype")
        ),
        pl.col("trans_spliced", "pseudo").any(),
    )


def gtf_tree(features: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return nodes (genes, transcripts) and parts of a GTF, in GFF3's terms.

    Ids of genes and transcripts are namespaces of their own: prefixes keep them apart. Lines of
    genes or transcripts that are missing (UCSC, Augustus, StringTie) are made of the parts'.
    """
    features = features.filter(
        pl.col("gene_id").is_not_null() | pl.col("transcript_id").is_not_null()
    )
    gene_id = pl.coalesce("gene_id", "transcript_id")
    gene_key = pl.concat_str(pl.lit("g:"), gene_id)
    key = (
        pl.when(pl.col("transcript_id").is_not_null())
        .then(pl.concat_str(pl.lit("t:"), "transcript_id"))
        .otherwise(gene_key)
    )
    is_part = pl.col("type").is_in(PART_TYPES)
    is_gene = pl.col("type") == "gene"
    parts = features.filter(is_part).with_columns(key.alias("parent"))
    implied_transcripts = parts.filter(pl.col("transcript_id").is_not_null())
    stated = features.filter(~is_part & ~is_gene & pl.col("transcript_id").is_not_null())
    stated = stated.with_columns(key.alias("id"))
    implied_transcripts = implied_transcripts.with_columns(
        key.alias("id"), pl.lit("transcript").alias("type")
    ).join(stated, on=["contig", "id"], how="anti")
    transcripts = pl.concat([stated, implied_transcripts]).with_columns(gene_key.alias("parent"))
    genes = features.filter(is_gene).with_columns(
        gene_key.alias("id"), pl.lit(None, pl.String).alias("parent")
    )
    implied_genes = (
        pl.concat([parts, transcripts])
        .with_columns(
            gene_key.alias("id"),
            pl.lit("gene").alias("type"),
            pl.lit(None, pl.String).alias("parent"),
            pl.col("gene_biotype").alias("biotype"),
        )
        .join(genes, on=["contig", "id"], how="anti")
    )
    nodes = _spans(pl.concat([genes, implied_genes, transcripts]), ["contig", "id"])
    return nodes.with_columns(pl.col("type").str.replace(r"^5UTR$", "transcript")), parts


def gff3_tree(features: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return nodes (anything with an ID that may have parts) and parts, one row a parent."""
    is_part = pl.col("type").is_in(PART_TYPES)
    is_protein = pl.col("type").is_in(PROTEIN_TYPES)
    nodes = features.filter(~is_part & ~is_protein & pl.col("id").is_not_null())
    proteins = features.filter(is_protein & pl.col("id").is_not_null())
    parts = one_parent_a_row(features.filter(is_part), nodes, proteins)
    # A CDS without a parent is a gene of its own (Prokka), its lines joined by their ID.
    lone = parts.filter(pl.col("parent").is_null() & pl.col("type").is_in(CDS_TYPES)).with_columns(
        pl.coalesce("id", pl.concat_str(pl.lit("CDS of line "), "line")).alias("id")
    )
    lone = lone.with_columns(pl.col("id").alias("parent"))
    parts = pl.concat([parts.filter(pl.col("parent").is_not_null()), lone])
    nodes = first_parent(nodes)
    # Parts whose parent the file does not have are transcripts of their own.
    orphans = parts.join(nodes, left_on=["contig", "parent"], right_on=["contig", "id"], how="anti")
    orphans = orphans.with_columns(
        pl.col("parent").alias("id"),
        pl.lit("CDS").alias("type"),
        pl.lit(None, pl.String).alias("parent"),
    )
    return _spans(pl.concat([nodes, orphans]), ["contig", "id"]), parts


def assign_parts(nodes: pl.DataFrame, parts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Tell transcripts from genes, and give each part its transcript's key.

    Returns
    -------
    transcripts : polars.DataFrame
        One row each, `t` its number; `root_*` the gene's fields.
    parts : polars.DataFrame
        `t`, `type`, `start`, `end`, `strand`, `phase` and what a CDS states, its `id` among it.
    """
    nodes = nodes.with_row_index("n")
    owners = parts.select("contig", "parent").unique()
    with_parts = nodes.join(
        owners, left_on=["contig", "id"], right_on=["contig", "parent"], how="semi"
    )["n"]
    parents = nodes.select("contig", pl.col("id").alias("parent"), pl.col("n").alias("up"))
    parents = parents.join(nodes.select("n", _above(pl.col("type"))), left_on="up", right_on="n")
    nodes = nodes.join(parents, on=["contig", "parent"], how="left", maintain_order="left")
    gene_like = pl.col("type").str.contains(GENE)
    holds = (pl.col("above") == "gene") | ((pl.col("above") == "other") & ~gene_like)
    nodes = nodes.with_columns(pl.when(holds).then("up").alias("up")).drop("above")
    has_parts = pl.col("n").is_in(with_parts.implode())
    is_gene = pl.col("type").str.contains(GENE) & pl.col("up").is_null()
    nodes = nodes.with_columns(has_parts.alias("has_parts"), is_gene.alias("is_gene"))
    is_transcript = ~pl.col("is_gene") & (
        pl.col("has_parts") | pl.col("type").str.contains(TRANSCRIPT)
    )
    nodes = nodes.with_columns(is_transcript.alias("is_transcript"))
    nodes = nodes.with_columns(_roots(nodes).alias("root"))

    below = (
        nodes.filter("is_transcript")
        .group_by("root")
        .agg(pl.len().alias("count"), pl.col("n").first().alias("only"))
    )
    genes = nodes.filter("is_gene").join(
        below, left_on="n", right_on="root", how="left", maintain_order="left"
    )
    # Parts directly below a gene belong to its only transcript, or else are one themselves.
    single = (pl.col("count") == 1) & pl.col("has_parts")
    own = (pl.col("has_parts") & ~single.fill_null(False)) | pl.col("count").is_null()
    implicit = (
        genes.filter(own)
        .select(nodes.columns)
        .with_columns(pl.lit("gene").alias("type"), pl.lit(None, pl.String).alias("transcript_id"))
    )
    adopted = genes.filter(single).select("n", pl.col("only").alias("t"))
    transcripts = pl.concat([nodes.filter("is_transcript"), implicit]).with_columns(
        pl.col("n").alias("t")
    )

    fields = ["id", "gene_id", "gene", "biotype", "gene_biotype", "pseudo"]
    roots = nodes.select(pl.col("n").alias("root"), *(pl.col(f).alias(f"root_{f}") for f in fields))
    transcripts = transcripts.join(roots, on="root", how="left", maintain_order="left")

    owner = pl.concat(
        [
            transcripts.select("n", "t"),
            adopted.with_columns(pl.col("t").cast(pl.UInt32)),
        ]
    ).join(nodes.select("n", "contig", pl.col("id").alias("parent")), on="n")
    stated = ["type", "start", "end", "strand", "phase", "transl_table", "recoded", "protein_id"]
    stated += ["transl_except", "rereads"]
    of_cds = pl.when(pl.col("type").is_in(CDS_TYPES)).then("id").alias("id")
    parts = parts.select("contig", "parent", *stated, of_cds)
    parts = parts.join(owner.select("contig", "parent", "t"), on=["contig", "parent"])
    return transcripts, parts.select("t", *stated, "id").unique(maintain_order=True)


def _above(kind: pl.Expr) -> pl.Expr:
    """Tell whether a type may be above genes and transcripts (gene), the latter (other) or none."""
    return (
        pl.when(kind.is_in(GROUPINGS))
        .then(pl.lit("neither"))
        .when(kind.str.contains(GENE) | kind.str.contains(TRANSCRIPT))
        .then(pl.lit("gene"))
        .otherwise(pl.lit("other"))
        .alias("above")
    )


def _roots(nodes: pl.DataFrame) -> pl.Series:
    """Return each node's topmost ancestor (itself where it has none)."""
    up = nodes["up"]
    root = nodes["n"].to_frame().select(pl.coalesce(up, pl.col("n"))).to_series()
    for _ in range(4):  # gene → primary_transcript → miRNA is as deep as files go
        higher = up.gather(root)
        root = pl.select(pl.coalesce(higher, root)).to_series()
    return root
