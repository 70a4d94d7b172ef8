"""How a model is trained: the options of the config block, with their defaults there."""

from __future__ import annotations

import math
from dataclasses import dataclass

SCHEDULES = ("constant", "cosine", "linear", "trapezoid")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The loop's settings.

    Attributes
    ----------
    steps : int
        Updates of the weights.
    batch_size : int
        Windows in an update, on all devices together.
    micro_batch : int
        Windows computed at once on a device; gradients of several are added up.
    learning_rate : float
        At its highest.
    schedule : str
        One of `SCHEDULES`, after the warm-up: constant; half a cosine, or a line, down to 0 at
        the last step; trapezoid: constant, then a line to 0 over the last `decay_steps`.
    warmup_steps, decay_steps : int
    weight_decay, beta1, beta2, clip : float
        AdamW's, and the norm that gradients are cut to.
    seed : int
    precision : str
        float32 or bfloat16 (matrix products only; weights and optimiser stay float32).
    evaluate_every : int
        Steps between two evaluations.
    validation_windows : int
        Windows of an evaluation, at most.
    patience : int or None
        Evaluations without a better validation loss after which training ends.
    mask_share, soft_masked_weight : float
    jitter : int
        bp; see `varlm.training.batches.Sampler`.
    """

    steps: int
    batch_size: int
    micro_batch: int
    learning_rate: float
    schedule: str
    warmup_steps: int
    decay_steps: int
    weight_decay: float
    beta1: float
    beta2: float
    clip: float
    seed: int
    precision: str
    evaluate_every: int
    validation_windows: int
    patience: int | None
    mask_share: float
    soft_masked_weight: float
    jitter: int

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        length = max(1, self.steps - self.warmup_steps)
        left = (self.steps - step) / length  # 1 … just above 0
        if self.schedule == "cosine":
            return self.learning_rate * 0.5 * (1 - math.cos(math.pi * left))
        if self.schedule == "linear":
            return self.learning_rate * left
        if self.schedule == "trapezoid" and self.decay_steps:
            return self.learning_rate * min(1.0, (self.steps - step) / self.decay_steps)
        return self.learning_rate
