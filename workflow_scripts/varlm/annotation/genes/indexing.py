"""An annotation of any dialect → the folder that consequences are called from."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from varlm.annotation.genes import csq, csq_input
from varlm.annotation.genes.annotation import gff3_path
from varlm.annotation.genes.coding import Sequences
from varlm.annotation.genes.gff import AnnotationFile, read_annotation
from varlm.annotation.genes.models import GeneModels, build
from varlm.annotation.genes.recoding import recoded_residues
from varlm.annotation.genes.tables import CDS, EXONS, RECODED, TRANSCRIPTS
from varlm.annotation.genes.view_calls import Views
from varlm.errors import UserError, first_few
from varlm.files.whole import atomic_path
from varlm.genome.contig_names import ContigNames
from varlm.genome.reference import Genome
from varlm.tables.parquet import write_table

log = logging.getLogger(__name__)

DEFAULT = "default"  # in annotate.genetic_codes: every contig that is not named
_SHOWN = 10  # names listed of what was left out
_NO_ALLELES = {
    "contig": pl.UInt32,
    "pos": pl.Int64,
    "row": pl.Int64,
    "ref": pl.String,
    "alt": pl.String,
}


def index_annotation(
    annotation: Path,
    genome: Genome,
    folder: Path,
    aliases: Path | None = None,
    genetic_codes: Sequence[str] = (),
    circular: Collection[str] = (),
) -> dict[str, Any]:
    """Write the tables of gene models, the GFF3 that csq reads, and `annotation.json`.

    Parameters
    ----------
    annotation : Path
        GFF3 or GTF; plain, gzip or bgzip.
    genome : Genome
    folder : Path
        Output.
    aliases : Path, optional
        Contig aliases or an NCBI assembly report.
    genetic_codes : sequence of str
        CONTIG=N: NCBI's genetic code of a contig, which may be named by an alias; default=N: of
        every contig of which neither this nor the annotation says anything.
    circular : collection of str
        Contigs of the reference that are circular, besides those that the annotation calls so.

    Returns
    -------
    dict
        What `annotation.json` says.

    Raises
    ------
    UserError
        If the annotation is not one of this reference, or csq cannot read what was made of it.
    """
    names = ContigNames.of(genome.lengths, aliases)
    codes = read_genetic_codes(genetic_codes, names)
    default = codes.pop(DEFAULT, None)
    rings = [known_contig(name, names) for name in circular]
    file = read_annotation(annotation)
    models = build(file, annotation, names, codes, genome.sequence, default, rings)
    for contig, code in models.transcripts.select("contig", "genetic_code").unique().iter_rows():
        if code is not None:
            csq.check_code(code, contig)
    sequences = Sequences(genome)
    recoded, unplaced = recoded_residues(models.transcripts, models.cds, models.stated, sequences)
    if unplaced:
        models.left_out["recoded outside of their coding sequence (read by the code alone)"] = (
            sorted(unplaced)
        )
    _warn(models, annotation)

    folder.mkdir(parents=True, exist_ok=True)
    for table, frame in (
        (TRANSCRIPTS, models.transcripts),
        (EXONS, models.exons),
        (CDS, models.cds),
        (RECODED, recoded),
    ):
        write_table(frame, folder / f"{table.name}.parquet", table)
    views = Views(models.transcripts, models.exons, models.cds, recoded, models.circular, genome)
    _write_gff3(models, views, genome, folder)
    summary = _summary(annotation, file, models)
    with atomic_path(folder / "annotation.json") as temporary:
        temporary.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    return summary


def known_contig(name: str, names: ContigNames) -> str:
    """Return the contig of the reference that a name means; `UserError` if none."""
    contig = names.match(name, {}).contig
    if contig is None:
        raise UserError(
            f"reference.circular: {name!r} is no contig of the reference "
            f"({first_few(names.lengths)}); correct the name"
        )
    return contig


def read_genetic_codes(settings: Sequence[str], names: ContigNames) -> dict[str, int]:
    """Read CONTIG=N, the contig named as anywhere else; contig of the reference → code.

    The name `default` is no contig but all that are not named, whatever the reference has.

    Raises
    ------
    UserError
        If there is no such contig or no such code.
    """
    codes: dict[str, int] = {}
    for text in settings:
        name, _, number = text.rpartition("=")
        contig = DEFAULT if name == DEFAULT else names.match(name, {}).contig if name else None
        if contig is None:
            raise UserError(
                f"annotate.genetic_codes: {name or text!r} is no contig of the reference "
                f"({first_few(names.lengths)}); correct the name, or give default for every "
                "contig"
            )
        if not number.isdigit():
            raise UserError(
                f"annotate.genetic_codes: {number!r} of contig {name!r} is no number; expected "
                "NCBI's number of a genetic code, for example 3"
            )
        csq.check_code(int(number), name)
        codes[contig] = int(number)
    return codes


def _write_gff3(models: GeneModels, views: Views, genome: Genome, folder: Path) -> None:
    """Write a GFF3 for each genetic code, and remove those of an earlier annotation."""
    stale = set(folder.glob("coding.*.gff3"))
    along = models.transcripts.filter(~pl.col("index").is_in(pl.Series(views.index).implode()))
    for code, transcripts in csq.codes_in_use(along).items():
        path = gff3_path(folder, code)
        cds = models.cds.join(transcripts.select("index"), on="index", how="semi")
        csq_input.write_gff3(transcripts, models.exons, cds, genome.names, path)
        _try(genome, path, code)
        stale.discard(path)
    for path in stale:
        path.unlink()
    with tempfile.TemporaryDirectory(dir=folder, prefix=".csq.") as work:
        files = views.write(Path(work))
        if files is not None:
            files.try_out(Path(work) / "nothing")


def _try(genome: Genome, gff3: Path, code: int) -> None:
    """Let csq read what it will be given, so that it cannot fail on it later."""
    with tempfile.TemporaryDirectory(dir=gff3.parent, prefix=".csq.") as folder:
        reference = csq_input.Reference(genome.fasta, genome.contigs, Path(folder))
        csq.call(pl.DataFrame(schema=_NO_ALLELES), reference, gff3, code, Path(folder) / "nothing")


def _warn(models: GeneModels, path: Path) -> None:
    for reason, ids in models.left_out.items():
        if reason not in ("contig not in the reference", "non-coding biotype"):
            log.warning(
                "%s: %d transcripts without (or with doubtful) coding calls: %s: %s",
                path,
                len(ids),
                reason,
                first_few(ids, _SHOWN),
            )
    for contig in models.refused:
        log.warning(
            "%s: contig %r has coding genes and is a mitochondrion or plastid, whose genetic code "
            "nobody states: its coding alleles are coding_sequence_variant and no more; give "
            "NCBI's number of the code in annotate.genetic_codes, for example {%s: 2}",
            path,
            contig,
            contig,
        )


def _summary(path: Path, file: AnnotationFile, models: GeneModels) -> dict[str, Any]:
    transcripts = models.transcripts
    biotypes = transcripts["biotype"].fill_null("").value_counts(sort=True)
    codes = (
        transcripts.filter(pl.col("genetic_code").is_not_null())
        .select("contig", "genetic_code")
        .unique(maintain_order=True)
    )
    return {
        "annotation": str(path),
        "dialect": file.dialect,
        "genes": models.genes,
        "transcripts": transcripts.height,
        "coding_transcripts": int(transcripts["genetic_code"].is_not_null().sum()),
        "biotypes": dict(sorted(biotypes.iter_rows(), key=lambda row: (-row[1], row[0]))),
        "contigs": {
            name: {"contig": match.contig, "how": match.how}
            for name, match in models.contigs.items()
        },
        "genetic_codes": {
            contig: code or 1 for contig, code in codes.iter_rows() if code is not None
        },
        "circular": models.circular,
        "refused_contigs": models.refused,
        "left_out": {
            reason: {"count": len(ids), "first": ids[:_SHOWN]}
            for reason, ids in models.left_out.items()
        },
    }
