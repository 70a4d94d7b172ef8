"""What a GPU does: rates, memory, agreement with a processor, and the tests that need a GPU.

    make .venv/.installed && .venv/bin/python benchmarks/gpu.py

is all that a bare machine with an NVIDIA driver needs (and a C compiler, for Triton: without one
the mode `fused` is not tried). It takes at most --minutes, 8 by default, and writes what it has
after each figure to --out, `benchmarks/results/gpu.json`, and as a table beside it; what time did
not allow is named there. Each part is a process of its own, so that one that crashes or hangs
costs its own figures alone.

Three models score random windows of 512 bp on both strands, masked (a window a site) and dense (a
tile of 256 sites a window), at `precision` auto, float32 and tf32: sites a second from bases to
numbers, operations (by the formula of docs/scaling.py) as a share of what one large product of
bfloat16 matrices reached in the same run, the batch as varlm chooses it, the peak of memory that
torch held, and the largest difference of a log-likelihood ratio from float32 on a processor. The
bars are stated in the output; nothing fails because of them. `--device cpu --quick` tries the
script out: small models, no figures worth keeping.
"""

import argparse
import datetime
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow_scripts"), str(ROOT / "tests")]

from making.toy_models import CONFIGS, LEGACY_66M, make_checkpoint
from varlm.errors import UserError
from varlm.genome.tiles import Tiles
from varlm.models import tf32
from varlm.models.language_model import LanguageModel
from varlm.models.loading import load_model
from varlm.scoring.batch_size import choose_device, default_batch, fitting_batch
from varlm.scoring.recipe import Recipe
from varlm.scoring.scorer import Scorer
from varlm.scoring.tuning import largest_difference, tune
from varlm.tables.score_kinds import SCORE_KINDS

RESULTS = ROOT / "benchmarks/results/gpu.json"
WINDOW = 512
LARGE = "ConvNet, 65.9 M"
ROFORMER = "GPN roformer, 12 × 768"
SHIPPED = "shipped for yeast, 1.85 M"
TESTS = "tests"
PARTS = ("peaks", LARGE, SHIPPED, TESTS, ROFORMER)  # in the order of what one wants to know first
PRECISIONS = ("auto", "float32", "tf32")
TILES = Tiles.within(WINDOW)
RECIPES = {"masked": Recipe(), "dense": Recipe(SCORE_KINDS["dense"], tiles=TILES)}
SITES_A_WINDOW = {"masked": 1, "dense": TILES.size}
SHARE_BAR, DENSE_BAR = 0.5, 100  # of the measured peak, masked, the large model; times masked
COMPARED = {"masked": 4, "dense": 1}  # windows of which a processor says what is right
TYPES = {"bfloat16": torch.bfloat16, "TF32": torch.float32, "float32": torch.float32}

Write = Callable[[dict], None]


def scaling():
    """The module docs/scaling.py."""
    spec = importlib.util.spec_from_file_location("scaling", ROOT / "docs/scaling.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def checkpoint(name: str, folder: Path, quick: bool) -> Path:
    if name == SHIPPED:
        return ROOT / "resources/models/saccharomyces"
    shapes = {LARGE: LEGACY_66M, ROFORMER: scaling().MODELS[ROFORMER]}
    small = {LARGE: CONFIGS["legacy"], ROFORMER: CONFIGS["roformer"]}
    small[ROFORMER] = small[ROFORMER] | {"max_position_embeddings": WINDOW}
    return make_checkpoint(folder / "model", (small if quick else shapes)[name])


def operations(folder: Path) -> dict[str, float]:
    """Operations of a site, both strands, by kind of score."""
    flops = scaling().flops
    config = json.loads((folder / "config.json").read_text())
    middle = range(TILES.context, TILES.context + TILES.size)
    return {
        "masked": flops(config, WINDOW, WINDOW // 2) + flops(config, WINDOW, WINDOW // 2 - 1),
        "dense": 2 * flops(config, WINDOW, middle) / TILES.size,
    }


def synchronised(device: torch.device) -> float:
    """The clock, when the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def peaks(device: torch.device, write: Write, quick: bool) -> None:
    """What one large product of matrices reaches, 10¹² operations a second, by type."""
    size = 256 if quick else 8192
    reached: dict[str, float] = {}
    for kind, dtype in TYPES.items():
        if kind == "TF32" and not tf32.has_tf32(device):
            continue
        tf32.allow("tf32" if kind == "TF32" else "float32", device)
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        best, repeats = 0.0, 2 if quick else 10
        for _ in range(5):
            start = synchronised(device)
            for _ in range(repeats):
                a @ b
            seconds = synchronised(device) - start
            best = max(best, repeats * 2 * size**3 / seconds / 1e12)
        reached[kind] = best
        write({"peaks": reached})
    tf32.allow("float32", device)


def numbers(scorer: Scorer, windows: np.ndarray) -> np.ndarray:
    """Numbers of sites, (n, 2, 4), whichever kind of score it is."""
    if scorer.recipe.tiles is None:
        return scorer.sites(windows, str)
    return scorer.tiles(windows, str).reshape(-1, 2, 4)


def random_windows(count: int) -> np.ndarray:
    letters = np.frombuffer(b"ACGT", np.uint8)
    return letters[np.random.default_rng(1).integers(0, 4, (count, WINDOW))]


def rate(scorer: Scorer, windows: np.ndarray, seconds: float) -> float:
    """Windows a second, after a batch to warm up."""
    batch = np.resize(windows, (scorer.batch_size, WINDOW))
    numbers(scorer, batch)
    start = time.perf_counter()
    numbers(scorer, batch)
    repeats = max(1, min(ceil(seconds / (time.perf_counter() - start)), 64))
    several = np.tile(batch, (repeats, 1))
    start = time.perf_counter()
    numbers(scorer, several)
    return len(several) / (time.perf_counter() - start)


def figures(
    model: LanguageModel, kind: str, precision: str, right: np.ndarray, quick: bool
) -> dict:
    """Of one model, kind of score and precision."""
    device, windows = model.device, random_windows(64)
    fitting = fitting_batch(model, WINDOW, default_batch(model, WINDOW))
    scorer = Scorer(model, batch_size=4 if quick else fitting, recipe=RECIPES[kind])
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    started = time.perf_counter()
    try:
        choice = tune(scorer, windows[: 4 if quick else 64], precision)
    except UserError as error:
        return {"not there": str(error)}
    tuned = time.perf_counter() - started
    each = rate(scorer, windows, 0.05 if quick else 3)
    there = numbers(scorer, windows[: COMPARED[kind]])
    held = torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None
    return {
        "mode": choice.mode,
        "sites_a_second": each * SITES_A_WINDOW[kind],
        "windows_a_batch": scorer.batch_size,
        "peak_gb": held,
        "nats_from_float32_on_a_processor": largest_difference(right, there),
        "seconds_to_choose": tuned,
        "windows_a_second_when_chosen": choice.rates,
        "nats_from_float32_when_chosen": choice.differences,
    }


def shape(name: str, device: torch.device, write: Write, quick: bool) -> None:
    """All figures of one model, masked and as tuned first."""
    with tempfile.TemporaryDirectory() as folder:
        path = checkpoint(name, Path(folder), quick)
        known: dict = {"operations_a_site": operations(path)}
        here = load_model(path)
        right = {
            kind: numbers(Scorer(here, batch_size=4, recipe=recipe), random_windows(64)[:count])
            for (kind, recipe), count in zip(RECIPES.items(), COMPARED.values(), strict=True)
        }
        del here
        model = load_model(path, device=device)
        for precision in PRECISIONS:
            for kind in RECIPES:
                known.setdefault(kind, {})[precision] = figures(
                    model, kind, precision, right[kind], quick
                )
                write({"models": {name: known}})


def tests(write: Write, deadline: float) -> None:
    """The tests marked `gpu`: name → passed, failed or skipped."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "tests.xml"
        argv = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/scoring/test_gpu.py"]
        done = subprocess.run(
            [*argv, "-p", "no:cacheprovider", f"--junitxml={report}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=max(deadline - time.time() - 5, 1),  # ended before this process is
        )
        outcomes = {}
        for case in ET.parse(report).iter("testcase") if report.exists() else ():
            kinds = {part.tag for part in case} & {"failure", "error", "skipped"}
            outcomes[case.attrib["name"]] = min(kinds, default="passed")
        write({TESTS: outcomes} | ({} if not done.returncode else {"output": done.stdout[-4000:]}))


def run_part(args: argparse.Namespace) -> None:
    """One part, in a process of its own."""
    torch.set_num_threads(os.cpu_count() or 1 if not args.quick else 1)

    def write(known: dict) -> None:
        temporary = args.out.with_suffix(".tmp")
        temporary.write_text(json.dumps(known))
        temporary.replace(args.out)

    if args.part == TESTS:
        tests(write, args.deadline)
        return
    device = choose_device(args.device)
    if args.part == "peaks":
        peaks(device, write, args.quick)
    else:
        shape(args.part, device, write, args.quick)


def machine(device: str) -> dict:
    facts = {"date": datetime.date.today().isoformat(), "torch": torch.__version__}
    facts["processor"] = platform.processor() or platform.machine()
    facts["cores"] = os.cpu_count()
    if device.startswith("cuda") and torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        facts |= {"device": properties.name, "memory_gb": properties.total_memory / 1e9}
        facts["driver_cuda"] = torch.version.cuda
    else:
        facts["device"] = device
    return facts


def bars(known: dict) -> list[dict]:
    """The bars, and whether they were reached; None where there is no figure."""
    peak = known.get("peaks", {}).get("bfloat16")
    stated = []
    for name, model in known.get("models", {}).items():
        masked = model.get("masked", {}).get("auto", {}).get("sites_a_second")
        dense = model.get("dense", {}).get("auto", {}).get("sites_a_second")
        if name == LARGE:
            share = None
            if peak and masked:
                share = masked * model["operations_a_site"]["masked"] / (1e12 * peak)
            what = f"{name}, masked, auto: share of the measured bfloat16 peak"
            stated.append({"bar": what, "least": SHARE_BAR, "value": share})
        times = dense / masked if dense and masked else None
        what = f"{name}, auto: dense sites a second, times masked"
        stated.append({"bar": what, "least": DENSE_BAR, "value": times})
    for bar in stated:
        bar["passed"] = None if bar["value"] is None else bar["value"] >= bar["least"]
    return stated


def table(known: dict) -> str:
    """The figures as Markdown."""
    facts = known["machine"]
    lines = [f"{facts['device']}, torch {facts['torch']}, {facts['date']}.", ""]
    if known["quick"]:
        lines = ["A trial with small models: no figures.", "", *lines]
    reached = ", ".join(f"{kind} {value:.3g}" for kind, value in known.get("peaks", {}).items())
    lines += [f"Largest product of matrices, TFLOP/s: {reached or 'not measured'}.", ""]
    lines += [
        "| model | score | precision | mode | sites a second | of the bfloat16 peak | batch |"
    ]
    lines[-1] += " GB | nats from float32 on a processor |"
    lines += ["| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    peak = known.get("peaks", {}).get("bfloat16")
    for name, model in known.get("models", {}).items():
        for kind in RECIPES:
            for precision, row in model.get(kind, {}).items():
                if "not there" in row:
                    continue
                work = row["sites_a_second"] * model["operations_a_site"][kind] / 1e12
                share = "–" if not peak else f"{100 * work / peak:.0f} %"
                held = "–" if row["peak_gb"] is None else f"{row['peak_gb']:.1f}"
                cells = [name, kind, precision, row["mode"], f"{row['sites_a_second']:,.0f}", share]
                cells += [str(row["windows_a_batch"]), held]
                cells += [f"{row['nats_from_float32_on_a_processor']:.2g}"]
                lines.append("| " + " | ".join(cells) + " |")
    words = {True: "reached", False: "NOT reached", None: "not measured"}
    lines.append("")
    for bar in known["bars"]:
        value = "" if bar["value"] is None else f"{bar['value']:.3g}, "
        lines.append(f"- {bar['bar']}: {value}{words[bar['passed']]} (bar {bar['least']:g})")
    lines += [f"- test {name}: {outcome}" for name, outcome in known.get(TESTS, {}).items()]
    lines += [f"- {part}: {why}" for part, why in known["left_out"].items()]
    return "\n".join(lines) + "\n"


def keep(known: dict, out: Path) -> None:
    known["bars"] = bars(known)
    out.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n")
    out.with_suffix(".md").write_text(table(known))


def merge(known: dict, part: dict) -> None:
    for name, value in part.items():
        if isinstance(value, dict) and isinstance(known.get(name), dict):
            known[name].update(value)
        else:
            known[name] = value


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="small models, figures of no worth")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--deadline", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.part:
        run_part(args)
        return 0
    if args.out is None and (args.quick or not args.device.startswith("cuda")):
        parser.error("--out is needed: only a GPU's figures are kept as results/gpu.json")
    try:
        choose_device(args.device)
    except UserError as error:
        parser.error(f"{error}; --device cpu --quick tries the script out")
    out = args.out or RESULTS
    deadline = time.time() + 60 * args.minutes - 5
    known = {"machine": machine(args.device), "quick": args.quick, "left_out": {}}
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS:
            left = deadline - time.time()
            file = Path(folder) / "part.json"
            file.unlink(missing_ok=True)
            command = [sys.executable, __file__, "--part", part, "--out", str(file)]
            command += ["--device", args.device, "--deadline", str(deadline)]
            print(f"{part}, {max(left, 0):.0f} s left", flush=True)
            try:
                if left < 10:
                    raise subprocess.TimeoutExpired(command, left)
                subprocess.run([*command, *["--quick"] * args.quick], timeout=left, check=True)
            except subprocess.TimeoutExpired:
                known["left_out"][part] = "time was up before all of it was measured"
            except subprocess.CalledProcessError as error:
                known["left_out"][part] = f"ended with status {error.returncode}"
            if file.exists():
                merge(known, json.loads(file.read_text()))
            keep(known, out)
    print(out.with_suffix(".md").read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
