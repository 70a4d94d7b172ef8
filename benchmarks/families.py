"""Scoring with the families of language models, against how their authors score.

    python benchmarks/families.py [--shapes nt_v1 hyenadna] [--rounds 5] [--threads 2]

Random checkpoints, a random genome, both strands, float32, one process. The authors' way: one
variant a batch, a pass (causal models: two, REF and ALT) for each strand, all tokens' logits, in
plain torch: of the classes of transformers where the family has one, else of our modules,
HyenaDNA's with its filters computed in each pass. Ids are made by our tokenisers for both, and
loading and start are not counted. Ours: `Scorer` with the `Recipe` and the batch of a score job.

Rounds alternate: a SNV in the authors' way, a batch of sites in ours; the best round of each
counts. With one SNV a site, a site's time is that SNV's, with three a third. The difference is the
largest of both strands and of a SNV a round. Results go to `benchmarks/results/families.md`.
"""

import argparse
import contextlib
import datetime
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow_scripts"), str(ROOT / "tests")]

from making import berts, caducei, causal_transformers, hyenas, nucleotide_transformers
from varlm.genome.windows import reverse_complement
from varlm.models.causal_model import CausalModel
from varlm.models.language_model import TokenModel
from varlm.models.loading import load_model
from varlm.models.networks import products
from varlm.run.model_families import FAMILIES
from varlm.scoring.batch_size import default_batch, fitting_batch
from varlm.scoring.numbers import site_numbers
from varlm.scoring.recipe import Recipe
from varlm.scoring.scorer import Scorer
from varlm.tables.score_kinds import SCORE_KINDS

BASES = b"ACGT"


@dataclass(frozen=True)
class Shape:
    """A checkpoint and how it is scored.

    `native` is a class of transformers; `small` are changes for a trial.
    """

    family: str
    make: Callable[..., Any]
    config: dict
    small: dict
    native: str = ""

    @property
    def kind(self) -> str:
        """Kind of score: the published one."""
        return FAMILIES[self.family].scores[0]

    @property
    def options(self) -> dict[str, str]:
        """Options of the family."""
        options = FAMILIES[self.family].option_defaults(self.kind)
        own = {"species": berts.SPECIES[0]} if "species" in options else {}
        return {name: str(value) for name, value in options.items()} | own


def nt_v1(folder: Path, **config: int) -> None:
    nucleotide_transformers.make_checkpoint(folder, 1, **config)


def nt_v2(folder: Path, **config: int) -> None:
    nucleotide_transformers.make_checkpoint(folder, 2, **config)


def species_lm(folder: Path, **config: int) -> None:
    berts.species_lm(folder, k=6, **config)
    _scale(folder)


def caduceus(folder: Path, **config: Any) -> None:
    config = caducei.caduceus_config(ssm={"d_state": 16}, **config)
    tensors = caducei.caduceus_tensors(config)
    for name, tensor in tensors.items():
        if "A_log" in name:
            tensor.copy_(torch.arange(1.0, tensor.shape[1] + 1).log().expand_as(tensor))
    caducei.write_caduceus(folder, config, tensors)


def gpt2(folder: Path, **config: int) -> None:
    causal_transformers.write_causal(folder, "gpt2", **config)
    _scale(folder)


def _scale(folder: Path) -> None:
    """Make matrices as small as trained ones are: rounding is told of such."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        if tensor.dim() > 1:
            tensor *= 1 / (tensor.std() * tensor.shape[-1] ** 0.5)
        elif "orm" in name or ".ln_" in name:
            tensor += float(name.endswith("weight"))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


_NARROW = {"hidden_size": 48, "num_hidden_layers": 2, "intermediate_size": 96}
_NARROW |= {"num_attention_heads": 4, "max_position_embeddings": 1026}
_ESM = {"hidden_size": 512, "num_hidden_layers": 12, "intermediate_size": 2048}
_BERT = {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}
_HYENA = {"d_model": 256, "d_inner": 1024, "max_seq_len": 32770, "filter_order": 64}
SHAPES = {
    "nt_v1": Shape(
        "nucleotide_transformer",
        nt_v1,
        _ESM | {"num_attention_heads": 8, "max_position_embeddings": 1002},
        _NARROW,
        "EsmForMaskedLM",
    ),
    "nt_v2": Shape(
        "nucleotide_transformer",
        nt_v2,
        _ESM | {"num_attention_heads": 16, "max_position_embeddings": 2050},
        _NARROW,
    ),
    "species_lm": Shape(
        "species_lm",
        species_lm,
        _BERT | {"num_attention_heads": 6, "max_position_embeddings": 1024},
        _NARROW,
        "BertForMaskedLM",
    ),
    "hyenadna": Shape(
        "hyenadna",
        hyenas.make_hyena,
        _HYENA | {"n_layer": 8, "tie_word_embeddings": True},
        {"d_model": 24, "d_inner": 48, "n_layer": 2, "max_seq_len": 1026},
    ),
    "gpt2": Shape(
        "gpt2",
        gpt2,
        {"n_embd": 512, "n_head": 8, "n_layer": 8, "n_positions": 1024},
        {"n_embd": 24, "n_head": 2, "n_layer": 2, "n_positions": 1024},
        "GPT2LMHeadModel",
    ),
    "caduceus": Shape(
        "caduceus", caduceus, {"d_model": 256, "n_layer": 16}, {"d_model": 16, "n_layer": 2}
    ),
}


@contextlib.contextmanager
def plain_torch() -> Iterator[None]:
    """Multiply as torch does by itself."""
    ours, products._ONEDNN = products._ONEDNN, False
    try:
        yield
    finally:
        products._ONEDNN = ours


class Masked(TokenModel):
    """A model of which a pass gives the logits of all tokens, whichever are asked for."""

    def __init__(self, model: TokenModel, native: Any):
        self.model, self.native = model, native
        self.tokeniser, self.device, self.mode = model.tokeniser, model.device, "float32"

    def describe(self) -> str:
        return "the authors' way"

    @torch.inference_mode()
    def logits(self, ids: torch.Tensor, at: Any = None) -> torch.Tensor:
        if self.native is not None:
            logits = self.native(input_ids=ids).logits
        else:
            for module in getattr(self.model, "_backbone", torch.nn.Module()).modules():
                getattr(module, "_spectra", {}).clear()  # HyenaDNA's filters: anew in each pass
            logits = self.model.logits(ids)
        return logits if at is None else logits[:, list(at)]

    def hidden(self, ids: torch.Tensor, at: Any = None) -> torch.Tensor:
        raise NotImplementedError


class Causal(Masked, CausalModel):
    """The same of a model that reads from left to right."""

    def __init__(self, model: CausalModel, native: Any):
        super().__init__(model, native)
        self.counted = model.counted

    def prefix(self, ids: torch.Tensor) -> Any:
        raise NotImplementedError

    def suffixes(self, state: Any, ids: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class Bench:
    """A checkpoint and windows of it; `theirs` and `ours` score some of them."""

    def __init__(self, folder: Path, shape: Shape, small: bool):
        shape.make(folder, **(shape.small if small else shape.config))
        family = FAMILIES[shape.family]
        kind = SCORE_KINDS[shape.kind]
        self.recipe = Recipe(kind, shape.options, family.centre, family.ends == "clipped")
        device = torch.device("cpu")
        self.model: Any = load_model(folder, None, device, shape.family, shape.options)
        self.window = 126 if small else family.window
        width = self.window * self.recipe.passes
        batch = fitting_batch(self.model, width, default_batch(self.model, width))
        self.scorer = Scorer(self.model, "both", batch, recipe=self.recipe)
        self.peer = self._peer(folder, shape)

    def _peer(self, folder: Path, shape: Shape) -> Masked:
        native: Any = None
        if shape.native:
            import transformers

            transformers.utils.logging.disable_progress_bar()
            native = getattr(transformers, shape.native).from_pretrained(folder).eval()
        return (Causal if isinstance(self.model, CausalModel) else Masked)(self.model, native)

    def windows(self, count: int) -> np.ndarray:
        rng = np.random.default_rng(0)
        return np.frombuffer(BASES, np.uint8)[rng.integers(0, 4, (count, self.window))]

    def ours(self, windows: np.ndarray) -> np.ndarray:
        """Return number[base] − number[reference] of the sites: (n, 2, 4)."""
        numbers = self.scorer.sites(windows, str).astype(np.float64)
        codes = self.references(windows)
        return numbers - np.take_along_axis(numbers, codes[:, None, None], axis=2)

    def references(self, windows: np.ndarray) -> np.ndarray:
        """Return the codes of the bases at the sites."""
        return np.array([BASES.index(b) for b in windows[:, self.recipe.before(self.window)]])

    def theirs(self, window: np.ndarray, alt: int) -> list[float]:
        """Return the scores of one SNV on both strands."""
        place = self.recipe.before(self.window)
        scores = []
        for reverse in (False, True):
            at = self.window - 1 - place if reverse else place
            text = reverse_complement(window[None]) if reverse else window[None]
            base = BASES[3 - alt] if reverse else BASES[alt]
            scores.append(self._difference(text, at, base, reverse))
        return scores

    def _difference(self, text: np.ndarray, at: int, base: int, reverse: bool) -> float:
        if isinstance(self.peer, CausalModel):
            changed = text.copy()
            changed[0, at] = base
            values = []
            for sequence in (text, changed):
                ids = torch.from_numpy(self.peer.encode(sequence))
                total = self.peer.log_likelihood(ids)
                if self.recipe.kind.name == "mean_likelihood":
                    total = total / self.peer.counts(ids)
                values.append(float(total))
            return values[1] - values[0]
        numbers = site_numbers(self.peer, self.recipe, text, at, reverse=reverse)[0]
        return float(numbers[BASES.index(base)] - numbers[BASES.index(text[0, at])])


@dataclass
class Clock:
    """Milliseconds of the best round: by the clock, and of processor time."""

    wall: float = np.inf
    cpu: float = np.inf

    @contextlib.contextmanager
    def round(self, parts: int = 1) -> Iterator[None]:
        """Time a round of so many parts; what counts is a part's time."""
        start, cpu = time.perf_counter(), time.process_time()
        yield
        self.cpu = min(self.cpu, 1e3 * (time.process_time() - cpu) / parts)
        self.wall = min(self.wall, 1e3 * (time.perf_counter() - start) / parts)


def measure(shape: Shape, rounds: int, small: bool) -> dict[str, Any]:
    """Return figures of a shape."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "model", shape, small)
    size = bench.scorer.batch_size
    windows = bench.windows(size * rounds)
    with plain_torch():
        bench.theirs(windows[0], 0)  # what a model computes once is of no site
    bench.ours(windows[:1])
    theirs, ours, difference = Clock(), Clock(), 0.0
    for number in range(rounds):
        batch = windows[number * size : (number + 1) * size]
        alt = (bench.references(batch)[0] + 1 + number % 3) % 4
        with plain_torch(), theirs.round():
            expected = bench.theirs(batch[0], alt)
        with ours.round(size):
            scores = bench.ours(batch)
        difference = max(difference, np.abs(scores[0, :, alt] - expected).max())
    return {
        "model": bench.model.describe(),
        "window": bench.window,
        "kind": shape.kind,
        "batch": size,
        "theirs": theirs,
        "ours": ours,
        "difference": difference,
    }


def machine() -> str:
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        match = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())
        name = match[1] if match else name
    return f"{name}, {os.cpu_count()} cores, no GPU; torch {torch.__version__}"


HEAD = """\
# Families of models

{date}; {machine}; {threads} threads, load {load:.1f} before; the best of {rounds} rounds. Script: \
`benchmarks/families.py`, which says what is compared. Milliseconds a SNV, both strands, by the \
clock; in brackets how many times as fast, by the clock and by processor time (which other load on \
the machine disturbs less).

| shape | window, bp | score | batch | authors' way | one SNV a site | three SNVs a site | largest \
difference |
|---|---|---|---|---|---|---|---|
"""


def row(figures: dict[str, Any]) -> str:
    ours, theirs = figures["ours"], figures["theirs"]
    cells = [figures["model"], str(figures["window"]), figures["kind"], str(figures["batch"])]
    cells.append(f"{theirs.wall:.1f}")
    for snvs in (1, 3):
        wall, cpu = snvs * theirs.wall / ours.wall, snvs * theirs.cpu / ours.cpu
        cells.append(f"{ours.wall / snvs:.1f} ({wall:.1f} ×, {cpu:.1f} ×)")
    cells.append(f"{figures['difference']:.0e}")
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--small", action="store_true", help="tiny models, to try it out")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/families.md")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    text = HEAD.format(
        date=datetime.date.today().isoformat(),
        machine=machine(),
        threads=args.threads,
        load=os.getloadavg()[0],
        rounds=args.rounds,
    )
    for name in args.shapes:
        line = row(measure(SHAPES[name], args.rounds, args.small))
        print(line, end="", flush=True)
        text += line
    args.out.write_text(text)


if __name__ == "__main__":
    main()
