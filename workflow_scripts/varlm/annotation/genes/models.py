"""Features of an annotation → genes, transcripts, exons and coding sequences on the reference.

Whatever the dialect, a transcript ends up with exons (where the file has none, made of its coding
and untranslated parts), coding pieces that include the stop codon (GTF leaves it out), and phases
that agree with their lengths. UTRs are what remains of the exons, so a file without UTR lines
gives the same consequences as one with them. Intervals are 0-based and half-open.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from varlm.annotation.genes.contents import nothing_made, warn_of_loose_parts
from varlm.annotation.genes.contig_ends import within_ends
from varlm.annotation.genes.faults import genetic_code_of, without_faults
from varlm.annotation.genes.gff import AnnotationFile
from varlm.annotation.genes.junctions import Sequence
from varlm.annotation.genes.lines import CDS_TYPES, CUT_CDS
from varlm.annotation.genes.loci import with_places, without_mark
from varlm.annotation.genes.origin import joined_over_origin, warn_of_circles, within_a_turn
from varlm.annotation.genes.parts import coding_pieces, exons_of
from varlm.annotation.genes.proteins import told_apart
from varlm.annotation.genes.recoding import statements
from varlm.annotation.genes.tables import CDS, EXONS, TRANSCRIPTS
from varlm.annotation.genes.tree import assign_parts, gff3_tree, gtf_tree
from varlm.errors import UserError, first_few
from varlm.genome.contig_names import ContigNames, Match
from varlm.tables.parquet import Table

log = logging.getLogger(__name__)

_BIOTYPES = {"mRNA": "protein_coding", "lnc_RNA": "lncRNA", "transcript": "misc_RNA"}
# Types that say nothing of what the transcript is: its gene's biotype says more.
_VAGUE = ("transcript", "gene", "primary_transcript", "RNA", "pseudogenic_transcript", "CDS")


_ELSEWHERE = "contig not in the reference"


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
    stated : polars.DataFrame
        `recoding.STATEMENTS`, with the transcript's `index` in place of `t`.
    circular : list of str
        The reference's contigs that are circular.
    """

    transcripts: pl.DataFrame
    exons: pl.DataFrame
    cds: pl.DataFrame
    genes: int
    contigs: dict[str, Match]
    left_out: dict[str, list[str]]
    refused: list[str]
    stated: pl.DataFrame
    circular: list[str]


def build(
    file: AnnotationFile,
    path: Path,
    names: ContigNames,
    codes: Mapping[str, int] | None = None,
    sequence: Sequence | None = None,
    default_code: int | None = None,
    circular: Collection[str] = (),
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
    sequence : callable, optional
        Contig of the reference → its bases, ASCII: for proteins that the file does not tell apart.
    default_code : int, optional
        That of the contigs of which neither `codes` nor the annotation says anything.
    circular : collection of str
        Contigs of the reference that are circular, besides those that the annotation calls so.

    Raises
    ------
    UserError
        If features in number pass the end of their contig, no feature lies on a contig of the
        reference, or no gene or transcript can be made of them.
    """
    left_out: dict[str, list[str]] = {}
    if not file.features.height:  # nothing but types such as match, which are not kept
        raise nothing_made(file, path, 0)
    features, contigs = _on_reference(file, path, names, left_out, circular)
    rings = _circular(file, contigs, circular)
    if sequence is not None:
        sequence = _around(sequence, rings)
    features = with_places(features, file.gtf, sequence)
    nodes, parts = gtf_tree(features) if file.gtf else gff3_tree(features)
    transcripts, parts = assign_parts(nodes, parts)
    if not transcripts.height:
        raise nothing_made(file, path, len(left_out.get(_ELSEWHERE, ())))
    warn_of_loose_parts(features, file.gtf, path)
    transcripts, parts = told_apart(transcripts, parts, sequence)
    exons = exons_of(transcripts, parts)
    cds = coding_pieces(parts)
    transcripts = _describe(transcripts, exons, cds, parts)
    cds = without_faults(transcripts, cds, left_out)
    organelles = {
        str(match.contig) for name, match in contigs.items() if name in file.organelles
    } | _organelles(names)
    transcripts, refused = genetic_code_of(transcripts, cds, codes or {}, organelles, default_code)
    stated = statements(parts)
    return _numbered(transcripts, exons, cds, stated, names, contigs, left_out, refused, rings)


# Contigs -------------------------------------------------------------------------------------


def _on_reference(
    file: AnnotationFile,
    path: Path,
    names: ContigNames,
    left_out: dict[str, list[str]],
    circular: Collection[str],
) -> tuple[pl.DataFrame, dict[str, Match]]:
    """Rename contigs to the reference's and check every feature against their lengths."""
    contig_names = file.features["contig"].unique(maintain_order=True).to_list()
    declared: dict[str, int | None] = {name: file.declared.get(name) for name in contig_names}
    contigs = {name: names.match(name, declared) for name in contig_names}
    unknown = {name: match.how for name, match in contigs.items() if match.contig is None}
    if len(unknown) == len(contigs):
        raise UserError(
            f"{path}: no feature lies on a contig of the reference (annotation: "
            f"{first_few(map(repr, contig_names))}; reference: "
            f"{first_few(map(repr, names.lengths))}); give the annotation of this assembly, or "
            f"{names.remedy}"
        )
    if unknown:
        shown = "; ".join(f"{name!r}: {how}" for name, how in list(unknown.items())[:5])
        log.warning(
            "%s: %d contigs are not in the reference, their features are passed over (%s)",
            path,
            len(unknown),
            shown,
        )
        left_out[_ELSEWHERE] = list(unknown)
    known = {name: match.contig for name, match in contigs.items() if match.contig}
    features = file.features.filter(pl.col("contig").is_in(list(known))).with_columns(
        pl.col("contig").replace_strict(known, return_dtype=pl.String)
    )
    rings = _circular(file, contigs, circular)
    declared_lengths = {known[name]: n for name, n in file.declared.items() if name in known}
    lengths = {contig: names.lengths[contig] for contig in known.values()}
    features = within_ends(features, lengths, declared_lengths, set(rings), path)
    rings_used = {contig: lengths[contig] for contig in rings if contig in lengths}
    warn_of_circles(features, lengths, rings, path)
    features = within_a_turn(features, rings_used, path, left_out)
    return joined_over_origin(features, rings_used), contigs


def _circular(
    file: AnnotationFile, contigs: Mapping[str, Match], circular: Collection[str]
) -> list[str]:
    """Return the reference's contigs that are circular by the annotation or by the config."""
    stated = {match.contig for name, match in contigs.items() if name in file.circular}
    return sorted({*circular, *(contig for contig in stated if contig is not None)})


def _around(sequence: Sequence, rings: Collection[str]) -> Sequence:
    """Return circular contigs' bases for two turns: features over an origin pass the end."""
    return lambda c: np.tile(sequence(c), 2) if c in rings else sequence(c)


def _organelles(names: ContigNames) -> set[str]:
    """Return the reference's contigs that are a mitochondrion or a plastid by name or alias."""
    organelle = ContigNames({"mitochondrion": 1, "plastid": 1})
    spelled = [(contig, contig) for contig in names.lengths] + list(names.aliases.items())
    return {contig for name, contig in spelled if organelle.match(name, {}).contig}


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
        (pl.col("type") == CUT_CDS).any().alias("cut"),
    )
    frame = transcripts.drop("pseudo").with_columns(
        (transcripts["pseudo"] | transcripts["root_pseudo"].fill_null(False)).alias("pseudo")
    )
    for table in (span, coding, stated, strands):
        frame = frame.join(table, on="t", how="left", maintain_order="left")
    strand = pl.coalesce("part_strand", "strand")
    gene_id = without_mark(pl.coalesce("root_gene_id", _bare_id("root_id")))
    transcript = (
        pl.when(pl.col("n") == pl.col("root"))
        .then(pl.coalesce("transcript_id", gene_id))
        .otherwise(pl.coalesce("transcript_id", _bare_id("id")))
    )
    transcript = without_mark(transcript)
    # Of several proteins: the transcript's name, and the protein's behind it.
    several = pl.col("protein").is_not_null()
    transcript = (
        pl.when(several).then(pl.format("{}:{}", transcript, "protein")).otherwise(transcript)
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
        pl.col("cut").fill_null(False),
        "untold",
        "transl_table",
        pl.col("recoded").fill_null(False),
    )


def _bare_id(column: str) -> pl.Expr:
    """Return an ID without the type that Ensembl, NCBI and our GTF keys put before it."""
    return pl.col(column).str.replace(r"^(?:gene:|transcript:|gene-|rna-|g:|t:)", "")


def _of_type() -> pl.Expr:
    return pl.col("type").replace(_BIOTYPES)


def _numbered(
    transcripts: pl.DataFrame,
    exons: pl.DataFrame,
    cds: pl.DataFrame,
    stated: pl.DataFrame,
    names: ContigNames,
    contigs: dict[str, Match],
    left_out: dict[str, list[str]],
    refused: list[str],
    circular: list[str],
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

    def renumbered(frame: pl.DataFrame, target: Table) -> pl.DataFrame:
        rows = frame.join(number, on="t").sort("index", "start", "end")
        return rows.select(target.names).cast(target.schema)  # type: ignore[arg-type]

    called = transcripts.filter(pl.col("genetic_code").is_not_null())
    return GeneModels(
        TRANSCRIPTS.check(table, "transcripts"),
        EXONS.check(renumbered(_with_whole(exons, transcripts), EXONS), "exons"),
        CDS.check(renumbered(cds.join(called, on="t", how="semi"), CDS), "cds"),
        genes,
        contigs,
        left_out,
        refused,
        stated.join(number.with_columns(pl.col("t").cast(pl.UInt32)), on="t").drop("t"),
        circular,
    )


def _with_whole(exons: pl.DataFrame, transcripts: pl.DataFrame) -> pl.DataFrame:
    """Give transcripts without any part one exon, their whole span."""
    bare = transcripts.join(exons, on="t", how="anti").select("t", "start", "end")
    return pl.concat([exons, bare])
