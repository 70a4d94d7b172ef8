"""Features of an annotation → genes, transcripts, exons and coding sequences on the reference.

Whatever the dialect, a transcript ends up with exons (where the file has none, made of its coding
and untranslated parts), coding pieces that include the stop codon (GTF leaves it out), and phases
that agree with their lengths. UTRs are what remains of the exons, so a file without UTR lines
gives the same consequences as one with them. Intervals are 0-based and half-open.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from varlm.annotation.genes.gff import (
    CDS_TYPES,
    EXON_TYPES,
    INTRON_TYPES,
    PART_TYPES,
    UTR_TYPES,
    AnnotationFile,
    decoded,
)
from varlm.errors import UserError
from varlm.genome.contig_names import ContigNames, Match
from varlm.tables.schemas import Column, Table

log = logging.getLogger(__name__)

STANDARD_CODE = 0  # csq's "standard simplified": NCBI's 1, in which ATG alone starts a protein

_U32, _STRING, _I16 = pl.UInt32(), pl.String(), pl.Int16()

TRANSCRIPTS = Table(
    "transcripts",
    (
        Column("index", _U32, "row number: by contig, coding ones first, then by transcript id"),
        Column("contig", _STRING, "name in the reference FASTA"),
        Column("start", _U32, "start of the first exon, 0-based"),
        Column("end", _U32, "end of the last exon, half-open"),
        Column("strand", _STRING, "+ or -; null where the annotation does not say"),
        Column("transcript", _STRING, "transcript id as in the annotation; the gene's where none"),
        Column("gene_id", _STRING, "gene id as in the annotation"),
        Column("gene", _STRING, "gene symbol, or the gene's id where it has none"),
        Column("biotype", _STRING, "biotype of the transcript"),
        Column("tss", _U32, "transcription start, 0-based"),
        Column("coding_start", _U32, "start of the coding sequence, 0-based; null: non-coding"),
        Column("coding_end", _U32, "its end, half-open, stop codon included; null: non-coding"),
        Column(
            "genetic_code",
            _I16,
            "NCBI number (0: standard) that its protein is read with; null: no coding calls",
        ),
    ),
)
EXONS = Table(
    "exons",
    (
        Column("index", _U32, "the transcript's row number in `transcripts`"),
        Column("start", _U32, "0-based"),
        Column("end", _U32, "half-open"),
    ),
)
CDS = Table(
    "cds",
    (
        *EXONS.columns,
        Column("phase", pl.Int8(), "bases to skip from its 5' end to the next codon"),
    ),
)

_GENE = r"(?i)gene$"
_TRANSCRIPT = r"(?i)(?:rna|transcript|_segment|ribozyme|scRNA)$"
_BIOTYPES = {"mRNA": "protein_coding", "lnc_RNA": "lncRNA", "transcript": "misc_RNA"}
# Types that say nothing of what the transcript is: its gene's biotype says more.
_VAGUE = ("transcript", "gene", "primary_transcript", "RNA", "pseudogenic_transcript", "CDS")
# Biotypes that csq takes for non-coding whatever their CDS (gff.c, gff_parse_biotype).
_NON_CODING = (
    r"^(?:retained_intron|processed_transcript|antisense|artifact|ambiguous_orf|lncRNA|lincRNA"
    r"|sense_intronic|sense_overlapping|retrotransposed|misc_RNA|.*RNA_pseudogene"
    r"|(?:processed_|unitary_|unprocessed_|transcribed_\w+_|translated_\w+_|IG_(?:\w_)?|TR_\w_)?"
    r"pseudogene)$"
)
_MAX_SLIPPAGE = 3  # bp that pieces of one coding sequence may overlap: ribosomal slippage


@dataclass(frozen=True)
class GeneModels:
    """The gene models of an annotation on a reference.

    Attributes
    ----------
    transcripts, exons, cds : polars.DataFrame
        `TRANSCRIPTS`, `EXONS`, `CDS`.
    genes : int
        Number of genes.
    contigs : dict
        Contig as the file names it → what it was matched to.
    left_out : dict
        Why → ids of the transcripts without coding calls, or of the features passed over.
    refused : list of str
        Contigs with coding genes that are read with a genetic code nobody stated.
    """

    transcripts: pl.DataFrame
    exons: pl.DataFrame
    cds: pl.DataFrame
    genes: int
    contigs: dict[str, Match]
    left_out: dict[str, list[str]]
    refused: list[str]


def build(
    file: AnnotationFile,
    path: Path,
    names: ContigNames,
    codes: Mapping[str, int] | None = None,
) -> GeneModels:
    """Make gene models of an annotation's features.

    Parameters
    ----------
    file : AnnotationFile
    path : Path
        Its name, for messages.
    names : ContigNames
        The reference's contigs.
    codes : mapping
        Contig of the reference → NCBI genetic code, from the config; rules over `transl_table`.

    Raises
    ------
    UserError
        If a feature passes the end of its contig, or no feature lies on a contig of the reference.
    """
    left_out: dict[str, list[str]] = {}
    features, contigs = _on_reference(file, path, names, left_out)
    nodes, parts = _gtf_tree(features) if file.gtf else _gff3_tree(features)
    transcripts, parts = _assign_parts(nodes, parts)
    exons = _exons(transcripts, parts)
    cds = _coding_pieces(parts)
    transcripts = _describe(transcripts, exons, cds, parts)
    cds = _without_faults(transcripts, cds, left_out)
    organelles = {
        str(match.contig) for name, match in contigs.items() if name in file.organelles
    } | _organelles(names)
    transcripts, refused = _genetic_codes(transcripts, cds, codes or {}, organelles)
    return _numbered(transcripts, exons, cds, names, contigs, left_out, refused)


# Contigs -------------------------------------------------------------------------------------


def _on_reference(
    file: AnnotationFile, path: Path, names: ContigNames, left_out: dict[str, list[str]]
) -> tuple[pl.DataFrame, dict[str, Match]]:
    """Rename contigs to the reference's and check every feature against their lengths."""
    found = file.features["contig"].unique(maintain_order=True).to_list()
    declared: dict[str, int | None] = {name: file.declared.get(name) for name in found}
    contigs = {name: names.match(name, declared) for name in found}
    unknown = {name: match.how for name, match in contigs.items() if match.contig is None}
    if len(unknown) == len(contigs):
        raise UserError(
            f"{path}: no feature lies on a contig of the reference (annotation: {_some(found)}; "
            f"reference: {_some(names.lengths)}); give the annotation of this assembly, or name "
            "the contigs in reference.aliases"
        )
    if unknown:
        shown = "; ".join(f"{name!r}: {how}" for name, how in list(unknown.items())[:5])
        log.warning(
            "%s: %d contigs are not in the reference, their features are passed over (%s)",
            path,
            len(unknown),
            shown,
        )
        left_out["contig not in the reference"] = list(unknown)
    known = {name: match.contig for name, match in contigs.items() if match.contig}
    features = file.features.filter(pl.col("contig").is_in(list(known))).with_columns(
        pl.col("contig").replace_strict(known, return_dtype=pl.String)
    )
    length = pl.col("contig").replace_strict(
        {contig: names.lengths[contig] for contig in known.values()}, return_dtype=pl.Int64
    )
    circular = {known[name] for name in file.circular if name in known}
    past = features.filter(pl.col("end") > length)
    wrong = past.filter(~pl.col("contig").is_in(circular))
    if wrong.height:
        row = wrong.row(0, named=True)
        raise UserError(
            f"{path}, line {row['line']}: {row['type']} {row['start'] + 1}-{row['end']} on contig "
            f"{row['contig']!r}, which has {names.lengths[row['contig']]} bp in the reference "
            f"({wrong.height} features pass the end of their contig); is it the annotation of "
            "another assembly? Give the one of this reference"
        )
    if past.height:
        left_out["passes the origin of a circular contig"] = (
            past.select(pl.coalesce("id", "transcript_id", "parent", "gene_id", "type"))
            .to_series()
            .unique(maintain_order=True)
            .to_list()
        )
        log.warning(
            "%s: %d features pass the origin of a circular contig and are passed over",
            path,
            past.height,
        )
        features = features.filter(pl.col("end") <= length)
    return features, contigs


def _organelles(names: ContigNames) -> set[str]:
    """Return the reference's contigs that are a mitochondrion or a plastid by name or alias."""
    organelle = ContigNames({"mitochondrion": 1, "plastid": 1})
    spelled = [(contig, contig) for contig in names.lengths] + list(names.aliases.items())
    return {contig for name, contig in spelled if organelle.match(name, {}).contig}


# Genes → transcripts → parts -----------------------------------------------------------------


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


def _gtf_tree(features: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
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
    made = parts.filter(pl.col("transcript_id").is_not_null())
    stated = features.filter(~is_part & ~is_gene & pl.col("transcript_id").is_not_null())
    stated = stated.with_columns(key.alias("id"))
    made = made.with_columns(key.alias("id"), pl.lit("transcript").alias("type")).join(
        stated, on=["contig", "id"], how="anti"
    )
    transcripts = pl.concat([stated, made]).with_columns(gene_key.alias("parent"))
    genes = features.filter(is_gene).with_columns(
        gene_key.alias("id"), pl.lit(None, pl.String).alias("parent")
    )
    implied = (
        pl.concat([parts, transcripts])
        .with_columns(
            gene_key.alias("id"),
            pl.lit("gene").alias("type"),
            pl.lit(None, pl.String).alias("parent"),
            pl.col("gene_biotype").alias("biotype"),
        )
        .join(genes, on=["contig", "id"], how="anti")
    )
    nodes = _spans(pl.concat([genes, implied, transcripts]), ["contig", "id"])
    return nodes.with_columns(pl.col("type").str.replace(r"^5UTR$", "transcript")), parts


def _gff3_tree(features: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return nodes (anything with an ID that may have parts) and parts, one row a parent."""
    is_part = pl.col("type").is_in(PART_TYPES)
    parts = features.filter(is_part)
    # A CDS without a parent is a gene of its own (Prokka), its lines joined by their ID.
    lone = parts.filter(pl.col("parent").is_null() & pl.col("type").is_in(CDS_TYPES)).with_columns(
        pl.coalesce("id", pl.concat_str(pl.lit("CDS of line "), "line")).alias("id")
    )
    lone = lone.with_columns(pl.col("id").alias("parent"))
    parts = pl.concat([parts.filter(pl.col("parent").is_not_null()), lone])
    parts = _one_parent_a_row(parts)
    nodes = features.filter(~is_part & pl.col("id").is_not_null())
    nodes = nodes.with_columns(pl.col("parent").str.split(",").list.first().alias("parent"))
    if nodes["parent"].str.contains("%", literal=True).any():
        nodes = nodes.with_columns(decoded(nodes["parent"]))
    # Parts whose parent the file does not have are transcripts of their own.
    orphans = parts.join(nodes, left_on=["contig", "parent"], right_on=["contig", "id"], how="anti")
    orphans = orphans.with_columns(
        pl.col("parent").alias("id"),
        pl.lit("CDS").alias("type"),
        pl.lit(None, pl.String).alias("parent"),
    )
    return _spans(pl.concat([nodes, orphans]), ["contig", "id"]), parts


def _one_parent_a_row(parts: pl.DataFrame) -> pl.DataFrame:
    """Repeat parts of several transcripts, once for each."""
    several = pl.col("parent").str.contains(",", literal=True)
    parts = pl.concat(
        [
            parts.filter(~several),
            parts.filter(several)
            .with_columns(pl.col("parent").str.split(","))
            .explode("parent", empty_as_null=True),
        ]
    )
    return parts.with_columns(decoded(parts["parent"]))


def _assign_parts(nodes: pl.DataFrame, parts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Tell transcripts from genes, and give each part its transcript's key.

    Returns
    -------
    transcripts : polars.DataFrame
        One row each, `t` its number; `root_*` the gene's fields.
    parts : polars.DataFrame
        `t`, `type`, `start`, `end`, `strand`, `phase` and what a CDS states.
    """
    nodes = nodes.with_row_index("n")
    owners = parts.select("contig", "parent").unique()
    with_parts = nodes.join(
        owners, left_on=["contig", "id"], right_on=["contig", "parent"], how="semi"
    )["n"]
    parents = nodes.select("contig", pl.col("id").alias("parent"), pl.col("n").alias("up"))
    nodes = nodes.join(parents, on=["contig", "parent"], how="left", maintain_order="left")
    has_parts = pl.col("n").is_in(with_parts.implode())
    is_gene = pl.col("type").str.contains(_GENE) & pl.col("up").is_null()
    nodes = nodes.with_columns(has_parts.alias("has_parts"), is_gene.alias("is_gene"))
    is_transcript = ~pl.col("is_gene") & (
        pl.col("has_parts") | pl.col("type").str.contains(_TRANSCRIPT)
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
    parts = parts.join(owner.select("contig", "parent", "t"), on=["contig", "parent"])
    kept = ["t", "type", "start", "end", "strand", "phase", "transl_table", "recoded"]
    return transcripts, parts.select(kept).unique(maintain_order=True)


def _roots(nodes: pl.DataFrame) -> pl.Series:
    """Return each node's topmost ancestor (itself where it has none)."""
    up = nodes["up"]
    root = nodes["n"].to_frame().select(pl.coalesce(up, pl.col("n"))).to_series()
    for _ in range(4):  # gene → primary_transcript → miRNA is as deep as files go
        higher = up.gather(root)
        root = pl.select(pl.coalesce(higher, root)).to_series()
    return root


# Exons and coding sequences ------------------------------------------------------------------


def _merged(parts: pl.DataFrame) -> pl.DataFrame:
    """Join a transcript's intervals that overlap or touch: columns t, start, end."""
    parts = parts.select("t", "start", "end").sort("t", "start", "end")
    reach = pl.col("end").cum_max().shift(1).over("t")
    fresh = (pl.col("start") > reach).fill_null(True)
    return (
        parts.with_columns(fresh.cum_sum().alias("run"))
        .group_by("t", "run", maintain_order=True)
        .agg(pl.col("start").min(), pl.col("end").max())
        .drop("run")
    )


def _exons(transcripts: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Return the exons of all transcripts: stated, or made of what the file has."""
    kind = pl.col("type")
    cds = parts.filter(kind.is_in([*CDS_TYPES, "stop_codon"]))
    stated = parts.filter(kind.is_in(EXON_TYPES))
    bare = transcripts.join(stated, on="t", how="anti")
    known = pl.concat([cds, parts.filter(kind.is_in(UTR_TYPES))]).join(bare, on="t", how="semi")
    made = pl.concat([known.select("t", "start", "end"), _flanks(bare, known, parts)])
    exons = stated.select("t", "start", "end")
    with_cds = cds.join(stated, on="t", how="semi").select("t", "start", "end")
    return _merged(pl.concat([exons, with_cds, made]))


def _flanks(bare: pl.DataFrame, known: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Return what a transcript without exon lines has outside its coding parts, less its introns.

    SGD's mRNA lines span the untranslated ends, whose introns are lines of their own.
    """
    inner = known.group_by("t").agg(
        pl.col("start").min().alias("first"), pl.col("end").max().alias("last")
    )
    spans = bare.select("t", "start", "end").join(inner, on="t", how="left", maintain_order="left")
    left = spans.select("t", "start", pl.coalesce("first", "end").alias("end"))
    right = spans.filter(pl.col("last").is_not_null()).select(
        "t", pl.col("last").alias("start"), "end"
    )
    flanks = pl.concat([left, right]).filter(pl.col("start") < pl.col("end"))
    introns = parts.filter(pl.col("type").is_in(INTRON_TYPES)).join(bare, on="t", how="semi")
    if not introns.height:
        return flanks
    cuts = dict(
        introns.sort("start").group_by("t").agg(pl.struct("start", "end").alias("i")).iter_rows()
    )
    rows = []
    for t, start, end in flanks.iter_rows():
        at = start
        for cut in cuts.get(t, ()):
            if cut["start"] > at and cut["start"] < end:
                rows.append((t, at, cut["start"]))
            at = max(at, cut["end"]) if cut["start"] < end else at
        if at < end:
            rows.append((t, at, end))
    return pl.DataFrame(rows, schema=flanks.schema, orient="row")


def _coding_pieces(parts: pl.DataFrame) -> pl.DataFrame:
    """Return the pieces of coding sequences with their stop codons: t, start, end, phase, strand.

    Pieces of one transcript may overlap by a base or two, where the ribosome slips.
    """
    cds = parts.filter(pl.col("type").is_in(CDS_TYPES))
    stops = parts.filter(pl.col("type") == "stop_codon").join(cds, on="t", how="semi")
    pieces = cds.select("t", "start", "end", "strand", "phase").unique(
        ["t", "start", "end", "strand"], maintain_order=True
    )
    if stops.height:
        reach = pieces.group_by("t").agg(
            pl.col("start").min().alias("low"), pl.col("end").max().alias("high")
        )
        stops = (
            stops.select("t", "start", "end", "strand")
            .unique(maintain_order=True)
            .join(reach, on="t", maintain_order="left")
            .filter((pl.col("end") > pl.col("high")) | (pl.col("start") < pl.col("low")))
        )
        after = stops.filter((pl.col("strand") == "+") & (pl.col("start") <= pl.col("high")))
        before = stops.filter((pl.col("strand") == "-") & (pl.col("end") >= pl.col("low")))
        apart = stops.join(pl.concat([after, before]), on=["t", "start", "end"], how="anti")
        pieces = (
            pieces.join(
                after.select("t", pl.col("high").alias("end"), pl.col("end").alias("to")),
                on=["t", "end"],
                how="left",
                maintain_order="left",
            )
            .join(
                before.select("t", pl.col("low").alias("start"), pl.col("start").alias("from")),
                on=["t", "start"],
                how="left",
                maintain_order="left",
            )
            .with_columns(
                pl.coalesce("to", "end").alias("end"), pl.coalesce("from", "start").alias("start")
            )
            .drop("to", "from")
        )
        pieces = pl.concat(
            [
                pieces,
                apart.select("t", "start", "end", "strand", pl.lit(None, pl.Int8).alias("phase")),
            ]
        )
    return pieces


def _describe(
    transcripts: pl.DataFrame, exons: pl.DataFrame, cds: pl.DataFrame, parts: pl.DataFrame
) -> pl.DataFrame:
    """Give every transcript its names, biotype, span and strand."""
    span = exons.group_by("t").agg(
        pl.col("start").min().alias("exon_start"), pl.col("end").max().alias("exon_end")
    )
    coding = cds.group_by("t").agg(
        pl.col("start").min().alias("coding_start"), pl.col("end").max().alias("coding_end")
    )
    stated = (
        parts.filter(pl.col("type").is_in(CDS_TYPES))
        .group_by("t")
        .agg(pl.col("transl_table").drop_nulls().first(), pl.col("recoded").any())
    )
    strands = parts.group_by("t").agg(
        pl.col("strand").drop_nulls().first().alias("part_strand"),
        (pl.col("strand").drop_nulls().n_unique() > 1).alias("mixed"),
    )
    frame = transcripts.drop("pseudo").with_columns(
        (transcripts["pseudo"] | transcripts["root_pseudo"].fill_null(False)).alias("pseudo")
    )
    for table in (span, coding, stated, strands):
        frame = frame.join(table, on="t", how="left", maintain_order="left")
    strand = pl.coalesce("part_strand", "strand")
    gene_id = pl.coalesce("root_gene_id", _bare_id("root_id"))
    transcript = (
        pl.when(pl.col("n") == pl.col("root"))
        .then(pl.coalesce("transcript_id", gene_id))
        .otherwise(pl.coalesce("transcript_id", _bare_id("id")))
    )
    vague = pl.col("type").is_in(_VAGUE)
    has_cds = pl.col("coding_start").is_not_null()
    biotype = (
        pl.when(pl.col("pseudo"))
        .then(pl.coalesce("root_gene_biotype", "root_biotype", pl.lit("pseudogene")))
        .when((pl.col("n") != pl.col("root")) & pl.col("biotype").is_not_null())
        .then(pl.col("biotype"))
        .when(has_cds)
        .then(pl.lit("protein_coding"))
        .when(vague)
        .then(pl.coalesce("root_gene_biotype", "root_biotype", _of_type()))
        .otherwise(_of_type())
    )
    return frame.select(
        "t",
        "contig",
        pl.coalesce("exon_start", "start").alias("start"),
        pl.coalesce("exon_end", "end").alias("end"),
        strand.alias("strand"),
        transcript.alias("transcript"),
        gene_id.alias("gene_id"),
        pl.coalesce("root_gene", "gene", gene_id).alias("gene"),
        biotype.alias("biotype"),
        "coding_start",
        "coding_end",
        "root",
        (
            pl.col("both_strands")
            | pl.col("mixed").fill_null(False)
            | (pl.col("part_strand") != pl.col("strand")).fill_null(False)
            | pl.col("trans_spliced")
        ).alias("trans_spliced"),
        "pseudo",
        "transl_table",
        pl.col("recoded").fill_null(False),
    )


def _bare_id(column: str) -> pl.Expr:
    """Return an ID without the type that Ensembl, NCBI and our GTF keys put before it."""
    return pl.col(column).str.replace(r"^(?:gene:|transcript:|gene-|rna-|g:|t:)", "")


def _of_type() -> pl.Expr:
    return pl.col("type").replace(_BIOTYPES)


# What csq must not be given ------------------------------------------------------------------


def _without_faults(
    transcripts: pl.DataFrame, cds: pl.DataFrame, left_out: dict[str, list[str]]
) -> pl.DataFrame:
    """Return the coding pieces that csq is given, phases filled in; note the rest and why."""
    names = transcripts.select(
        "t", "transcript", "biotype", "trans_spliced", "pseudo", "strand", "recoded"
    )
    cds = cds.drop("strand").join(names, on="t")

    def leave(reason: str, wrong: pl.Expr) -> None:
        nonlocal cds
        faulty = cds.filter(wrong.fill_null(False))
        if faulty.height:
            left_out[reason] = sorted(faulty["transcript"].unique().to_list())
            cds = cds.join(faulty.select("t").unique(), on="t", how="anti")

    leave("trans-spliced", pl.col("trans_spliced"))
    leave("no strand", pl.col("strand").is_null())
    leave("non-coding biotype", pl.col("pseudo") | pl.col("biotype").str.contains(_NON_CODING))
    cds = cds.with_columns(
        pl.when(pl.col("strand") == "+").then("start").otherwise(-pl.col("end")).alias("order")
    ).sort("t", "order")
    after = pl.col("order").shift(-1).over("t")
    length = pl.col("end") - pl.col("start")
    leave("overlapping coding pieces", after < pl.col("order") + length - _MAX_SLIPPAGE)
    before = (length.cum_sum() - length).over("t")
    first = pl.col("phase").fill_null(0).first().over("t").cast(pl.Int64)
    expected = ((first - before) % 3 + 3) % 3
    cds = cds.with_columns(expected.cast(pl.Int8).alias("expected"))
    leave("phases against lengths", (pl.col("phase") != pl.col("expected")).any().over("t"))
    # csq subtracts the first piece's phase from its length: a piece as short as that is left out.
    # Its 5'-most codon lies in the next.
    cds = cds.filter(before + length > first)
    leave("shorter than a codon", length.sum().over("t") - pl.col("expected").first().over("t") < 3)
    recoded = cds.filter("recoded")["transcript"].unique().to_list()
    if recoded:
        left_out["recoded (read as written by csq)"] = sorted(recoded)
    return cds.select("t", "start", "end", pl.col("expected").alias("phase"))


def _genetic_codes(
    transcripts: pl.DataFrame, cds: pl.DataFrame, codes: Mapping[str, int], organelles: set[str]
) -> tuple[pl.DataFrame, list[str]]:
    """Give each transcript that has coding calls its genetic code; name refused contigs."""
    called = transcripts.join(cds, on="t", how="semi")
    stated = pl.coalesce(
        pl.col("contig").replace_strict(codes, default=None, return_dtype=pl.Int64), "transl_table"
    )
    code = (
        pl.when(stated == 1)  # NCBI's table 1 knows starts besides ATG that no annotation means
        .then(STANDARD_CODE)
        .when(stated.is_null() & ~pl.col("contig").is_in(organelles))
        .then(STANDARD_CODE)
        .otherwise(stated)
    )
    called = called.select("t", "contig", code.cast(pl.Int16).alias("genetic_code"))
    without = called.filter(pl.col("genetic_code").is_null())["contig"]
    refused = without.unique(maintain_order=True).to_list()
    transcripts = transcripts.join(called.drop("contig"), on="t", how="left", maintain_order="left")
    return transcripts, refused


def _numbered(
    transcripts: pl.DataFrame,
    exons: pl.DataFrame,
    cds: pl.DataFrame,
    names: ContigNames,
    contigs: dict[str, Match],
    left_out: dict[str, list[str]],
    refused: list[str],
) -> GeneModels:
    """Put everything in its final order and type."""
    order = {contig: number for number, contig in enumerate(names.lengths)}
    transcripts = (
        transcripts.with_columns(
            pl.col("contig").replace_strict(order, return_dtype=pl.Int64).alias("order"),
            pl.col("coding_start").is_null().alias("non_coding"),
            pl.when(pl.col("strand") == "-")
            .then(pl.col("end") - 1)
            .otherwise("start")
            .alias("tss"),
        )
        .sort("order", "non_coding", "transcript", "start", "end", "t")
        .with_row_index("index")
    )
    number = transcripts.select("t", "index")
    genes = transcripts["root"].n_unique()
    table = transcripts.select(TRANSCRIPTS.names).cast(TRANSCRIPTS.schema)  # type: ignore[arg-type]

    def renumbered(frame: pl.DataFrame, wanted: Table) -> pl.DataFrame:
        rows = frame.join(number, on="t").sort("index", "start", "end")
        return rows.select(wanted.names).cast(wanted.schema)  # type: ignore[arg-type]

    called = transcripts.filter(pl.col("genetic_code").is_not_null())
    return GeneModels(
        TRANSCRIPTS.check(table, "transcripts"),
        EXONS.check(renumbered(_with_whole(exons, transcripts), EXONS), "exons"),
        CDS.check(renumbered(cds.join(called, on="t", how="semi"), CDS), "cds"),
        genes,
        contigs,
        left_out,
        refused,
    )


def _with_whole(exons: pl.DataFrame, transcripts: pl.DataFrame) -> pl.DataFrame:
    """Give transcripts without any part one exon, their whole span."""
    bare = transcripts.join(exons, on="t", how="anti").select("t", "start", "end")
    return pl.concat([exons, bare])


def _some(names: Iterable[str] | Sequence[str]) -> str:
    listed = list(names)
    return ", ".join(map(repr, listed[:5])) + (", …" if len(listed) > 5 else "")
