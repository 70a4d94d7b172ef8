"""The only torch loop: windows in, logits out; batches, device, precision, progress.

Every batch of a run has the same shape (the last one is padded), so that a site's numbers do not
depend on its neighbours or on how the sites were cut into shards.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.bases import CODE_COMPLEMENT, CODES
from varlm.genome.windows import AlleleWindows, Bytes, centre, reverse_complement
from varlm.models.language_model import LanguageModel
from varlm.models.prepared import Strands

log = logging.getLogger(__name__)


# A, C, G, T of the reverse strand, as bases of the forward strand.
_REVERSED = CODE_COMPLEMENT[:4].tolist()

Locate = Callable[[int], str]
"""Row of the input → what a message calls it, such as `chr1:12345`."""


@dataclass
class Scorer:
    """A model, and how to run it.

    Attributes
    ----------
    model : LanguageModel
    strands : 'both' or 'forward'
    batch_size : int
        Windows in one forward pass; halved for good when memory runs out.
    progress : function of the number of sites or alleles done since its last call, optional
    """

    model: LanguageModel
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
            strands = [self.model.site_logits(self._ids(batch), centre(width))]
            if self.strands == "both":
                ids = self._ids(reverse_complement(batch))
                reverse = self.model.site_logits(ids, centre(width, "reverse"))
                strands.append(reverse[:, _REVERSED])
            return torch.stack(strands, dim=1)

        logits = np.full((len(windows), 2, 4), np.nan, dtype=np.float32)
        answers = self._run(forward, windows, self.progress)
        _check_finite(answers, locate)
        logits[:, : answers.shape[1]] = answers
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
        bases = torch.from_numpy(CODES[batch] & 3).long().to(logits.device)
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
        rows: NDArray[np.float32] = torch.cat(parts).float().cpu().numpy()
        return rows

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


def _check_finite(values: NDArray[np.float32], locate: Locate, start: int = 0) -> None:
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise UserError(
            f"{locate(start + row)}: the model's answer is not a finite number "
            f"({int((~finite).sum())} such in this batch); with scoring.precision float16 or "
            "bfloat16 try float32, else the checkpoint is damaged"
        )
