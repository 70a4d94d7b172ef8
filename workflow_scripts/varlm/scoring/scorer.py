"""The only torch loop: windows in, logits out; batches, device, precision, progress.

Every batch of a run has the same shape (the last one is padded), so that a site's numbers do not
depend on its neighbours or on how the sites were cut into shards.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.windows import (
    AlleleWindows,
    Bytes,
    allele_windows,
    centre,
    chunks,
    reverse_complement,
    site_windows,
)
from varlm.models.checkpoint import Strands
from varlm.models.language_model import MaskedModel
from varlm.run.memory import available_memory

log = logging.getLogger(__name__)

# Largest difference of a log-likelihood ratio (either strand, any pair of bases, nats) from plain
# float32 that `precision: auto` accepts of a mode, on a sample of the run's own windows.
# winograd: rounding, a few 1e-5 a layer. bfloat16: 8 bits of mantissa.
TOLERANCE = {"winograd": 1e-3, "bfloat16": 0.05, "float16": 0.02}

# A mode must be this much faster than float32 to be chosen: less is noise.
_GAIN = 1.1

# Bytes of one layer's values of a batch, float32: see `default_batch`.
_CPU_BYTES = 8 << 20
_GPU_BYTES = 256 << 20

# Values of a batch that are in memory at once, in layers: at most 5 measured for convolutions,
# 15 for RoFormer (512 channels, 512 bp, both strands, CPU).
_LAYERS_HELD = 24

_BASE_INDEX = np.zeros(256, dtype=np.int64)
_BASE_INDEX[list(b"ACGT")] = range(4)
_REVERSED = [3, 2, 1, 0]  # A, C, G, T of the reverse strand, as bases of the forward strand

Locate = Callable[[int], str]
"""Row of the input → what a message calls it, such as `chr1:12345`."""


def choose_device(name: str = "auto") -> torch.device:
    """Return the device: `auto` is CUDA, else Apple's MPS, else the CPU.

    TF32 is switched off: float32 means float32.

    Raises
    ------
    UserError
        If a device is asked for by name that is not there.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    elif not available.get(name.split(":")[0], False):
        present = ", ".join(kind for kind, there in available.items() if there)
        raise UserError(f"scoring.device: {name!r} is not available here; available: {present}")
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device(name)


@dataclass
class Scorer:
    """A model, and how to run it.

    Attributes
    ----------
    model : MaskedModel
    strands : 'both' or 'forward'
    batch_size : int
        Windows in one forward pass; halved for good when memory runs out.
    progress : function of the number of sites or alleles done since its last call, optional
    """

    model: MaskedModel
    strands: Strands = "both"
    batch_size: int = 8
    progress: Callable[[int], None] | None = None

    def sites(self, windows: Bytes, locate: Locate) -> NDArray[np.float32]:
        """Return the logits at the masked centres of forward-strand windows.

        Parameters
        ----------
        windows : uint8 ASCII, shape (n, W)
        locate : function
            For messages.

        Returns
        -------
        float32, shape (n, 2, 4)
            Of the forward-strand bases A, C, G, T, read on the forward and on the reverse
            strand; the latter NaN when it is not scored.

        Raises
        ------
        UserError
            If a logit is NaN or infinite; the message names the site.
        """
        width = windows.shape[1]
        self._check(width)

        def forward(batch: Bytes) -> torch.Tensor:
            answers = [self.model.site_logits(self._ids(batch), centre(width))]
            if self.strands == "both":
                ids = self._ids(reverse_complement(batch))
                reverse = self.model.site_logits(ids, centre(width, "reverse"))
                answers.append(reverse[:, _REVERSED])
            return torch.stack(answers, dim=1)

        logits = np.full((len(windows), 2, 4), np.nan, dtype=np.float32)
        found = self._run(forward, windows, self.progress)
        _check_finite(found, locate)
        logits[:, : found.shape[1]] = found
        return logits

    def alleles(self, windows: AlleleWindows, locate: Locate) -> NDArray[np.float64]:
        """Return pseudo-log-likelihood ratios, alternate − reference (docs/design.md).

        Returns
        -------
        float64, shape (n, 2)
            Nats, on the forward and on the reverse strand (NaN: not scored).

        Raises
        ------
        UserError
            If a logit is NaN or infinite; the message names the allele.
        """
        self._check(windows.reference.shape[1])
        ratio = np.full((len(windows), 2), np.nan)
        start = 0
        while start < len(windows):  # all passes of a batch before the next: progress is even
            stop = min(start + self.batch_size, len(windows))
            rows = windows[start:stop]
            for side in range(2 if self.strands == "both" else 1):
                totals = []
                for bases, scored in (
                    (rows.reference, rows.reference_scored),
                    (rows.alternate, rows.alternate_scored),
                ):
                    if side == 1:
                        bases, scored = reverse_complement(bases), scored[:, ::-1]
                    log_p = self._run(self._log_p, bases)
                    _check_finite(log_p, locate, start)
                    # Sums of hundreds of logarithms, two of which nearly cancel: float64.
                    counted = np.where(scored, log_p.astype(np.float64), 0.0)
                    totals.append(counted.sum(axis=1))
                ratio[start:stop, side] = totals[1] - totals[0]
            if self.progress is not None:
                self.progress(stop - start)
            start = stop
        return ratio

    def _log_p(self, batch: Bytes) -> torch.Tensor:
        """Return log p of each window's own bases, (batch, W); of A where the base is not ACGT."""
        logits = self.model.base_logits(self._ids(batch))
        bases = torch.from_numpy(_BASE_INDEX[batch]).to(logits.device)
        return logits.log_softmax(dim=-1).gather(-1, bases[..., None])[..., 0]

    def _run(
        self,
        forward: Callable[[Bytes], torch.Tensor],
        windows: Bytes,
        progress: Callable[[int], None] | None = None,
    ) -> NDArray[np.float32]:
        """Apply `forward` to batches of one shape and return all rows.

        Results stay on the device until all batches are under way, so that a GPU need not wait
        for copies back; the caller passes no more than about `varlm.genome.windows.CHUNK` windows.
        """
        parts: list[torch.Tensor] = []
        start = 0
        while start < len(windows):
            batch = windows[start : start + self.batch_size]
            filled = len(batch)
            if filled < self.batch_size:  # the same shape, so the same kernels and sums
                padding = np.repeat(batch[-1:], self.batch_size - filled, axis=0)
                batch = np.concatenate([batch, padding])
            try:
                parts.append(forward(batch)[:filled])
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                self._halve(error)
                continue
            start += filled
            if progress is not None:
                progress(filled)
        found: NDArray[np.float32] = torch.cat(parts).float().cpu().numpy()
        return found

    def _halve(self, error: BaseException) -> None:
        """Halve the batch if `error` says that memory ran out, else raise it again."""
        text = str(error)
        memory = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not memory and not any(
            sign in text for sign in ("out of memory", "not enough memory", "can't allocate memory")
        ):
            raise error
        if self.batch_size == 1:
            raise UserError(
                "out of memory with one window a batch; lower scoring.window, or give the job a "
                "device with more memory"
            ) from error
        self.batch_size //= 2
        log.warning("out of memory: going on with %d windows a batch", self.batch_size)
        if self.model.device.type == "cuda":
            torch.cuda.empty_cache()

    def _check(self, window: int) -> None:
        longest = self.model.max_window
        if longest is not None and window > longest:
            raise UserError(
                f"scoring.window is {window}, but the model reads at most {longest} bp "
                "(max_position_embeddings in its config.json)"
            )

    def _ids(self, windows: Bytes) -> torch.Tensor:
        ids = torch.from_numpy(self.model.encode(windows))
        if self.model.device.type == "cuda":
            return ids.pin_memory().to(self.model.device, non_blocking=True)
        return ids.to(self.model.device)


def score_sites(
    scorer: Scorer,
    sequence: Bytes,
    positions: NDArray[Any],
    window: int,
    *,
    contig: str = "contig",
) -> NDArray[np.float32]:
    """Score sites of one contig: `Scorer.sites` on their windows, chunk by chunk.

    Parameters
    ----------
    scorer : Scorer
    sequence : uint8 ASCII, shape (contig length,)
    positions : integers, shape (n,)
        0-based.
    window : int
        W in bp.
    contig : str
        For messages.

    Returns
    -------
    float32, shape (n, 2, 4)
    """
    positions = np.asarray(positions, dtype=np.int64)
    out = np.empty((len(positions), 2, 4), dtype=np.float32)
    for start, stop in chunks(len(positions), scorer.batch_size):
        some = positions[start:stop]
        out[start:stop] = scorer.sites(site_windows(sequence, some, window), _locator(contig, some))
    return out


def score_alleles(
    scorer: Scorer,
    sequence: Bytes,
    positions: NDArray[Any],
    refs: Sequence[str],
    alts: Sequence[str],
    window: int,
    *,
    contig: str = "contig",
) -> NDArray[np.float64]:
    """Score indels and MNVs of one contig: `Scorer.alleles`, chunk by chunk.

    Parameters
    ----------
    positions : integers, shape (n,)
        0-based, of the first base of each REF.
    refs, alts : n str each
        Upper-case A, C, G, T. The rest as for `score_sites`.

    Returns
    -------
    float64, shape (n, 2)
    """
    positions = np.asarray(positions, dtype=np.int64)
    out = np.empty((len(positions), 2))
    for start, stop in chunks(len(positions), scorer.batch_size):
        some = positions[start:stop]
        windows = allele_windows(sequence, some, refs[start:stop], alts[start:stop], window)
        out[start:stop] = scorer.alleles(windows, _locator(contig, some))
    return out


def _locator(contig: str, positions: NDArray[np.int64]) -> Locate:
    return lambda row: f"{contig}:{positions[row] + 1}"


def _check_finite(values: NDArray[np.float32], locate: Locate, start: int = 0) -> None:
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise UserError(
            f"{locate(start + row)}: the model's answer is not a finite number "
            f"({int((~finite).sum())} such in this batch); with scoring.precision float16 or "
            "bfloat16 try float32, else the checkpoint is damaged"
        )


def default_batch(model: MaskedModel, window: int) -> int:
    """Windows a batch: a power of two that depends on nothing but the model and the device.

    Not measured: another batch size gives other roundings, and runs should repeat bit for bit.
    On a CPU one layer's values should stay in the cache (within 10 % of the best of 4 … 64 for
    64 and for 512 channels on Zen 3); a GPU wants to be filled.
    """
    per_window = 4 * window * model.channels
    if model.device.type == "cpu":
        wanted = min(_CPU_BYTES / per_window, 32)
    else:
        wanted = min(_GPU_BYTES / per_window, 4096)
    return 1 << max(int(wanted).bit_length() - 1, 0)


def free_memory(device: torch.device) -> int:
    """Return the bytes that a batch could take on a device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return available_memory()


def fitting_batch(model: MaskedModel, window: int, wanted: int) -> int:
    """Return `wanted`, halved as often as needed to take at most half of the memory at hand.

    An estimate: where it is wrong, `Scorer` halves again, or the job is started again
    (`varlm.supervision`).
    """
    free = free_memory(model.device)
    per_window = _LAYERS_HELD * 4 * window * model.channels
    batch_size = wanted
    while batch_size > 1 and batch_size * per_window > free / 2:
        batch_size //= 2
    if batch_size < wanted:
        log.warning(
            "%d MB of memory are free on %s: %d windows a batch instead of %d",
            free // 10**6,
            model.device,
            batch_size,
            wanted,
        )
    return batch_size


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


def tune(
    model: MaskedModel, windows: Bytes, strands: Strands, precision: str, batch_size: int
) -> Choice:
    """Choose the mode, by measuring where there is a choice, and leave the model in it.

    With precision `auto`, a mode other than float32 is taken only if it is faster and agrees
    with float32 on `windows` within `TOLERANCE`.

    Parameters
    ----------
    windows : uint8 ASCII, shape (n, W)
        A sample of the run's own forward-strand windows, n ≥ 1.
    precision : str
        'auto', or one of `varlm.models.language_model.MODES` but winograd.
    batch_size : int
        Windows a batch.

    Raises
    ------
    UserError
        If the model has no such mode.
    """
    modes = model.modes() if precision == "auto" else (precision,)
    chosen = modes[0]
    rates: dict[str, float] = {}
    differences: dict[str, float] = {}
    _set_mode(model, chosen)
    if len(modes) > 1:
        batch = np.resize(windows, (batch_size, windows.shape[1]))
        rates[chosen] = batch_size / _seconds(model, batch)
        reference = _sample(model, windows, strands, batch_size)
    for mode in modes[1:]:
        _set_mode(model, mode)
        rates[mode] = batch_size / _seconds(model, batch)
        if rates[mode] < _GAIN * rates[chosen]:
            continue
        try:
            found = _sample(model, windows, strands, batch_size)
            differences[mode] = largest_difference(reference, found)
        except UserError:  # not finite
            differences[mode] = float("inf")
        if _agrees(mode, differences[mode], f"{len(windows)} sites"):
            chosen = mode
    _set_mode(model, chosen)
    return Choice(chosen, rates, differences)


def confirm_for_alleles(scorer: Scorer, windows: AlleleWindows) -> None:
    """Go back to float32 unless the model's mode agrees with it on indels and MNVs as well.

    Their scores add up the rounding of hundreds of positions, which sites do not show.

    Parameters
    ----------
    windows : AlleleWindows
        A sample of the run's own, n ≥ 1.
    """
    model, mode = scorer.model, scorer.model.mode
    if mode == "float32":
        return
    quiet = Scorer(model, scorer.strands, scorer.batch_size)
    try:
        found = quiet.alleles(windows, _sample_name)
    except UserError:  # not finite
        found = np.full((len(windows), 2), np.inf)
    _set_mode(model, "float32")
    reference = quiet.alleles(windows, _sample_name)
    delta = np.abs(found - reference)[:, : 2 if scorer.strands == "both" else 1]
    difference = float(np.nan_to_num(delta, nan=np.inf).max())
    what = f"{len(windows)} indels and MNVs"
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


def _set_mode(model: MaskedModel, mode: str) -> None:
    try:
        if model.mode != mode:
            model.set_mode(mode)
    except ValueError as error:
        raise UserError(f"scoring.precision: {error}") from error


def _sample(
    model: MaskedModel, windows: Bytes, strands: Strands, batch_size: int
) -> NDArray[np.float32]:
    return Scorer(model, strands, batch_size).sites(windows, _sample_name)


def _sample_name(row: int) -> str:
    return f"row {row + 1} of the sample"


def _seconds(model: MaskedModel, batch: Bytes) -> float:
    """Time one forward pass of `batch`: the faster of two, after one to warm up."""
    index = centre(batch.shape[1])
    times = []
    for _ in range(3):
        start = time.perf_counter()
        ids = torch.from_numpy(model.encode(batch)).to(model.device)
        model.site_logits(ids, index).cpu()
        times.append(time.perf_counter() - start)
        if times[-1] > 20:
            break
    return min(times[1:] or times)
