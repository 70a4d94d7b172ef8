"""The only torch loop: windows in, numbers out; batches, device, precision, progress.

Every batch of a run has the same shape (the last one is padded), so that a site's numbers do not
depend on its neighbours or on how the sites were cut into shards.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.bases import CODE_COMPLEMENT, CODES
from varlm.genome.sequences import SequencePairs
from varlm.genome.windows import AlleleWindows, Bytes, reverse_complement
from varlm.models.language_model import LanguageModel
from varlm.models.prepared import Strands
from varlm.models.tokens import PAD
from varlm.scoring.numbers import site_numbers, tile_numbers, token_ids
from varlm.scoring.recipe import Recipe

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
    strands : str
        both, forward, or transcript: both are scored.
    batch_size : int
        Windows in one forward pass; halved for good when memory runs out.
    progress : function of the number of sites or alleles done since its last call, optional
    recipe : Recipe
        How windows become numbers.
    """

    model: LanguageModel
    strands: Strands = "both"
    batch_size: int = 8
    progress: Callable[[int], None] | None = None
    recipe: Recipe = field(default_factory=Recipe)

    @property
    def sides(self) -> int:
        """Strands that are scored."""
        return 1 if self.strands == "forward" else 2

    def sites(self, windows: Bytes, locate: Locate) -> NDArray[np.float32]:
        """Return the numbers of sites, of forward-strand windows.

        Parameters
        ----------
        windows : uint8 ASCII, shape (n, W)
        locate : function
            For messages.

        Returns
        -------
        float32, shape (n, 2, 4)
            Of the forward-strand bases A, C, G, T, read on the forward and on the reverse
            strand; the latter NaN when it is not scored. What they are is the kind's: logits of
            a masked centre, for instance.

        Raises
        ------
        UserError
            If a number is NaN or infinite; the message names the site.
        """
        self._check(windows.shape[1])
        numbers = np.full((len(windows), 2, 4), np.nan, dtype=np.float32)
        for rows, left, right in self._clipped(windows):
            whole = rows is None
            part = windows if rows is None else windows[rows, left : windows.shape[1] - right]
            answers = self._run(self._site_pass(left, right, windows.shape[1]), part, whole=whole)
            target = slice(None) if rows is None else rows
            numbers[target, : answers.shape[1]] = answers
        _check_finite(numbers[:, : self.sides], locate)
        return numbers

    def tiles(
        self, windows: Bytes, locate: Locate, sites: NDArray[np.integer] | None = None
    ) -> NDArray[np.float32]:
        """Return the numbers of all positions of tiles, of forward-strand windows.

        Parameters
        ----------
        windows : uint8 ASCII, shape (n, recipe.tiles.window)
        locate : function
            For messages: what a tile is called.
        sites : integers, shape (n,), optional
            How many of each tile's positions are wanted, for `progress`; all without it.

        Returns
        -------
        float32, shape (n, recipe.tiles.size, 2, 4)
            As of `sites`, of each position.

        Raises
        ------
        UserError
            If a number is NaN or infinite; the message names the tile.
        """
        tiles = self.recipe.tiles
        if tiles is None:
            raise ValueError(f"{self.recipe.kind.name} is no score of tiles")
        self._check(windows.shape[1])
        done = np.arange(len(windows) + 1) * tiles.size
        if sites is not None:
            done[1:] = np.cumsum(sites)
        rows = 0

        def progress(count: int) -> None:
            nonlocal rows
            if self.progress is not None:
                self.progress(int(done[rows + count] - done[rows]))
            rows += count

        numbers = np.full((len(windows), tiles.size, 2, 4), np.nan, dtype=np.float32)
        answers = self._run(self.tile_pass, windows, progress=progress)
        numbers[:, :, : self.sides] = answers.transpose(0, 2, 1, 3)
        _check_finite(numbers[:, :, : self.sides], locate)
        return numbers

    def tile_pass(self, batch: Bytes) -> torch.Tensor:
        """Return the numbers of a batch of tiles: (n, strands, size, 4)."""
        tiles = self.recipe.tiles
        assert tiles is not None
        strands = [tile_numbers(self.model, tiles, batch)]
        if self.sides == 2:
            reverse = tile_numbers(self.model, tiles, reverse_complement(batch))
            strands.append(reverse.flip(1)[..., _REVERSED])
        return torch.stack(strands, dim=1)

    def _site_pass(self, left: int, right: int, width: int) -> Callable[[Bytes], torch.Tensor]:
        """Return what makes numbers (n, strands, 4) of windows of which the ends are cut off."""
        index = self.recipe.before(width) - left
        length = width - left - right

        def forward(batch: Bytes) -> torch.Tensor:
            strands = [site_numbers(self.model, self.recipe, batch, index)]
            if self.sides == 2:
                other = reverse_complement(batch)
                place = length - 1 - index
                reverse = site_numbers(self.model, self.recipe, other, place, reverse=True)
                strands.append(reverse[:, _REVERSED])
            return torch.stack(strands, dim=1)

        return forward

    def _clipped(self, windows: Bytes) -> Iterator[tuple[NDArray[np.intp] | None, int, int]]:
        """Yield the rows that lose as many bases on the left and on the right; None: all rows."""
        if not self.recipe.clipped or not (windows[:, [0, -1]] == PAD).any():
            yield None, 0, 0
            return
        outside = windows == PAD
        left = np.where(outside[:, 0], (~outside).argmax(axis=1), 0)
        right = np.where(outside[:, -1], (~outside[:, ::-1]).argmax(axis=1), 0)
        cuts, which = np.unique(np.stack([left, right], axis=1), axis=0, return_inverse=True)
        for number, (start, end) in enumerate(cuts.tolist()):
            yield np.flatnonzero(which.ravel() == number), start, end

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
            for side in range(self.sides):
                totals = []
                for bases, scored in (
                    (rows.reference, rows.reference_scored),
                    (rows.alternate, rows.alternate_scored),
                ):
                    if side == 1:
                        bases, scored = reverse_complement(bases), scored[:, ::-1]
                    log_p = self._run(self._log_p, bases, progress=False)
                    _check_finite(log_p, locate, start)
                    # Sums of hundreds of logarithms, two of which nearly cancel: float64.
                    counted = np.where(scored, log_p.astype(np.float64), 0.0)
                    totals.append(counted.sum(axis=1))
                ratio[start:stop, side] = totals[1] - totals[0]
            if self.progress is not None:
                self.progress(stop - start)
            start = stop
        return ratio

    def sequences(self, pairs: SequencePairs, locate: Locate) -> NDArray[np.float64]:
        """Return log-likelihood ratios of whole windows, alternate − reference.

        Returns
        -------
        float64, shape (n, 2)
            Nats, on the forward and on the reverse strand (NaN: not scored).

        Raises
        ------
        UserError
            If a likelihood is NaN or infinite; the message names the allele.
        """
        ratio = np.full((len(pairs), 2), np.nan)
        both = [*pairs.reference, *pairs.alternate]
        for side in range(self.sides):
            if side == 1:
                both = [reverse_complement(window[None])[0] for window in both]
            totals = self._likelihoods(both)
            ratio[:, side] = totals[len(pairs) :] - totals[: len(pairs)]
        if self.progress is not None:
            self.progress(len(pairs))
        if len(pairs):
            _check_finite(ratio[:, : self.sides], locate)
        return ratio

    def _likelihoods(self, windows: Sequence[Bytes]) -> NDArray[np.float64]:
        """Return the log-likelihood of windows of any lengths, or the mean of their tokens."""
        if self.recipe.clipped:
            windows = [window[window != PAD] for window in windows]
        lengths = np.array([len(window) for window in windows])
        totals = np.empty(len(windows))
        model: Any = self.model

        def forward(batch: Bytes) -> torch.Tensor:
            ids = token_ids(model, batch)
            total = model.log_likelihood(ids)
            if self.recipe.kind.name == "mean_likelihood":
                total = total / model.counts(ids).clamp(min=1)
            return torch.as_tensor(total)

        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            same = np.stack([windows[row] for row in rows.tolist()])
            totals[rows] = self._run(
                forward, same, whole=False, progress=False, dtype=torch.float64
            )
        return totals

    def _log_p(self, batch: Bytes) -> torch.Tensor:
        """Return log p of each window's own bases, (batch, W); of A where the base is not ACGT."""
        logits = self.model.base_logits(token_ids(self.model, batch))
        bases = torch.from_numpy(CODES[batch] & 3).long().to(logits.device)
        return logits.log_softmax(dim=-1).gather(-1, bases[..., None])[..., 0]

    def _run(
        self,
        forward: Callable[[Bytes], torch.Tensor],
        windows: Bytes,
        *,
        whole: bool = True,
        progress: bool | Callable[[int], None] = True,
        dtype: torch.dtype = torch.float32,
    ) -> NDArray[Any]:
        """Apply `forward` to batches of one shape and return all rows.

        The last batch is filled up, so that it is computed as the others are; where few rows are
        of a shape (not `whole`), to the next power of two only.

        `progress`: whether the scorer's is told how many windows are done, or another function.

        Results stay on the device until all batches are under way, so that a GPU need not wait
        for copies back; the caller passes no more than about `varlm.genome.windows.CHUNK` windows.
        """
        parts: list[torch.Tensor] = []
        start = 0
        while start < len(windows):
            batch = windows[start : start + self.batch_size]
            filled = len(batch)
            size = self.batch_size if whole else 1 << (filled - 1).bit_length()
            if filled < size:  # the same shape, so the same kernels and sums
                padding = np.repeat(batch[-1:], size - filled, axis=0)
                batch = np.concatenate([batch, padding])
            try:
                parts.append(forward(batch)[:filled])
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                self._halve(error)
                continue
            start += filled
            tell = self.progress if progress is True else progress
            if tell:
                tell(filled)
        rows: NDArray[Any] = torch.cat(parts).to(dtype).cpu().numpy()
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


def _check_finite(values: NDArray[np.floating], locate: Locate, start: int = 0) -> None:
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise UserError(
            f"{locate(start + row)}: the model's answer is not a finite number "
            f"({int((~finite).sum())} such in this batch); with scoring.precision float16 or "
            "bfloat16 try float32, else the checkpoint is damaged"
        )
