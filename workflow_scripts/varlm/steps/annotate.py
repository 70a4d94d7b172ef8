"""Join a cohort's alleles with the store's scores, consequences, INFO fields, tracks and tables."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from varlm.annotation.bigwigs import BigWigColumns
from varlm.annotation.info_fields import read_info_table
from varlm.annotation.intervals import IntervalColumns
from varlm.annotation.joined_scores import JoinedScores
from varlm.annotation.mutation_calibration import (
    ENOUGH,
    LEAST,
    CohortCalibration,
    MutationCalibration,
)
from varlm.annotation.table import Beside, Sources, Track
from varlm.annotation.transcript_strands import scored_on_both
from varlm.annotation.writing import write_annotated
from varlm.files.whole import check_digest
from varlm.genome.contig_names import ContigNames
from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.run.score_tables import ScoreTable
from varlm.scoring.background import Percentiles
from varlm.scoring.dense_scale import constants
from varlm.scoring.unscored import alleles_without_score
from varlm.steps.options import add_dense_option
from varlm.store import Store
from varlm.tables.parquet import read_table
from varlm.tables.schemas import BACKGROUND, CONSEQUENCES, CONTEXT_MEANS
from varlm.tables.score_kinds import ScoreKind

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--variants", type=Path, required=True, help="variants.parquet")
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--store", type=Path, required=True, help="folder of the score store")
    parser.add_argument(
        "--model", type=Path, action="append", default=[], help="models/{model}.json; repeat"
    )
    parser.add_argument(
        "--background", type=Path, action="append", default=[], help="of each model, in order"
    )
    parser.add_argument(
        "--contexts",
        type=Path,
        action="append",
        default=[],
        help="mutation contexts of each model, in order, by which its log-ratios are calibrated",
    )
    add_dense_option(parser)
    parser.add_argument("--consequences", type=Path, help="consequences.parquet")
    parser.add_argument("--info", type=Path, help="info.parquet")
    parser.add_argument(
        "--score-table", action="append", default=[], help="a table of scores, JSON; repeat"
    )
    parser.add_argument(
        "--scores",
        type=Path,
        action="append",
        default=[],
        help="scores/{NAME}.parquet of each, in order",
    )
    parser.add_argument(
        "--ranks",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="a table's scores of the background; repeat",
    )
    parser.add_argument(
        "--interval", action="append", default=[], metavar="NAME=BED", help="a BED file; repeat"
    )
    parser.add_argument(
        "--bigwig", action="append", default=[], metavar="NAME=FILE", help="a bigWig; repeat"
    )
    parser.add_argument("--aliases", type=Path, help="contig aliases")
    parser.add_argument("--annotated", type=Path, required=True, help="output table")
    parser.add_argument("--calibration", type=Path, help="output: what was calibrated, JSON")


def run(args: argparse.Namespace) -> None:
    """Write `annotated.parquet`; its rows are those of `variants.parquet`, in their order."""
    for path in filter(None, (args.variants, args.consequences, args.info, *args.scores)):
        check_digest(path)
    genome, store = Genome.open(args.reference), Store(args.store)
    models = [
        (model, _percentiles(background, model.kind))
        for model, background in zip(
            map(PreparedModel.read, args.model), args.background, strict=True
        )
    ]
    sources = _sources(args, genome)
    calibrations = _calibrations([model for model, _ in models], args.contexts, genome)
    count = write_annotated(
        args.variants,
        genome,
        store,
        models,
        sources,
        args.annotated,
        constants([model for model, _ in models], args.dense),
        calibrations,
    )
    for name, calibration in calibrations.items():
        _tell_contexts(name, calibration)
    if args.calibration:
        counts = {name: calibration.counts for name, calibration in calibrations.items()}
        CohortCalibration(models=counts).write(args.calibration)
    _warn_of_unscored([model for model, _ in models], args.variants)
    for model, _ in models:
        if model.strands == "transcript":
            _warn_of_means(model, args.annotated, args.consequences is not None)
    names = ", ".join(model.name for model, _ in models) or "none"
    log.info("%s: %d alleles, models: %s", args.annotated, count, names)


def _sources(args: argparse.Namespace, genome: Genome) -> Sources:
    """Open what the table is made of besides the alleles and the store."""
    names = ContigNames.of(genome.lengths, args.aliases)
    tracks: list[Track] = []
    for entry in args.interval:
        name, _, path = entry.partition("=")
        tracks.append(IntervalColumns(name, Path(path), names, f"annotate.intervals.{name}"))
    for entry in args.bigwig:
        name, _, path = entry.partition("=")
        tracks.append(BigWigColumns(name, Path(path), names, f"annotate.bigwigs.{name}"))
    ranks = dict(entry.split("=", 1) for entry in args.ranks)
    tables = map(ScoreTable.from_json, args.score_table)
    return Sources(
        Beside(args.consequences, CONSEQUENCES) if args.consequences else None,
        Beside(args.info, read_info_table(args.info)) if args.info else None,
        tracks,
        [
            JoinedScores.open(table, path, Path(ranks[table.name]) if table.name in ranks else None)
            for table, path in zip(tables, args.scores, strict=True)
        ],
    )


def _percentiles(path: Path, kind: ScoreKind) -> Percentiles | None:
    background = read_table(path, BACKGROUND)
    return Percentiles(background["llr"].to_numpy(), kind.harmful) if background.height else None


def _calibrations(
    models: Sequence[PreparedModel], contexts: Sequence[Path], genome: Genome
) -> dict[str, MutationCalibration]:
    """Return what calibrates each model's scores, of those with log-ratios; none without tables."""
    if not contexts:
        return {}
    return {
        model.name: MutationCalibration(read_table(path, CONTEXT_MEANS), genome)
        for model, path in zip(models, contexts, strict=True)
        if model.kind.is_llr
    }


def _tell_contexts(model: str, calibration: MutationCalibration) -> None:
    """Say in how many SNVs' mutation contexts the background has sites enough."""
    counts = calibration.counts
    log.info(
        "model %s: %d SNVs calibrated by their 5-mer, %d by their trinucleotide, %d by none (null)",
        *(model, counts.pentamer, counts.trinucleotide, counts.none),
    )
    if counts.pentamer < ENOUGH * counts.snvs:
        covered = calibration.coverage
        log.warning(
            "model %s: the background's %d sites are few for a calibration by 5-mers: %.0f %% of "
            "the SNVs are held against their trinucleotide change, whose 5-mers it has at fewer "
            "than %d sites, and %.0f %% have no calibrated score; about %d sites "
            "(scoring.background_sites) would do for %.0f %% of a genome's SNVs",
            *(model, covered.sites, 100 * counts.trinucleotide / counts.snvs),
            *(LEAST, 100 * counts.none / counts.snvs, covered.needed, 100 * ENOUGH),
        )


def _warn_of_unscored(models: Sequence[PreparedModel], variants: Path) -> None:
    """Say how many alleles have nulls, because the models' kinds of score are not of such."""
    without = [model for model in models if model.kind.alleles is None]
    if without and (count := alleles_without_score(variants)):
        log.warning(
            "%d indels or MNVs have no score of %s %s: %s of single bases",
            count,
            "model" if len(without) == 1 else "the models",
            ", ".join(f"{model.name} ({model.kind.name})" for model in without),
            "its scores are" if len(without) == 1 else "their scores are",
        )


def _warn_of_means(model: PreparedModel, annotated: Path, annotation: bool) -> None:
    """Say how many alleles have no transcript's strand, which the model's score is to be of."""
    means, scored = scored_on_both(annotated, model.name)
    if means:
        reason = "they have transcripts on both strands, or none"
        if not annotation:
            reason = "there is no annotation (reference.annotation) to tell the transcript's strand"
        log.warning(
            "%d of %d scores of model %s are means of both strands: %s (column %s_strand)",
            means,
            scored,
            model.name,
            reason,
            model.name,
        )
