"""The training loop: updates, evaluations, a durable state, and going on from it exactly.

Batches are functions of the seed and their number, and so is what dropout draws; the state holds
the rest. A training that was killed therefore reaches the loss curve of one that was not, bit for
bit on the same machine and threads.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from varlm.errors import UserError
from varlm.files.whole import atomic_path
from varlm.run.progress import duration
from varlm.training.batches import Batch, Sampler
from varlm.training.corpus import Corpus
from varlm.training.networks import Network, loss_sum, parameters_for_decay
from varlm.training.processes import Processes
from varlm.training.settings import Settings
from varlm.training.validation import Validation

log = logging.getLogger(__name__)

_SAVE_SHARE = 0.02  # of the time may go into saving the state
_SAVE_SECONDS = 30.0  # and it is saved no more often than that

Row = dict[str, Any]

# Settings that change no update but for rounding, and those that only set the learning rate:
# a training may be made longer while its state still has the rates that the longer one has.
_FREE = (
    "micro_batch",
    "patience",
    "steps",
    "learning_rate",
    "schedule",
    "warmup_steps",
    "decay_steps",
)


class Training:
    """One model in training.

    Parameters
    ----------
    network : Network
        With its first values.
    corpus : Corpus
    settings : Settings
    processes : Processes
    identity : dict
        What the state must have been made of: the model's options, the corpus, the settings, and
        the checkpoint it started from, if any.
    """

    def __init__(
        self,
        network: Network,
        corpus: Corpus,
        settings: Settings,
        processes: Processes,
        identity: dict[str, Any],
    ):
        self.network = network.to(processes.device)
        self.settings, self.processes = settings, processes
        self.identity = identity
        self.sampler = Sampler(
            corpus,
            settings.batch_size,
            settings.seed,
            causal=network.causal,
            mask_share=settings.mask_share,
            soft_masked_weight=settings.soft_masked_weight,
            jitter=settings.jitter,
        )
        self.validation = Validation(corpus, settings, network.causal)
        decayed, plain = parameters_for_decay(network)
        self.optimiser = torch.optim.AdamW(
            [
                {"params": list(decayed), "weight_decay": settings.weight_decay},
                {"params": list(plain), "weight_decay": 0.0},
            ],
            lr=settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
            fused=processes.device.type in ("cpu", "cuda"),
        )
        self.step = 0
        self.curve: list[Row] = []
        self.best: dict[str, torch.Tensor] | None = None
        self.best_loss = math.inf
        self.seconds = 0.0
        self._sum = torch.zeros(2, dtype=torch.float64)  # loss and weight since the last row

    def run(self, state: Path | None = None, on_row: Callable[[Row], None] | None = None) -> None:
        """Train to the end, from the state on if there is one.

        Parameters
        ----------
        state : Path, optional
            File that the state is kept in.
        on_row : callable, optional
            Called with each new row of the learning curve.

        Raises
        ------
        UserError
            If the loss is not a finite number, or the state is of another training.
        """
        if state is not None and state.exists():
            self.load(state)
        settings = self.settings
        if not self.validation.exists:
            log.warning(
                "no window is for validation (train.<name>.validation names its contigs): the "
                "weights of the last step are kept%s",
                "" if settings.patience is None else ", and patience ends nothing",
            )
        began = time.monotonic() - self.seconds
        saved_at, saving = time.monotonic(), 0.0
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self.sampler.batch, self.step)
            while self.step < settings.steps and not self._patience_is_over():
                batch = coming.result()
                coming = ahead.submit(self.sampler.batch, self.step + 1)
                self._update(batch)
                self.step += 1
                self.seconds = time.monotonic() - began
                due = self.step % settings.evaluate_every == 0 or self.step == settings.steps
                if due:
                    row = self._evaluate()
                    if on_row is not None and self.processes.first:
                        on_row(row)
                if state is None or not self.processes.first:
                    continue
                since = time.monotonic() - saved_at
                if due or since > max(_SAVE_SECONDS, saving / _SAVE_SHARE):
                    start = time.monotonic()
                    self.save(state)
                    saved_at = time.monotonic()
                    saving = saved_at - start

    def best_tensors(self) -> dict[str, torch.Tensor]:
        """Return the checkpoint's tensors at the evaluation with the lowest validation loss.

        The last ones, where there are no validation windows.
        """
        return self.network.tensors() if self.best is None else self.best

    def _update(self, batch: Batch) -> None:
        """Take one step: gradients of all micro-batches on all devices, then AdamW."""
        settings = self.settings
        rate = settings.rate(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        total = float(batch.weights.sum(dtype=np.float64))
        torch.manual_seed(
            (settings.seed << 32) + self.step * self.processes.count + self.processes.rank
        )
        self.network.train()
        loss = torch.zeros((), dtype=torch.float64, device=self.processes.device)
        start, end = self.processes.share(settings.batch_size)
        for low in range(start, end, settings.micro_batch):
            part = batch.part(low, min(end, low + settings.micro_batch))
            if not part.weights.any():
                continue
            summed = self._loss(part)
            (summed / total).backward()  # type: ignore[no-untyped-call]
            loss += summed.detach().double()
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        self.processes.add_up([*gradients, loss])
        value = loss.item() / total if total else 0.0
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip)
        if not math.isfinite(value) or not math.isfinite(norm.item()):
            raise UserError(
                f"training step {self.step + 1}: the loss is {value}, its gradient's norm "
                f"{norm.item()}, expected finite numbers; training diverged: lower learning_rate "
                f"(here {rate:.2g}), lengthen warmup_steps, or set precision: float32"
            )
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._sum += torch.tensor([value * total, total], dtype=torch.float64)

    def _loss(self, batch: Batch) -> torch.Tensor:
        device = self.processes.device
        places = np.flatnonzero(batch.weights)
        with torch.autocast(
            device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"
        ):
            logits = self.network.at(
                torch.from_numpy(batch.inputs).to(device), torch.from_numpy(places).to(device)
            )
        return loss_sum(
            logits,
            torch.from_numpy(batch.targets.ravel()[places]).to(device),
            torch.from_numpy(batch.weights.ravel()[places]).to(device),
        )

    def _evaluate(self) -> Row:
        settings = self.settings
        losses = self.validation.losses(self.network, self.processes, settings)
        seen = self.step * settings.batch_size * self.sampler.corpus.window
        row: Row = {
            "step": self.step,
            "bases": seen,
            "learning_rate": settings.rate(self.step - 1),
            "train_loss": (self._sum[0] / self._sum[1]).item(),
            **losses,
            "seconds": round(self.seconds, 1),
        }
        self._sum.zero_()
        self.curve.append(row)
        loss = losses["validation_loss"]
        if loss is not None and loss < self.best_loss:
            self.best_loss = loss
            self.best = {
                name: tensor.detach().cpu().clone()
                for name, tensor in self.network.tensors().items()
            }
        left = self.seconds / self.step * (settings.steps - self.step)
        log.info(
            "step %d of %d: training loss %.4f, validation loss %s, %.0f bases/s, about %s left",
            self.step,
            settings.steps,
            row["train_loss"],
            "none" if loss is None else f"{loss:.4f} (perplexity {math.exp(loss):.4f})",
            seen / self.seconds,
            duration(left),
        )
        return row

    def _patience_is_over(self) -> bool:
        patience = self.settings.patience
        losses = [row["validation_loss"] for row in self.curve]
        if patience is None or not losses or losses[0] is None:
            return False
        best = int(np.argmin(losses))
        return len(losses) - 1 - best >= patience

    # The state -----------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write the state, durably: the old file stays until the new one is whole on disk."""
        state = {
            "identity": self.identity,
            "settings": asdict(self.settings),
            "step": self.step,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "curve": self.curve,
            "best": self.best,
            "best_loss": self.best_loss,
            "seconds": self.seconds,
            "sum": self._sum,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            torch.save(state, temporary)

    def load(self, path: Path) -> None:
        """Go on from a state.

        Raises
        ------
        UserError
            If it is damaged, or of another training.
        """
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            identity = state["identity"]
        except Exception as error:  # torch raises many kinds for a damaged file
            raise UserError(
                f"{path}: not a readable training state ({error}); delete it, and training starts "
                "anew"
            ) from error
        if identity != self.identity or not self._same_rates(state):
            changed = [
                key
                for key in sorted({*identity, *self.identity})
                if identity.get(key) != self.identity.get(key)
            ] or ["the learning rates of steps that are done"]
            raise UserError(
                f"{path}: the state of another training: {', '.join(changed)} changed since; "
                "restore them to go on, or delete the file to train from the start"
            )
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.curve = state["curve"]
        self.best, self.best_loss = state["best"], state["best_loss"]
        self.seconds = state["seconds"]
        self._sum = state["sum"]
        if not self.validation.exists:
            self._forget_choice()
        log.info("going on from step %d of %s", self.step, path)

    def _forget_choice(self) -> None:
        """Drop what held-out contigs chose: states of earlier code let them, without validation."""
        self.best, self.best_loss = None, math.inf
        for row in self.curve:
            row.update({name: None for name in row if name.startswith(("validation_", "loss_"))})

    def _same_rates(self, state: dict[str, Any]) -> bool:
        """Whether the steps that are done had the learning rates that they would have now."""
        then = Settings(**state["settings"])
        return all(then.rate(i) == self.settings.rate(i) for i in range(state["step"]))


def identity(options: dict[str, Any], corpus: Corpus, settings: Settings) -> dict[str, Any]:
    """Return what a state must have been made of, as `Training` takes it."""
    kept = {name: value for name, value in asdict(settings).items() if name not in _FREE}
    return {"model": options, "corpus": corpus.description.digest, **kept}
