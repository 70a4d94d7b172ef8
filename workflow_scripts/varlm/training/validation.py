"""The loss on the contigs that choose the checkpoint."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from varlm.training.batches import FIRST_BASE, causal, masked, read
from varlm.training.corpus import BASE, REGION_SHIFT, REGIONS, Corpus
from varlm.training.networks import Network
from varlm.training.processes import Processes
from varlm.training.settings import Settings


class Validation:
    """Windows that are never trained on, with the same bases masked at every evaluation.

    Those of the set validation alone: a held-out contig that chose the checkpoint would no longer
    be one that the model never saw. Without any, `exists` is False and every loss None.

    All bases that are predicted are masked: one that stays would be no prediction.
    Losses are of the four bases alone: the probability of the others (a mask, [UNK]) is shared
    among them, as in the scores. Soft-masked bases count as any.
    """

    def __init__(self, corpus: Corpus, settings: Settings, is_causal: bool):
        windows = corpus.of("validation")
        count = min(windows.height, settings.validation_windows)
        every = np.linspace(0, max(windows.height - 1, 0), count).round().astype(int)
        starts = windows["start"].to_numpy()[every].astype(np.int64)
        codes = read(corpus, starts)
        bases = codes & np.uint8(BASE)
        random = np.random.Generator(np.random.Philox(key=settings.seed, counter=[0, 1, 0, 0]))
        ones = np.ones(bases.shape, np.float32)
        self.batch = (
            causal(bases, ones)
            if is_causal
            else masked(bases, ones, random, settings.mask_share, hidden=(1.0, 0.0))
        )
        self.regions = codes >> REGION_SHIFT
        self.exists = count > 0

    def losses(
        self, network: Network, processes: Processes, settings: Settings
    ) -> dict[str, float | None]:
        """Return mean losses in nats: `validation_loss`, and `loss_<region>` of each class."""
        sums = torch.zeros(len(REGIONS), 2, dtype=torch.float64)
        network.eval()
        start, end = processes.share(len(self.batch.inputs))
        for low in range(start, end, settings.micro_batch):
            part = self.batch.part(low, min(end, low + settings.micro_batch))
            regions = self.regions[low : low + len(part.inputs)].ravel()
            places = np.flatnonzero(part.weights)
            if not places.size:
                continue
            with (
                torch.inference_mode(),
                torch.autocast(
                    processes.device.type,
                    torch.bfloat16,
                    enabled=settings.precision == "bfloat16",
                ),
            ):
                logits = network.at(
                    torch.from_numpy(part.inputs).to(processes.device),
                    torch.from_numpy(places).to(processes.device),
                )
            loss = F.cross_entropy(
                logits.float()[:, FIRST_BASE : FIRST_BASE + 4].cpu(),
                torch.from_numpy(part.targets.ravel()[places] - FIRST_BASE),
                reduction="none",
            ).double()
            where = torch.from_numpy(regions[places].astype(np.int64))
            sums[:, 0].index_add_(0, where, loss)
            sums[:, 1].index_add_(0, where, torch.ones_like(loss))
        sums = sums.to(processes.device) if processes.device.type == "cuda" else sums
        processes.add_up([sums])
        sums = sums.cpu()

        def mean(pair: torch.Tensor) -> float | None:
            return (pair[0] / pair[1]).item() if pair[1] else None

        return {
            "validation_loss": mean(sums.sum(0)),
            **{f"loss_{name}": mean(sums[i]) for i, name in enumerate(REGIONS)},
        }
