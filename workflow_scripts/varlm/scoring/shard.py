"""Rows of a shard and a model → their scores; what the steps that load a model share."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.files.whole import sha256
from varlm.genome.reference import Genome
from varlm.genome.windows import CHUNK, AlleleWindows, Bytes, allele_windows, site_windows
from varlm.run import heartbeat
from varlm.run.progress import Progress
from varlm.scoring.hardware import Hardware, take_device
from varlm.scoring.partial_scores import Method, PartialScores, open_partial_scores
from varlm.tables.schemas import LOGIT_COLUMNS

if TYPE_CHECKING:
    from varlm.scoring.scorer import Scorer

log = logging.getLogger("varlm")

_SAMPLE = 64  # sites on which a faster mode has to agree with float32
_FEW = 64  # with fewer rows, modes are not worth measuring
_INTERVAL = 5.0  # seconds of work that a stopped job may lose, or one batch where that takes longer
_KEYS = {"name", "folder", "files", "window", "strands", "precision"}


@dataclass(frozen=True)
class Scores:
    """The scores of some rows, and how they were made.

    Attributes
    ----------
    sites : polars.DataFrame
        `varlm.tables.schemas.SITES`.
    alleles : polars.DataFrame
        `varlm.tables.schemas.ALLELES`.
    run : dict
        `device`, `arithmetic`, numbers of `sites` and `alleles`, `seconds` without loading the
        model; empty where there was nothing to score.
    """

    sites: pl.DataFrame
    alleles: pl.DataFrame
    run: dict[str, Any]


def score_rows(
    rows: pl.DataFrame,
    genome: Genome,
    settings: dict[str, Any],
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
    run: dict[str, Any] = {}
    if not rows.is_empty():
        run = _run(sites, alleles, genome, settings, hardware, partial)
    return Scores(
        _sites_table(sites, partial.sites()), _alleles_table(alleles, partial.alleles()), run
    )


def identity(shard: Path, genome: Genome, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what the scores of a shard are of: its rows, the genome, the model and how it is run.

    JSON values, for `open_partial_scores`.
    """
    contigs = genome.contigs.select("contig", "digest").rows()
    return {
        "shard": sha256(shard),
        "genome": hashlib.sha256(json.dumps(contigs).encode()).hexdigest(),
        **{name: value for name, value in settings.items() if name not in ("name", "folder")},
    }


def _run(
    sites: pl.DataFrame,
    alleles: pl.DataFrame,
    genome: Genome,
    settings: dict[str, Any],
    hardware: Hardware,
    partial: PartialScores,
) -> dict[str, Any]:
    """Score what `partial` lacks; return `Scores.run`."""
    total, window = sites.height + alleles.height, settings["window"]
    if partial.resumed:
        log.info(
            "%d of %d rows are scored already; going on with the others", partial.resumed, total
        )
    run: dict[str, Any] = {
        "sites": sites.height,
        "alleles": alleles.height,
        "resumed": partial.resumed,
    }
    if partial.resumed == total and partial.method is not None:
        method = partial.method
        run |= {"device": method.device, "arithmetic": method.mode}
        return run | {"seconds": round(partial.seconds, 3)}

    scorer, arithmetic = _scorer(hardware, settings, genome, pl.concat([sites, alleles]), partial)

    def score_sites(part: pl.DataFrame) -> NDArray[np.float32]:
        return scorer.sites(_site_windows(genome, part, window), _locator(part))

    def score_alleles(part: pl.DataFrame) -> NDArray[np.float64]:
        return scorer.alleles(_allele_windows(genome, part, window), _locator(part))

    _in_stretches(scorer, sites, len(partial.sites()), "sites", score_sites, partial.add_sites)
    done = len(partial.alleles())
    if settings["precision"] == "auto" and done < alleles.height:
        from varlm.scoring.tuning import confirm_for_alleles

        picked = np.unique(np.linspace(0, alleles.height - 1, _SAMPLE // 8).astype(int))
        sample = _allele_windows(genome, alleles[picked], window)
        confirm_for_alleles(scorer, sample)
    _in_stretches(scorer, alleles, done, "alleles", score_alleles, partial.add_alleles)
    run |= {"device": str(scorer.model.device), "arithmetic": arithmetic}
    return run | {"seconds": round(partial.seconds, 3)}


def _in_stretches(
    scorer: Scorer,
    rows: pl.DataFrame,
    done: int,
    what: str,
    score: Callable[[pl.DataFrame], NDArray[Any]],
    keep: Callable[[NDArray[Any], float], None],
) -> None:
    """Score `rows` from row `done` on, and keep the scores of each stretch when it is done.

    A stretch is as many batches as take about `_INTERVAL`: more where a GPU does thousands of
    windows a second, one where a batch takes longer.
    """
    progress = Progress(rows.height, what, done)

    def batch_done(count: int) -> None:
        progress(count)
        heartbeat.beat()

    scorer.progress = batch_done
    batches = 1
    while done < rows.height:
        started = time.monotonic()
        part = rows[done : done + batches * scorer.batch_size]
        scores = score(part)
        seconds = time.monotonic() - started
        keep(scores, seconds)
        done += part.height
        if seconds < _INTERVAL / 2 and 2 * batches * scorer.batch_size <= CHUNK:
            batches *= 2
        elif seconds > _INTERVAL:
            batches = max(batches // 2, 1)


def _scorer(
    hardware: Hardware,
    settings: dict[str, Any],
    genome: Genome,
    rows: pl.DataFrame,
    partial: PartialScores,
) -> tuple[Scorer, str]:
    """Load the model, once, and choose the mode and the batch size; say which mode.

    Both are those of the job before, where it left scores made on such a device.
    """
    import torch

    from varlm.models import load_model
    from varlm.scoring.batch_size import default_batch, fitting_batch
    from varlm.scoring.scorer import Scorer
    from varlm.scoring.tuning import tune

    torch.set_num_threads(hardware.threads)
    device = take_device(hardware.device)
    started = time.monotonic()
    model = load_model(Path(settings["folder"]), settings["files"], device)
    log.info(
        "model %s (%s) loaded on %s in %.1f s; %d rows to score",
        settings["name"],
        model.describe(),
        device,
        time.monotonic() - started,
        rows.height,
    )
    heartbeat.beat()
    before = partial.method
    if before is not None and before.device != device.type:
        before = None
    precision = settings["precision"]
    if before is not None:
        precision = before.mode
    elif rows.height < _FEW and precision == "auto":  # trying out takes longer than scoring
        precision = "float32"
    wanted = hardware.batch_size or (before.batch_size if before is not None else None)
    if wanted is None:
        wanted = default_batch(model, settings["window"])
        wanted = fitting_batch(model, settings["window"], wanted)
    batch_size = max(wanted >> heartbeat.halvings(), 1)
    # Spread over the shard; a share of it, as the sample is computed in float32 as well.
    size = min(_SAMPLE, max(8, rows.height // 32), rows.height)
    picked = np.unique(np.linspace(0, rows.height - 1, size).astype(int))
    windows = _site_windows(genome, rows[picked], settings["window"])
    choice = tune(model, windows, settings["strands"], precision, batch_size)
    log.info("%s; %d windows a batch", choice.summary(len(windows)), batch_size)
    heartbeat.beat()
    partial.begin(Method(choice.mode, batch_size, device.type))
    return Scorer(model, settings["strands"], batch_size), choice.mode


def _allele_windows(genome: Genome, rows: pl.DataFrame, window: int) -> AlleleWindows:
    """Windows of the rows' alleles, in their order; several contigs at once."""
    parts = []
    for contig, part in _by_contig(rows):
        positions = part["pos"].to_numpy().astype(np.int64) - 1
        refs, alts = part["ref"].to_list(), part["alt"].to_list()
        try:
            parts.append(allele_windows(genome.sequence(contig), positions, refs, alts, window))
        except UserError as error:
            raise UserError(f"contig {contig}: {error}") from error
    return AlleleWindows.concatenate(parts)


def _site_windows(genome: Genome, rows: pl.DataFrame, window: int) -> Bytes:
    """Forward-strand windows of the rows' positions, in their order; several contigs at once."""
    return np.concatenate(
        [
            site_windows(
                genome.sequence(contig), part["pos"].to_numpy().astype(np.int64) - 1, window
            )
            for contig, part in _by_contig(rows)
        ]
    )


def _by_contig(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Stretches of neighbouring rows on one contig, in order."""
    runs = rows["contig"].rle()
    start = 0
    for run in runs:
        yield run["value"], rows[start : start + run["len"]]
        start += run["len"]


def _locator(rows: pl.DataFrame) -> Callable[[int], str]:
    return lambda row: f"{rows['contig'][row]}:{rows['pos'][row]}"


def _sites_table(sites: pl.DataFrame, logits: NDArray[np.float32]) -> pl.DataFrame:
    flat = logits.reshape(-1, 8)
    columns = [pl.Series(name, flat[:, i]) for i, name in enumerate(LOGIT_COLUMNS)]
    return sites.select("contig", "pos").with_columns(column.fill_nan(None) for column in columns)


def _alleles_table(alleles: pl.DataFrame, ratios: NDArray[np.float64]) -> pl.DataFrame:
    return alleles.with_columns(
        pl.Series(name, ratios[:, i], dtype=pl.Float32).fill_nan(None)
        for i, name in enumerate(("llr_fwd", "llr_rev"))
    )


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


def read_settings(path: Path) -> dict[str, Any]:
    """Return what `prepare_model` wrote."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        missing = _KEYS - settings.keys()
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; run the step prepare_model first") from error
    except (ValueError, AttributeError) as error:
        raise UserError(
            f"{path}: not readable as a JSON object; delete it and run again"
        ) from error
    if missing:
        raise UserError(f"{path}: lacks {', '.join(sorted(missing))}; delete it and run again")
    return dict(settings)
