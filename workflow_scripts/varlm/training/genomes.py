"""Genomes for training: FASTA and annotation → bases with their region class, and windows."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.annotation.genes.gff import read_annotation
from varlm.annotation.genes.models import GeneModels, build
from varlm.errors import UserError, first_few
from varlm.genome.bases import CODES
from varlm.genome.contig_names import ContigNames
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.training.corpus import REGION_SHIFT, REGIONS, SOFT_MASKED
from varlm.training.peptides import sketch as sketch_peptides

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A genome to train on, as the config names it."""

    name: str
    fasta: Path
    annotation: Path | None = None
    group: str | None = None


@dataclass(frozen=True)
class Contig:
    """A contig of a training genome.

    Attributes
    ----------
    genome, name : str
    codes : uint8, shape (length,)
        As `varlm.training.corpus` describes them.
    places, hashes : int64 and uint64, shape (peptides,)
        Of `varlm.training.peptides.sketch`; empty where they were not wanted.
    """

    genome: str
    name: str
    codes: NDArray[np.uint8]
    places: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    hashes: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))


def read_genome(source: Source, promoter: int, *, peptides: bool = False) -> list[Contig]:
    """Read a genome, and class its bases by the annotation.

    Parameters
    ----------
    source : Source
    promoter : int
        Length, in bp, of what counts as promoter before a transcript's start.
    peptides : bool
        Whether sampled peptides of coding sequence are wanted.

    Returns
    -------
    list of Contig
        In the FASTA's order. Without an annotation every base is intergenic.

    Raises
    ------
    UserError
        If a file is damaged, or the annotation is of another genome.
    """
    soft_masked = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        index_reference(source.fasta, Path(folder), soft_masked, f"genomes.{source.name}.fasta")
        genome = Genome.open(Path(folder))
        models = _models(source, genome.lengths)
        regions = _regions(models, genome.lengths, promoter)
        pieces = _pieces(models) if peptides and models is not None else {}
        masked = np.frombuffer(soft_masked.getbuffer(), np.uint8)
        contigs, offset = [], 0
        for name, length in genome.lengths.items():
            codes = CODES[genome.sequence(name)]
            sketch = sketch_peptides(codes, pieces[name]) if name in pieces else ()
            codes |= masked[offset : offset + length] * np.uint8(SOFT_MASKED)
            codes |= regions[name] << np.uint8(REGION_SHIFT)
            offset += length
            contigs.append(Contig(source.name, name, codes, *sketch))
        return contigs


def _models(source: Source, lengths: Mapping[str, int]) -> GeneModels | None:
    """Return the gene models of a genome, if it has an annotation."""
    if source.annotation is None:
        return None
    features = read_annotation(source.annotation, f"genomes.{source.name}.annotation")
    return build(features, source.annotation, ContigNames(lengths, key=None))


def _pieces(models: GeneModels) -> dict[str, pl.DataFrame]:
    """Return contig → its coding pieces, those that transcripts share once."""
    columns = ("contig", "start", "end", "phase", "strand")
    where = models.transcripts.select("index", "contig", "strand")
    pieces = models.cds.join(where, on="index").select(columns).unique(maintain_order=True)
    return {str(contig): part for (contig,), part in pieces.group_by("contig")}


def _regions(
    models: GeneModels | None, lengths: Mapping[str, int], promoter: int
) -> dict[str, NDArray[np.uint8]]:
    """Return contig → the region class of each base."""
    classes = {name: np.zeros(length, np.uint8) for name, length in lengths.items()}
    if models is None:
        return classes
    where = models.transcripts.select("index", "contig")
    forward = pl.col("strand") != "-"
    before = models.transcripts.select(
        "contig",
        start=pl.when(forward).then(pl.col("tss").cast(pl.Int64) - promoter).otherwise("end"),
        end=pl.when(forward)
        .then(pl.col("tss").cast(pl.Int64))
        .otherwise(pl.col("end").cast(pl.Int64) + promoter),
    )
    layers = {
        "promoter": before,
        "intron": models.transcripts,
        "exon": models.exons.join(where, on="index"),
        "coding": models.cds.join(where, on="index"),
    }
    for region, spans in layers.items():
        for contig, start, end in spans.select("contig", "start", "end").iter_rows():
            classes[contig][max(start, 0) : max(end, 0)] = REGIONS.index(region)
    return classes


def sets_of(
    genomes: Mapping[str, Sequence[str]],
    held_out: Sequence[str],
    validation: Sequence[str],
) -> dict[tuple[str, str], str]:
    """Return (genome, contig) → train, validation or held_out.

    Parameters
    ----------
    genomes : mapping
        Genome → its contigs.
    held_out, validation : sequence of str
        Contigs, in any spelling that names the same (`IV`, `chrIV`, `4`), in every genome.

    Raises
    ------
    UserError
        If a name is a contig of no genome, or of both sets, or no contig is left to train on.
    """
    sets = {(genome, contig): "train" for genome in genomes for contig in genomes[genome]}
    names = {g: ContigNames(dict.fromkeys(genomes[g], 0), key=None) for g in genomes}
    for which, spellings in (("held_out", held_out), ("validation", validation)):
        taken = {name: _named(name, names) for name in map(str, spellings)}
        for name, contigs in taken.items():
            if not contigs:
                known = first_few(next(iter(genomes.values())), 20)
                raise UserError(
                    f"{which}: no genome has a contig {name!r}; "
                    f"those of {next(iter(genomes))} are {known}"
                )
            for key in contigs.items():
                if sets[key] not in ("train", which):
                    raise UserError(
                        f"the contig {name} of {key[0]} is named both in held_out and in "
                        "validation; name it in one of them"
                    )
                sets[key] = which
        _report(which, taken, list(genomes))
    if "train" not in sets.values():
        raise UserError("every contig is held out or for validation; leave some to train on")
    return sets


def _named(spelling: str, names: Mapping[str, ContigNames]) -> dict[str, str]:
    """Return genome → its contig with that name, of the genomes that have one."""
    matched = {g: known.match(spelling, {spelling: None}).contig for g, known in names.items()}
    return {genome: contig for genome, contig in matched.items() if contig is not None}


def _report(which: str, taken: Mapping[str, Mapping[str, str]], genomes: list[str]) -> None:
    """Log which contigs of which genomes are not trained on, and warn of those without."""
    contigs_of = {genome: [c[genome] for c in taken.values() if genome in c] for genome in genomes}
    alike: dict[str, list[str]] = {}
    for genome, contigs in contigs_of.items():
        alike.setdefault(", ".join(contigs), []).append(genome)
    untouched = alike.pop("", [])
    for listed, members in alike.items():
        log.info("%s: %s of %s", which, listed, ", ".join(members))
    if not taken:
        return
    lacking = {
        name: [g for g in genomes if g not in contigs and contigs_of[g]]
        for name, contigs in taken.items()
    }
    if any(lacking.values()):
        parts = [f"{name} in {first_few(without)}" for name, without in lacking.items() if without]
        log.warning("contigs that some genomes lack (%s): %s", which, "; ".join(parts))
    if untouched:
        log.warning(
            "%d of %d genomes have none of the contigs %s (%s): %s",
            *(len(untouched), len(genomes), ", ".join(taken), which),
            first_few(untouched),
        )
