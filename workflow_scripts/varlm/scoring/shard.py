"""Rows of a shard and a model → their scores; what the steps that load a model share."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from varlm.errors import UserError
from varlm.files.whole import sha256
from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.scoring import inference
from varlm.scoring.commit_record import ShardRun
from varlm.scoring.hardware import Hardware
from varlm.scoring.inference import score_missing, spread
from varlm.scoring.loading import load_scorer
from varlm.scoring.partial_scores import PartialScores, open_partial_scores
from varlm.tables.schemas import SHARD

if TYPE_CHECKING:
    from varlm.scoring.scorer import Scorer

log = logging.getLogger("varlm")

_ALLELE_SAMPLE = 8  # indels and MNVs on which a faster mode has to agree with float32


@dataclass(frozen=True)
class Scores:
    """The scores of some rows, and how they were made.

    Attributes
    ----------
    sites : polars.DataFrame
        `varlm.tables.schemas.SITES`.
    alleles : polars.DataFrame
        `varlm.tables.schemas.ALLELES`.
    run : ShardRun or None
        None where there was nothing to score.
    """

    sites: pl.DataFrame
    alleles: pl.DataFrame
    run: ShardRun | None


def score_rows(
    rows: pl.DataFrame,
    genome: Genome,
    model: PreparedModel,
    hardware: Hardware,
    partial: PartialScores | None = None,
) -> Scores:
    """Load the model and score rows of `varlm.tables.schemas.SHARD`, each once, in their order.

    Parameters
    ----------
    partial : PartialScores, optional
        Scores of the first rows, which are not computed again; the others are added to it.

    Raises
    ------
    UserError
        If a logit is no finite number, or an allele is too long for the window.
    """
    sites = rows.filter(pl.col("ref").is_null())
    alleles = rows.filter(pl.col("ref").is_not_null())
    partial = partial or open_partial_scores(None, {})
    run = None
    if not rows.is_empty():
        run = _run(sites, alleles, genome, model, hardware, partial)
    site_scores = partial.scores(inference.SITES.schema)
    allele_scores = partial.scores(inference.ALLELES.schema)
    return Scores(
        _table(sites, ("contig", "pos"), site_scores),
        _table(alleles, SHARD.names, allele_scores),
        run,
    )


def identity(shard: Path, genome: Genome, model: PreparedModel) -> dict[str, Any]:
    """Return what the scores of a shard are of: its rows, the genome, the model and how it is run.

    JSON values, for `open_partial_scores`.
    """
    contigs = list(zip(genome.names, genome.stored_as, strict=True))
    # Every key may change a score but what the model is called and where its files lie.
    settings = {k: v for k, v in model.to_json().items() if k not in ("name", "folder")}
    return {
        "shard": sha256(shard),
        "genome": hashlib.sha256(json.dumps(contigs).encode()).hexdigest(),
        **settings,
    }


def _run(
    sites: pl.DataFrame,
    alleles: pl.DataFrame,
    genome: Genome,
    model: PreparedModel,
    hardware: Hardware,
    partial: PartialScores,
) -> ShardRun:
    """Score what `partial` lacks; return `Scores.run`."""
    total, resumed = sites.height + alleles.height, partial.resumed
    if resumed:
        log.info("%d of %d rows are scored already; going on with the others", resumed, total)
    if resumed == total and partial.method is not None:
        device, mode = partial.method.device, partial.method.mode
    else:
        rows = pl.concat([sites, alleles])
        scorer, mode = load_scorer(hardware, model, genome, rows, partial)
        device = str(scorer.model.device)
        _score(scorer, sites, alleles, genome, model, partial)
    return ShardRun(
        sites=sites.height,
        alleles=alleles.height,
        resumed=resumed,
        device=device,
        arithmetic=mode,
        seconds=round(partial.seconds, 3),
    )


def _score(
    scorer: Scorer,
    sites: pl.DataFrame,
    alleles: pl.DataFrame,
    genome: Genome,
    model: PreparedModel,
    partial: PartialScores,
) -> None:
    score_missing(scorer, inference.SITES, sites, genome, model.window, partial)
    scored = partial.scores(inference.ALLELES.schema).height
    if model.precision == "auto" and scored < alleles.height:
        from varlm.scoring.tuning import confirm_for_alleles

        sample = spread(alleles, _ALLELE_SAMPLE)
        confirm_for_alleles(
            scorer, lambda scorer: inference.ratios(scorer, genome, sample, model.window)
        )
    score_missing(scorer, inference.ALLELES, alleles, genome, model.window, partial)


def _table(rows: pl.DataFrame, columns: Sequence[str], scores: pl.DataFrame) -> pl.DataFrame:
    """Return columns of the rows beside their scores, in float32; null where not scored."""
    numbers = scores.with_columns(pl.all().cast(pl.Float32()).fill_nan(None))
    return rows.select(columns).hstack(numbers)


def check_rows(shard: pl.DataFrame, genome: Genome, path: Path) -> None:
    """Raise `UserError` unless every row lies on the reference and REF and ALT come together."""
    bounds = shard.join(
        genome.contigs.select("contig", "length"), on="contig", how="left", maintain_order="left"
    )
    bad = bounds.with_row_index("row").filter(
        pl.col("length").is_null()
        | (pl.col("pos") < 1)
        | (pl.col("pos") > pl.col("length"))
        | (pl.col("ref").is_null() != pl.col("alt").is_null())
    )
    if bad.height:
        first = bad.row(0, named=True)
        length = "no such contig" if first["length"] is None else f"{first['length']} bp"
        raise UserError(
            f"{path}, row {first['row']}: {first['contig']}:{first['pos']} (REF {first['ref']}, "
            f"ALT {first['alt']}) is not on the reference {genome.folder} ({length}); the shard "
            "was planned with another reference: delete the plan and run again"
        )
