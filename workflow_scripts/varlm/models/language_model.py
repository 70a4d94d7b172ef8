"""What inference needs of a model, whatever its family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

# How a model may compute. float32: plain float32 sums, the reference. winograd: float32 with
# fewer multiplications and more rounding. The others: matrix products in that type.
MODES = ("float32", "winograd", "bfloat16", "float16")


class MaskedModel(ABC):
    """A masked language model of nucleotides, on a device, in one of its modes.

    Attributes
    ----------
    device : torch.device
    mode : str
        One of `MODES`; set with `set_mode`.
    channels : int
        Values per position between the layers; what a batch's memory goes with.
    max_window : int or None
        The longest window in bp that it can read.
    causal : bool
        Whether `base_logits` sees only what is before each base.
    """

    device: torch.device
    mode: str
    channels: int
    max_window: int | None = None
    causal: bool = False

    @abstractmethod
    def describe(self) -> str:
        """Say in a few words what the model is, for the log."""

    @abstractmethod
    def encode(self, windows: NDArray[np.uint8]) -> NDArray[Any]:
        """ASCII windows, shape (batch, length) → token ids, an integer array."""

    @abstractmethod
    def site_logits(self, ids: torch.Tensor, index: int) -> torch.Tensor:
        """Mask the base at `index` of each window and return its logits.

        Parameters
        ----------
        ids : from `encode`, on the device
        index : int
            0-based position in the windows (not in the ids, which may have a prefix).

        Returns
        -------
        float32, shape (batch, 4)
            Logits of A, C, G, T as written in the window.
        """

    @abstractmethod
    def base_logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits of A, C, G, T at every base, nothing masked: float32, (batch, length, 4)."""

    def modes(self) -> tuple[str, ...]:
        """Modes worth trying on this device, the reference first."""
        return ("float32",)

    def set_mode(self, mode: str) -> None:
        """Compute in `mode` from now on."""
        if mode != "float32":
            raise ValueError(f"{type(self).__name__} has no mode {mode!r}")
        self.mode = mode
