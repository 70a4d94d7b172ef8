"""Train the demo's tiny GPN on simulated genomes other than the demo's.

    python resources/demo/train.py --out resources/demo/model --steps 1500

A plain masked-language-model loop (15 % of positions; of those 80 % masked, 10 % random, 10 %
kept), reverse-complement augmentation, AdamW with warm-up and cosine decay. Genomes are simulated
as it goes, from seeds that the demo does not use, so that no window is seen twice.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import gpn
import numpy as np
import torch
from gpn.model import GPNConfig, GPNForMaskedLM
from simulate import SEED, simulate_genome
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow_scripts"))

from varlm.training.checkpoints import tokenizer

WINDOW, BATCH, RATE, WARM_UP = 128, 64, 3e-3, 100
MASK, UNKNOWN, FIRST_BASE = 1, 2, 3
IDS = np.full(256, UNKNOWN)
IDS[list(b"ACGT")] = range(FIRST_BASE, FIRST_BASE + 4)

TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "pad_token": "[PAD]",
    "mask_token": "[MASK]",
    "unk_token": "[UNK]",
}


def genome_ids(seed: int) -> np.ndarray:
    """Return a simulated genome as token ids, its contigs joined."""
    genome = simulate_genome(seed, {"a": 400_000})
    text = "".join(genome.sequences.values())
    return IDS[np.frombuffer(text.encode(), dtype=np.uint8)]


def windows(ids: np.ndarray, rng: np.random.Generator, count: int) -> torch.Tensor:
    """Draw windows, each on a random strand."""
    starts = rng.integers(0, len(ids) - WINDOW, size=count)
    drawn = ids[starts[:, None] + np.arange(WINDOW)]
    flip = rng.random(count) < 0.5
    # Ids 3 to 6 are A, C, G, T: the complement of i is 9 - i.
    drawn[flip] = np.where(drawn[flip] >= FIRST_BASE, 9 - drawn[flip], drawn[flip])[:, ::-1]
    return torch.from_numpy(drawn)


def loss_of(model: GPNForMaskedLM, ids: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return the cross-entropy at the masked positions, nats."""
    chosen = torch.rand(ids.shape, generator=generator) < 0.15
    how = torch.rand(ids.shape, generator=generator)
    noise = torch.randint(FIRST_BASE, FIRST_BASE + 4, ids.shape, generator=generator)
    shown = torch.where(chosen & (how < 0.8), MASK, ids)
    shown = torch.where(chosen & (how > 0.9), noise, shown)
    logits = model(input_ids=shown).logits
    return cross_entropy(logits[chosen], ids[chosen])


def save(model: GPNForMaskedLM, folder: Path) -> None:
    """Write the checkpoint in Hugging Face layout."""
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(), indent=1) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(TOKENIZER_CONFIG, indent=1) + "\n")


def main() -> None:
    """Train for a number of steps and report the held-out loss on the demo's genome."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    args = parser.parse_args()
    gpn.register_auto_classes("gpn")
    torch.set_num_threads(1)  # the model is small, and one thread gives the same sums anywhere
    torch.manual_seed(SEED)
    config = GPNConfig(
        encoder="convnet",
        num_hidden_layers=6,
        hidden_size=64,
        intermediate_size=128,
        dilation_cycle=5,
        first_kernel_size=9,
        rest_kernel_size=5,
    )
    model = GPNForMaskedLM(config).train()
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min((step + 1) / WARM_UP, 0.5 * (1 + math.cos(math.pi * step / args.steps))),
    )
    rng, generator = np.random.default_rng(SEED), torch.Generator().manual_seed(SEED)
    held_out = windows(genome_ids(SEED), np.random.default_rng(0), 512)
    started, total = time.monotonic(), 0.0
    for step in range(args.steps):
        if step % 200 == 0:  # 200 batches see a simulated genome four times over
            ids = genome_ids(1000 + step)
        loss = loss_of(model, windows(ids, rng, BATCH), generator)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        total += loss.item()
        if (step + 1) % 100 == 0:
            with torch.no_grad():
                validation = loss_of(model, held_out, torch.Generator().manual_seed(1)).item()
            seconds = time.monotonic() - started
            print(
                f"step {step + 1}: loss {total / 100:.4f}, held-out {validation:.4f}, "
                f"{seconds:.0f} s",
                flush=True,
            )
            total = 0.0
            if (step + 1) % 500 == 0:
                save(model, args.out)
    save(model, args.out)


if __name__ == "__main__":
    main()
