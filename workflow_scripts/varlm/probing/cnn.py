"""A small convolutional network on all positions, of embeddings and of one-hot sequence alike.

The network is that of Tang, Somia, Yu and Koo, "Evaluating the representational power of
pre-trained DNA language models for regulatory genomics" (Genome Biology 26, 203, 2025,
10.1186/s13059-025-03674-8; `rep_cnn` in amberT15/LLM_eval), narrower: normalised channels, a
convolution of width 1 that makes them few, two convolutions with normalisation and pooling (the
first activation is exponential), two dense layers. As there it is fitted by Adam, its rate lowered
where a validation set stops getting better, and stopped there. One-hot sequence goes through the
same network, the width-1 convolution included: what differs is what it reads.

Of variants both alleles go through the same convolutions; the dense layers see what they make of
the reference, and by how much ALT's differs.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from varlm.errors import UserError
from varlm.probing.folds import Folds, Rows
from varlm.probing.parts import Embeddings

log = logging.getLogger("varlm")

Floats = NDArray[np.float64]

_POOLS = (5, 4)  # positions that are put together after each convolution
_DROPPED, _DROPPED_DENSE = 0.2, 0.5  # shares of channels while fitting
_SLOWER = 0.2  # factor of the rate, when the validation loss stops falling
_LARGE = 1024  # rows that are predicted at a time


@dataclass(frozen=True)
class Settings:
    """How wide the network is and how it is fitted.

    Attributes
    ----------
    channels : int
        What the convolution of width 1 makes of the input's channels.
    filters : sequence of int
        Of the two convolutions.
    kernel : int
        Their width, positions.
    dense : int
        Of the first dense layer; the second is half as wide.
    epochs, patience : int
        The most, and how many without a better validation loss end it.
    batch_size : int
    learning_rate : float
        Adam's.
    """

    channels: int = 32
    filters: Sequence[int] = (64, 64)
    kernel: int = 7
    dense: int = 64
    epochs: int = 30
    patience: int = 4
    batch_size: int = 128
    learning_rate: float = 1e-3


class Inputs(Protocol):
    """What the network reads: of each row an array of positions and channels, or two of alleles."""

    def take(self, rows: Rows) -> NDArray[np.float32]:
        """Return some rows, shape (alleles, rows, positions, channels)."""


class OneHot:
    """Sequences as four channels, none of an unknown base.

    Parameters
    ----------
    codes : sequence of numpy.ndarray
        Of the sequence, or of REF's and ALT's: `genome.bases`, shape (rows, positions).
    """

    def __init__(self, codes: Sequence[NDArray[np.uint8]]):
        self._codes = np.stack(codes)
        self._vectors = np.eye(5, 4, dtype=np.float32)

    def take(self, rows: Rows) -> NDArray[np.float32]:
        """Return some rows, shape (alleles, rows, positions, 4)."""
        return self._vectors[self._codes[:, rows]]


class Embedded:
    """A model's embeddings of all positions, read from the disk as they are needed."""

    def __init__(self, embeddings: Embeddings):
        self._embeddings = embeddings

    def take(self, rows: Rows) -> NDArray[np.float32]:
        """Return some rows, shape (alleles, rows, positions, channels)."""
        values = self._embeddings.take(rows)
        return values if self._embeddings.record.variants else values[None]


class Network(nn.Module):
    """See the module.

    Parameters
    ----------
    shape : (int, int, int, int)
        Of the input: alleles, rows (of no matter), positions, channels.
    settings : Settings
    """

    def __init__(self, shape: Sequence[int], settings: Settings):
        super().__init__()
        alleles, _, positions, channels = shape
        first, second = settings.filters
        self.normalise = nn.BatchNorm1d(channels)
        self.reduce = nn.Linear(channels, settings.channels)  # a convolution of width 1
        self.first = nn.Conv1d(settings.channels, first, settings.kernel, padding="same")
        self.first_norm = nn.BatchNorm1d(first)
        self.second = nn.Conv1d(first, second, settings.kernel, padding="same")
        self.second_norm = nn.BatchNorm1d(second)
        self.pools = []
        for pool in _POOLS:
            self.pools.append(min(pool, positions))
            positions //= self.pools[-1]
        half = max(settings.dense // 2, 1)
        self.dense = nn.Sequential(
            *_dense(alleles * second * positions, settings.dense), *_dense(settings.dense, half)
        )
        self.last = nn.Linear(half, 1)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return a number of each row, (rows,), of (alleles, rows, positions, channels)."""
        alleles, rows, positions, channels = values.shape
        few = self.reduce(self.normalise(values.reshape(-1, channels)))
        x = few.reshape(alleles * rows, positions, -1).transpose(1, 2)
        # Pooled first: the same numbers, for fewer positions (exp and ReLU keep the order). What is
        # dropped is of the pooled positions; in Tang and colleagues' first block, of all.
        x = torch.exp(F.max_pool1d(self.first_norm(self.first(x)), self.pools[0]))
        x = F.dropout(x, _DROPPED, self.training)
        x = F.relu(F.max_pool1d(self.second_norm(self.second(x)), self.pools[1]))
        x = F.dropout(x, _DROPPED, self.training).reshape(alleles, rows, -1)
        seen = x[0] if alleles == 1 else torch.cat([x[0], x[1] - x[0]], dim=1)
        number: torch.Tensor = self.last(self.dense(seen))[:, 0]
        return number


def _dense(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Linear(inputs, outputs),
        nn.BatchNorm1d(outputs),
        nn.ReLU(),
        nn.Dropout(_DROPPED_DENSE),
    ]


@dataclass(frozen=True)
class NetworkFit:
    """What networks say of each row, each of one that never saw its fold.

    Attributes
    ----------
    predictions : numpy.ndarray
        Number, or probability of the class 1; shape (rows,).
    epochs : tuple of int
        After which the network of each fold was the best on the fold that stopped it.
    """

    predictions: Floats
    epochs: tuple[int, ...]


def predict_cnn(
    inputs: Inputs,
    label: Floats,
    folds: Folds,
    settings: Settings,
    *,
    classes: bool,
    seed: int = 0,
    device: str = "cpu",
) -> NetworkFit:
    """Predict each fold by a network fitted on others and stopped by one more.

    On a processor, the same seed and number of threads give the same predictions.

    Parameters
    ----------
    inputs : Inputs
    label : numpy.ndarray
        Numbers, or 0 and 1 of `classes`; shape (rows,).
    folds : Folds
    settings : Settings
    classes : bool
        Cross-entropy, else the squared error.
    seed : int
        First weights, the order of rows, and what is dropped.
    device : str
        As torch names it.

    Raises
    ------
    UserError
        If a network has no finite loss after any epoch.
    """
    predictions = np.empty(label.size)
    epochs = []
    for fold in range(folds.count):
        started = time.monotonic()
        own = int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])
        with torch.random.fork_rng():
            torch.manual_seed(own)
            fitting = _Fitting(inputs, label, settings, classes, device)
            best = fitting.fit(*folds.validating(fold), np.random.default_rng(own))
            held = folds.held(fold)
            predictions[held] = fitting.predict(held)
        epochs.append(best)
        seconds = time.monotonic() - started
        log.info("fold %d of %d: best after epoch %d; %.0f s", fold + 1, folds.count, best, seconds)
    return NetworkFit(predictions, tuple(epochs))


class _Fitting:
    """One network: fitted on some rows, stopped by others."""

    def __init__(
        self, inputs: Inputs, label: Floats, settings: Settings, classes: bool, device: str
    ):
        self._inputs, self._settings, self._classes, self._device = (
            inputs,
            settings,
            classes,
            device,
        )
        self._network = Network(inputs.take(np.zeros(1, np.int64)).shape, settings).to(device)
        self._label, self._mean, self._spread = label, 0.0, 1.0

    def fit(self, fitted: Rows, stopping: Rows, rng: np.random.Generator) -> int:
        """Fit the network; return after how many epochs it was the best."""
        if not self._classes:
            self._mean = float(self._label[fitted].mean())
            self._spread = float(self._label[fitted].std()) or 1.0
        optimizer = torch.optim.Adam(self._network.parameters(), self._settings.learning_rate)
        patience = self._settings.patience
        slower = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=_SLOWER, patience=max(patience // 2 - 1, 0)
        )
        best, at, weights = np.inf, 0, copy.deepcopy(self._network.state_dict())
        for epoch in range(1, self._settings.epochs + 1):
            self._train(fitted, optimizer, rng)
            loss = self._loss_of(stopping)
            slower.step(loss)
            if loss < best:
                best, at, weights = loss, epoch, copy.deepcopy(self._network.state_dict())
            elif epoch - at >= patience:
                break
        if not at:
            raise UserError(
                "probe: the network's loss on the rows that stop it was no finite number in any of "
                f"{epoch} epochs (learning rate {self._settings.learning_rate:.2g}); lower "
                "cnn.learning_rate, and look for labels or embeddings that are far too large"
            )
        self._network.load_state_dict(weights)
        return at

    def _train(
        self, fitted: Rows, optimizer: torch.optim.Optimizer, rng: np.random.Generator
    ) -> None:
        self._network.train()
        shuffled = rng.permutation(fitted)
        # Of equal sizes: normalisation over a batch of one row is an error.
        for rows in np.array_split(shuffled, -(-shuffled.size // self._settings.batch_size)):
            optimizer.zero_grad()
            loss = self._loss(self._network(self._values(rows)), rows)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    def _loss(self, numbers: torch.Tensor, rows: Rows) -> torch.Tensor:
        standard = (self._label[rows] - self._mean) / self._spread
        target = torch.from_numpy(standard.astype(np.float32)).to(numbers.device)
        if self._classes:
            return F.binary_cross_entropy_with_logits(numbers, target)
        return F.mse_loss(numbers, target)

    def _loss_of(self, rows: Rows) -> float:
        total = sum(
            float(self._loss(numbers, some)) * some.size for some, numbers in self._numbers(rows)
        )
        return total / rows.size

    def predict(self, rows: Rows) -> Floats:
        """Return what the network says of rows: numbers, or probabilities of the class 1."""
        numbers = torch.cat([numbers for _, numbers in self._numbers(rows)]).double()
        if self._classes:
            return torch.sigmoid(numbers).cpu().numpy()
        scaled: Floats = numbers.cpu().numpy() * self._spread + self._mean
        return scaled

    @torch.no_grad()
    def _numbers(self, rows: Rows) -> Iterator[tuple[Rows, torch.Tensor]]:
        self._network.eval()
        for first in range(0, rows.size, _LARGE):
            some = rows[first : first + _LARGE]
            yield some, self._network(self._values(some))

    def _values(self, rows: Rows) -> torch.Tensor:
        return torch.from_numpy(self._inputs.take(rows)).to(self._device)
