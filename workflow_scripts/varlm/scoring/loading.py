"""A prepared model → a scorer: on which device, in which arithmetic, with which batch."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import polars as pl

from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.run import heartbeat
from varlm.scoring.hardware import Hardware
from varlm.scoring.inference import site_windows_of, spread, tile_windows_of
from varlm.scoring.partial_scores import Method, PartialScores
from varlm.scoring.recipe import Recipe

if TYPE_CHECKING:
    import torch

    from varlm.models.language_model import LanguageModel
    from varlm.scoring.scorer import Scorer

log = logging.getLogger("varlm")

SAMPLE = 64  # sites on which a faster mode has to agree with float32
_FEW = 64  # with fewer rows, modes are not worth measuring


def load_scorer(
    hardware: Hardware,
    model: PreparedModel,
    genome: Genome,
    rows: pl.DataFrame,
    partial: PartialScores,
) -> tuple[Scorer, str]:
    """Load the model, choose mode and batch size, and say so in the log and in `partial`.

    Return the scorer, and the mode: indels and MNVs may go back from it to float32.

    Both are those of the job before, where it left scores made on such a device.

    Parameters
    ----------
    hardware : Hardware
    model : PreparedModel
    genome : Genome
    rows : polars.DataFrame
        Of `varlm.tables.schemas.SHARD`, at least one: modes are tried out on some of them.
    """
    import torch

    from varlm.scoring.batch_size import take_device
    from varlm.scoring.scorer import Scorer
    from varlm.scoring.tuning import tune

    torch.set_num_threads(hardware.threads)
    device = take_device(hardware.device)
    loaded = _load(model, device, rows.height)
    before = partial.method
    if before is not None and not _can_go_on(before, loaded):
        before = None
    recipe = Recipe.of(model)
    batch_size = first_batch(
        hardware.batch_size,
        before,
        heartbeat.halvings(),
        lambda: _fitting(loaded, model, recipe),
    )
    scorer = Scorer(loaded, model.strands, batch_size, recipe=recipe)
    # Spread over the shard; a share of it, as the sample is computed in float32 as well.
    sample = spread(rows, min(SAMPLE, max(8, rows.height // 32), rows.height))
    if recipe.tiles is not None:
        windows = tile_windows_of(genome, sample, recipe.tiles)
    else:
        windows = site_windows_of(genome, sample, model.window, recipe.before(model.window))
    precision = _precision(model, before, rows.height)
    choice = tune(scorer, windows, precision, math.ceil(rows.height * recipe.work))
    sites = len(windows) * (1 if recipe.tiles is None else recipe.tiles.size)
    log.info("%s; %d windows a batch", choice.summary(sites), batch_size)
    heartbeat.beat()
    partial.begin(
        Method(
            choice.mode,
            batch_size,
            device.type,
            asked=hardware.batch_size,
            halvings=heartbeat.halvings(),
        )
    )
    return scorer, choice.mode


def first_batch(
    asked: int | None, before: Method | None, halvings: int, fitting: Callable[[], int]
) -> int:
    """Return the windows a batch to start with.

    The last batch that a job before had in force, unless the user asks for another than then; of
    the halvings that the parent tells of, those count which that job had not heard of.

    Parameters
    ----------
    asked : int or None
        `scoring.batch_size`; None: auto.
    before : Method or None
        Of the last scores, where a job before left some.
    halvings : int
        `varlm.run.heartbeat.halvings`.
    fitting : function
        Returns what fits, where nobody has said anything.
    """
    if before is not None and before.asked == asked:
        return max(before.batch_size >> max(halvings - before.halvings, 0), 1)
    return max((asked or fitting()) >> halvings, 1)


def _can_go_on(before: Method, model: LanguageModel) -> bool:
    """Whether this device computes as the job before did."""
    if before.device != model.device.type:
        return False
    # Not every machine with a CUDA device has these.
    return before.mode not in ("tf32", "fused") or before.mode in model.modes()


def _load(model: PreparedModel, device: torch.device, rows: int) -> LanguageModel:
    from varlm.models.loading import load_model

    started = time.monotonic()
    loaded = load_model(
        model.folder, model.files, device, family=model.known_as.name, options=model.options
    )
    log.info(
        "model %s (%s) loaded on %s in %.1f s; %d rows to score",
        model.name,
        loaded.describe(),
        device,
        time.monotonic() - started,
        rows,
    )
    heartbeat.beat()
    return loaded


def _precision(model: PreparedModel, before: Method | None, rows: int) -> str:
    if before is not None:
        return before.mode
    # Trying out takes longer than scoring so few, and the tolerances of faster modes are in nats of
    # a base's probability: nothing says how small a distance or a mean over a window may be.
    is_plain = rows < _FEW or not model.kind.distribution
    return "float32" if is_plain and model.precision == "auto" else model.precision


def _fitting(loaded: LanguageModel, model: PreparedModel, recipe: Recipe) -> int:
    from varlm.scoring.batch_size import default_batch, fitting_batch

    if recipe.tiles is not None:
        window = recipe.tiles.window
        return fitting_batch(loaded, window, default_batch(loaded, window, everywhere=True))
    window = model.window * recipe.passes
    return fitting_batch(loaded, window, default_batch(loaded, window))
