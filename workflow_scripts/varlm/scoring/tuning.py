"""Faster arithmetic, taken only after it has shown that it agrees with float32."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.windows import Bytes
from varlm.models.language_model import LanguageModel
from varlm.scoring.numbers import site_numbers
from varlm.scoring.scorer import Scorer

log = logging.getLogger(__name__)

# Largest difference of a log-likelihood ratio (either strand, any pair of bases, nats) from plain
# float32 that `precision: auto` accepts of a mode, on a sample of the run's own windows.
# winograd: rounding, a few 1e-5 a layer. bfloat16: operands of 8 significant bits. tf32 and
# float16: of 11, a quarter to an eighth of bfloat16's error; tf32 emulated on a CPU is off by 0.004
# on the yeast model, 0.006 on the 65.9 M shape and 0.015 on a RoFormer of 12 × 768.
# fused computes as bfloat16 does.
TOLERANCE = {"winograd": 1e-3, "tf32": 0.02, "bfloat16": 0.05, "float16": 0.02, "fused": 0.05}

# A mode must be this much faster than float32 to be chosen: less is noise.
_GAIN = 1.1

# Seconds of work from which a mode that is compiled first (20 to 60 s) can pay.
_COMPILED = {"fused": 180}


@dataclass(frozen=True)
class Choice:
    """What `tune` chose, and why.

    Attributes
    ----------
    mode : str
    rates : dict
        Mode → windows a second, where it was measured.
    differences : dict
        Mode → largest difference from float32 on the sample, nats.
    """

    mode: str
    rates: dict[str, float]
    differences: dict[str, float]

    def summary(self, sites: int) -> str:
        """Say in one line what was chosen and what it rests on, for the log."""
        text = f"computing in {self.mode}"
        if self.rates:
            rates = (f"{mode} {rate:.3g}" for mode, rate in self.rates.items())
            text += "; windows a second: " + ", ".join(rates)
        for mode, difference in self.differences.items():
            text += (
                f"; {mode} differs from float32 by at most {difference:.2g} nats of LLR on "
                f"{sites} sites of this shard (accepted up to {TOLERANCE[mode]:g})"
            )
        return text


def tune(scorer: Scorer, windows: Bytes, precision: str, work: int | None = None) -> Choice:
    """Choose the mode, by measuring where there is a choice, and leave the model in it.

    With precision `auto`, a mode other than float32 is taken only if it is faster and agrees
    with float32 on `windows` within `TOLERANCE`.

    Parameters
    ----------
    scorer : Scorer
        With the model.
    windows : uint8 ASCII, shape (n, W)
        A sample of the run's own forward-strand windows, n ≥ 1; of tiles, where scores are.
    precision : str
        'auto', or one of `varlm.models.language_model.MODES`.
    work : int, optional
        How many windows are to be computed, on each strand; by default, more than enough for any
        mode to pay.

    Raises
    ------
    UserError
        If the model has no such mode.
    """
    model = scorer.model
    modes = model.modes() if precision == "auto" else (precision,)
    chosen = modes[0]
    rates: dict[str, float] = {}
    differences: dict[str, float] = {}
    _set_mode(model, chosen)
    if len(modes) > 1:
        batch = np.resize(windows, (scorer.batch_size, windows.shape[1]))
        rates[chosen] = scorer.batch_size / _seconds(scorer, batch)
        reference = _sample(scorer, windows)
    for mode in modes[1:]:
        if work is not None and work * scorer.sides < _COMPILED.get(mode, 0) * rates[chosen]:
            continue
        _set_mode(model, mode)
        rates[mode] = scorer.batch_size / _seconds(scorer, batch)
        if rates[mode] < _GAIN * rates[chosen]:
            continue
        try:
            sampled = _sample(scorer, windows)
            differences[mode] = largest_difference(reference, sampled)
        except UserError:  # not finite
            differences[mode] = float("inf")
        if _agrees(mode, differences[mode], f"{len(windows)} sites"):
            chosen = mode
    _set_mode(model, chosen)
    return Choice(chosen, rates, differences)


def confirm_for_alleles(scorer: Scorer, ratios: Callable[[Scorer], NDArray[np.float64]]) -> None:
    """Go back to float32 unless the model's mode agrees with it on indels and MNVs as well.

    Their scores add up the rounding of hundreds of positions, which sites do not show.

    Parameters
    ----------
    scorer : Scorer
    ratios : function
        Scores a sample of the run's own, n ≥ 1: float64, (n, 2).
    """
    model, mode = scorer.model, scorer.model.mode
    if mode == "float32":
        return
    quiet = replace(scorer, progress=None)
    try:
        tried = ratios(quiet)
    except UserError:  # not finite
        tried = np.full((1, 2), np.inf)
    _set_mode(model, "float32")
    reference = ratios(quiet)
    delta = np.abs(tried - reference)[:, : scorer.sides]
    difference = float(np.nan_to_num(delta, nan=np.inf).max())
    what = f"{len(reference)} indels and MNVs"
    if _agrees(mode, difference, what):
        log.info("%s agrees with float32 on %s within %.2g nats", mode, what, difference)
        _set_mode(model, mode)


def _agrees(mode: str, difference: float, sample: str) -> bool:
    if difference <= TOLERANCE[mode]:
        return True
    log.warning(
        "precision auto: %s differs from float32 by %.2g nats on %s, more than %.2g: not used",
        mode,
        difference,
        sample,
        TOLERANCE[mode],
    )
    return False


def largest_difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Largest difference of any log-likelihood ratio between two sets of site logits, nats.

    Both of shape (n, 2, 4); each strand by itself, which bounds their mean. Infinite when a
    number is not finite.
    """
    delta = b.astype(np.float64) - a.astype(np.float64)
    if np.isnan(a[:, 1]).all():
        delta = delta[:, :1]  # the forward strand alone is scored
    if not np.isfinite(delta).all():
        return float("inf")
    return float(np.ptp(delta, axis=2).max())


def _set_mode(model: LanguageModel, mode: str) -> None:
    try:
        if model.mode != mode:
            model.set_mode(mode)
    except ValueError as error:
        raise UserError(f"scoring.precision: {error}") from error


def _sample(scorer: Scorer, windows: Bytes) -> NDArray[np.float32]:
    quiet = replace(scorer, progress=None)
    if scorer.recipe.tiles is not None:
        return quiet.tiles(windows, _sample_name).reshape(-1, 2, 4)
    return quiet.sites(windows, _sample_name)


def _sample_name(row: int) -> str:
    return f"row {row + 1} of the sample"


def _seconds(scorer: Scorer, batch: Bytes) -> float:
    """Time one forward pass of `batch`: the faster of two, after one to warm up."""
    index = scorer.recipe.before(batch.shape[1])
    one_strand = replace(scorer, strands="forward")
    times = []
    for _ in range(3):
        start = time.perf_counter()
        if scorer.recipe.tiles is not None:
            one_strand.tile_pass(batch).cpu()
        else:
            site_numbers(scorer.model, scorer.recipe, batch, index).cpu()
        times.append(time.perf_counter() - start)
        if times[-1] > 20:
            break
    return min(times[1:] or times)
