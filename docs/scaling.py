"""Fill in the tables of docs/scaling.md from measured figures and stated assumptions.

    python docs/scaling.py            # write the tables anew
    python docs/scaling.py --check    # exit status 1 if they are out of date

What was measured is read from benchmarks/results; what is assumed stands at the top of this file.
To plan with other prices, devices or cohorts, change it there and run the script.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow_scripts"))

from varlm.genome.tiles import Tiles
from varlm.scoring.planning import ALLELE_COST
from varlm.scoring.shard_size import wanted_size

PAGE = ROOT / "docs/scaling.md"

WINDOW = 512
STRANDS = 2
PASSES_AN_ALLELE = 2 * STRANDS  # the window with REF and with ALT
SHARD_MINUTES = 10  # config/config.yaml

REGIONS = "every SNV of the human genome"  # `regions`: no VCF, so no normalise, made in pieces

# Cohorts, in millions: alleles of SNVs, sites they lie on, indels and MNVs. Assumed round figures
# of the published sizes; what a freeze holds after its filters is in its own documentation.
COHORTS = {
    "1000 Genomes, 3,202 genomes": {"snvs": 111, "sites": 108, "indels": 14},
    "UK Biobank exomes": {"snvs": 24, "sites": 22, "indels": 1},
    "UK Biobank, 490,000 genomes": {"snvs": 1_100, "sites": 950, "indels": 130},
    REGIONS: {"snvs": 8_820, "sites": 2_940, "indels": 0},
}
LARGEST_CHROMOSOME = 0.082  # share of the genome: chr1

# Genomes of which every site is scored, in millions of sites.
GENOMES = {"human": 2_940, "yeast (R64)": 12.157}

# Peak without sparsity, 10¹² FLOP a second, as the maker states it: arithmetic → peak. varlm uses
# bfloat16 where it agrees with float32 on the run's own sites, else TF32 where that does.
DEVICES = {
    "L4": {"bfloat16": 121, "TF32": 60, "float32": 30},
    "A100": {"bfloat16": 312, "TF32": 156, "float32": 19.5},
    "H100": {"bfloat16": 989, "TF32": 494, "float32": 67},
    "H200": {"bfloat16": 989, "TF32": 494, "float32": 67},
}
EUROS_AN_HOUR = {"L4": 0.75, "A100": 1.80, "H100": 3.00, "H200": 3.50}
EUROS_A_CORE_HOUR = 0.04
PRICES_OF = "November 2026"
FRACTIONS = (0.20, 0.35, 0.50)  # of the peak
DEVICE, FRACTION = "H100", 0.35  # of the tables that name no other
SHARE = f"{100 * FRACTION:.0f} %"

# Bytes an allele that normalise holds of a cohort, and export of a file, beyond what they take
# for any input: 1.46 M alleles peak at 471 and 1,067 MB (benchmarks/results).
NORMALISE_BYTES, EXPORT_BYTES = 250, 180
# Bytes an allele of annotated.tsv.gz and annotated.vcf.gz: 92 and 77 MB for 1.46 M alleles with
# consequences and three tracks (benchmarks/README.md).
TEXT_BYTES = (92 + 77) / 1.458
ALLELES_OF_ANNOTATE = 1_458_290  # the cohort of annotate.json and normalise.md

MODELS = {
    "ConvNet, 65.9 M (gpn-brassicales)": {
        "model_type": "ConvNet",
        "n_layers": 25,
        "hidden_size": 512,
        "kernel_size": 9,
        "dilation_max": 32,
        "dilation_cycle": 6,
    },
    "GPN convnet, as its defaults": {"model_type": "GPN", "encoder": "convnet"},
    "GPN roformer, 12 × 768": {
        "model_type": "GPN",
        "encoder": "roformer",
        "num_hidden_layers": 12,
        "hidden_size": 768,
        "intermediate_size": 3072,
    },
    "GPN convnet, 0.5 M": {
        "model_type": "GPN",
        "encoder": "convnet",
        "num_hidden_layers": 9,
        "hidden_size": 64,
        "intermediate_size": 256,
        "dilation_cycle": 6,
    },
}
MAIN = next(iter(MODELS))
MEASURED = {MAIN: "66M, threads: 2", "GPN convnet, 0.5 M": "0.5M, threads: 2"}  # in score.json
YEAST = "shipped for yeast, 1.85 M"
# Models whose every site is scored: those above and the one that ships.
OF_GENOMES = MODELS | {
    YEAST: json.loads((ROOT / "resources/models/saccharomyces/config.json").read_text())
}
# Core seconds a site, (masked, dense), where both were measured: model → seconds. Of others they
# are those of `Measured.core_seconds`, by the share of the operations. The one that ships: score
# jobs of benchmarks/results/first_run.md and whole_genome.md, 2 cores that compute in bfloat16.
CORE_SECONDS: dict[str, tuple[float, float]] = {
    YEAST: (2 * 54.5 / 10_998, 2 * 7.3 * 60 / 12_157_105),
}
GPU_FIGURES = ROOT / "benchmarks/results/gpu.md"  # written by benchmarks/gpu.py where there is one

# The defaults of gpn's configurations.
_DEFAULTS = {
    "ConvNet": {
        "vocab_size": 7,
        "n_layers": 25,
        "hidden_size": 512,
        "kernel_size": 9,
        "dilation_max": 32,
        "dilation_cycle": 6,
        "dilation_base": 2,
        "dilation_double_every": 1,
    },
    "GPN": {
        "vocab_size": 7,
        "encoder": "convnet",
        "num_hidden_layers": 25,
        "hidden_size": 512,
        "intermediate_size": 2048,
        "mlm_head_transform": True,
        "slim": False,
        "first_kernel_size": 9,
        "rest_kernel_size": 5,
        "dilation_max": 9999,
        "dilation_cycle": 8,
        "dilation_base": 2,
        "dilation_double_every": 1,
        "depthwise": False,
    },
}


def flops(config: dict, window: int, index: int | range | None) -> int:
    """Return the floating-point operations of one window on one strand, plain float32.

    Those of matrix products, two for each multiplication and addition, as varlm computes them:
    only at the positions that the answer depends on, the first convolution as a table.

    Parameters
    ----------
    config : dict
        As config.json of a checkpoint of the family GPN.
    window : int
        bp.
    index : int, range or None
        The position asked for (a site), or several (a tile); None: all (an indel or MNV).
    """
    full = {**_DEFAULTS[config["model_type"]], **config}
    asked: Sequence[int] = range(window) if index is None else [index]
    if isinstance(index, range):
        asked = index
    if full.get("encoder") == "roformer":
        return 2 * (_roformer(full, window, len(asked)) + len(asked) * _head(full))
    return 2 * (_convolutional(full, window, list(asked)) + len(asked) * _head(full))


def _head(config: dict) -> int:
    """Multiplications of the head at one position."""
    hidden = config["hidden_size"]
    transform = hidden * hidden if config.get("mlm_head_transform", True) else 0
    return transform + hidden * config["vocab_size"]


def _roformer(config: dict, window: int, asked: int) -> int:
    hidden, inner = config["hidden_size"], config["intermediate_size"]

    def layer(asking: int) -> int:
        projections = (2 * window + 2 * asking) * hidden * hidden  # key, value; query, output
        attention = 2 * asking * window * hidden
        return projections + attention + 2 * asking * hidden * inner

    return (config["num_hidden_layers"] - 1) * layer(window) + layer(asked)


def _convolutional(config: dict, window: int, asked: list[int]) -> int:
    """Multiplications of all layers, from the last one's outputs back to the tokens."""
    hidden, total = config["hidden_size"], 0
    legacy = config["model_type"] == "ConvNet"
    bytenet = config.get("encoder") == "bytenet"
    width = hidden // 2 if bytenet and config["slim"] else hidden
    outputs = asked
    for number in reversed(range(config["n_layers" if legacy else "num_hidden_layers"])):
        kernel = "first_kernel_size" if number == 0 else "rest_kernel_size"
        taps = config["kernel_size"] if legacy else config[kernel]
        cycle = (number % config["dilation_cycle"]) // config["dilation_double_every"]
        dilation = min(config["dilation_max"], config["dilation_base"] ** cycle)
        before = dilation * (taps - 1) // 2
        read = {out - before + dilation * tap for out in outputs for tap in range(taps)}
        inside = {position for position in read if 0 <= position < window}
        inputs = sorted(inside | set(outputs))
        if legacy:
            after = hidden * hidden
        elif bytenet:
            after = width * hidden
        else:
            after = hidden * hidden + 2 * hidden * config["intermediate_size"]
        total += len(outputs) * after
        if number:  # the first convolution is a table
            total += len(inputs) * hidden * width if bytenet else 0
            if not config.get("depthwise", False):
                products = len(outputs) * taps
                if _whole(inputs) and _whole(outputs):  # then padding is left out
                    shifts = (dilation * tap - before for tap in range(taps))
                    products = sum(0 <= out + shift < window for shift in shifts for out in outputs)
                total += products * width * width
        outputs = inputs
    return total


def _whole(positions: Sequence[int]) -> bool:
    return positions[-1] - positions[0] == len(positions) - 1


def site_flops(model: str) -> int:
    """Operations of one site, both strands."""
    config = OF_GENOMES[model]
    return flops(config, WINDOW, WINDOW // 2) + flops(config, WINDOW, WINDOW // 2 - 1)


def dense_flops(model: str) -> float:
    """Operations of one site by dense scoring: its share of a tile's, both strands."""
    tiles = Tiles.within(WINDOW)
    answered = range(tiles.context, tiles.context + tiles.size)
    return STRANDS * flops(OF_GENOMES[model], tiles.window, answered) / tiles.size


def allele_flops(model: str) -> int:
    """Operations of one indel or MNV: every position of two windows on two strands."""
    return PASSES_AN_ALLELE * flops(MODELS[model], WINDOW, None)


def cohort_flops(model: str, cohort: str) -> float:
    """Operations of a cohort on an empty store."""
    size = COHORTS[cohort]
    return 1e6 * (size["sites"] * site_flops(model) + size["indels"] * allele_flops(model))


def gpu_hours(operations: float, device: str, fraction: float, kind: str = "bfloat16") -> float:
    """Hours of one device at a fraction of its peak."""
    return operations / (1e12 * DEVICES[device][kind] * fraction) / 3600


def gpu_rate(model: str) -> float:
    """Sites a second on the device of the tables."""
    return 1e12 * DEVICES[DEVICE]["bfloat16"] * FRACTION / site_flops(model)


def for_gpus(model: str) -> bool:
    """Whether the operations are what a GPU's time goes to, not its input and starting kernels."""
    return site_flops(model) > 10e9


class Measured:
    """What benchmarks/results says; seconds and bytes a site, an allele or a shard."""

    def __init__(self) -> None:
        found = {
            name: json.loads((ROOT / f"benchmarks/results/{name}.json").read_text())
            for name in ("score", "store_lookup", "cohorts", "annotate", "dag")
        }
        self.score, self.cohorts, self.dag = (found[n] for n in ("score", "cohorts", "dag"))
        self.site_bytes = found["store_lookup"]["bytes_per_row"]
        lookup = found["store_lookup"]
        self.lookup_s = lookup["median_seconds"]["varlm"] / lookup["rows"]  # a row of the store
        serial = self.dag["plan_and_commit"]
        self.plan_s = serial["plan"]["cpu_s"] / serial["sites"]
        self.commit_s = serial["commit"]["cpu_s"] / serial["sites"]
        self.scratch_bytes = serial["bytes_a_site_in_shards_and_scores"]
        seconds = found["annotate"]["seconds"]
        self.allele_s = {
            step: sorted(seconds[step])[len(seconds[step]) // 2] / ALLELES_OF_ANNOTATE
            for step in ("call_consequences", "annotate", "export")
        }
        text = (ROOT / "benchmarks/results/normalise.md").read_text()
        row = re.search(r"^\| spar5, ([\d,]+) SNVs \|[^|]*\| ([\d.]+) \|", text, re.M)
        assert row is not None, "benchmarks/results/normalise.md has no row of spar5"
        self.allele_s["normalise"] = float(row[2]) / int(row[1].replace(",", ""))
        dry = self.dag["dry_run"]
        self.job_s = dry["varlm"]["cpu_s"] / dry["shards"]
        self.shard_s = self.dag["empty_shards"]["cpu_s_beyond_bare"]
        self.one_row_s = self.dag["one_row_shards"]["a_shard"]["varlm"]["wall_s"]

    def core_seconds(self, model: str, kind: str = "auto") -> float:
        """Core seconds a site on the machine of score.json; by its FLOP rate if not measured."""
        run = self.score[MEASURED.get(model, MEASURED[MAIN])]["ms_a_site"]
        if model in MEASURED:
            return run[f"varlm {kind}"]["cpu"] / 1e3
        return run["varlm float32"]["cpu"] / 1e3 * site_flops(model) / site_flops(MAIN)


def number(value: float) -> str:
    """Two or three digits, with separators."""
    if value >= 100:
        digits = len(str(int(value)))
        return f"{round(value, min(0, 3 - digits)):,.0f}"
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def percent(share: float) -> str:
    """A share in per cent."""
    return f"{100 * share:.0f} %"


def duration(seconds: float) -> str:
    """Seconds as a reader says them."""
    for unit, size in (("years", 365.25 * 86400), ("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= (2 if unit in ("years", "days") else 1) * size:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds)} s"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are aligned to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def models(measured: Measured) -> str:
    rows = []
    for name in MODELS:
        core = measured.core_seconds(name)
        whole = STRANDS * flops(MODELS[name], WINDOW, None) / site_flops(name)
        rows.append(
            [
                name,
                number(site_flops(name) / 1e9),
                f"{whole:.1f}",
                number(allele_flops(name) / 1e9),
                number(1 / core) + ("" if name in MEASURED else " (estimated)"),
                number(gpu_rate(name)) if for_gpus(name) else "its input's",
            ]
        )
    head = [f"model, window {WINDOW}", "GFLOP a site", "with all positions, times"]
    head += ["GFLOP an indel", "sites a second and core", f"sites a second, {DEVICE} at {SHARE}"]
    return table(head, rows)


def processor(measured: Measured) -> str:
    run = measured.score[MEASURED[MAIN]]["ms_a_site"]["varlm float32"]
    rate = site_flops(MAIN) / (run["cpu"] / 1e3) / 1e9
    return (
        f"Measured on a core of {measured.score[MEASURED[MAIN]]['machine'].split(',')[0]} (Zen 3): "
        f"{number(rate)} GFLOP a second in float32 on the first model. A Zen 3 core that runs at "
        f"3.5 GHz has a peak of 112, so that is {100 * rate / 112:.0f} % of it; `auto` needs "
        f"{run['cpu'] / (1e3 * measured.core_seconds(MAIN)):.1f} times less time by Winograd's "
        "algorithms."
    )


def sizes(measured: Measured) -> str:
    rows = []
    for name, size in COHORTS.items():
        alleles = size["snvs"] + size["indels"]
        rows.append(
            [
                name,
                number(alleles),
                number(size["sites"]),
                number(size["indels"]),
                number(size["sites"] * 1e6 * measured.site_bytes / 1e9),
                number(size["sites"] * 1e6 * measured.scratch_bytes / 1e9),
                number(alleles * 1e6 * TEXT_BYTES / 1e9),
            ]
        )
    head = ["cohort", "alleles, M", "sites, M", "indels and MNVs, M", "store, GB"]
    head += ["shards and scores until `commit`, GB", "TSV and VCF without samples, GB"]
    return table(head, rows)


def serial_seconds(measured: Measured, cohort: str, parts: int = 1) -> dict[str, float]:
    """Seconds of the steps beside the scoring; `parts` > 1: of the largest chromosome's cohort."""
    size = COHORTS[cohort]
    rows = 1e6 * (size["sites"] + size["indels"])
    share = 1 if parts == 1 else LARGEST_CHROMOSOME
    alleles = 1e6 * (size["snvs"] + size["indels"]) * share
    found = {step: alleles * each for step, each in measured.allele_s.items()}
    return {
        "normalise": 0.0 if cohort == REGIONS else found["normalise"],
        "plan": rows * measured.plan_s,
        "commit": rows * measured.commit_s,
        "call_consequences": found["call_consequences"],
        "annotate": found["annotate"],
        "export": found["export"],
    }


def wall(measured: Measured, model: str, cohort: str, gpus: int) -> float:
    """Seconds from the first step to the last, a cohort a chromosome, cores for all of them."""
    beside = serial_seconds(measured, cohort, 24)
    hours = gpu_hours(cohort_flops(model, cohort), DEVICE, FRACTION)
    steps = sum(beside.values()) - beside["call_consequences"]  # runs beside the scoring
    return hours * 3600 / gpus + steps


def costs(measured: Measured) -> str:
    rows = []
    for name in MODELS:
        for cohort, size in COHORTS.items():
            operations = cohort_flops(name, cohort)
            hours = gpu_hours(operations, DEVICE, FRACTION)
            # An indel costs a core what its share of operations says.
            each = measured.core_seconds(name) * operations / site_flops(name) / 3600
            gpus = [number(hours), number(hours * EUROS_AN_HOUR[DEVICE])]
            gpus += [duration(wall(measured, name, cohort, count)) for count in (1, 8, 100)]
            rows.append(
                [
                    name if cohort == next(iter(COHORTS)) else "",
                    cohort,
                    number(operations / 1e18),
                    percent(1e6 * size["indels"] * allele_flops(name) / operations),
                    *(gpus if for_gpus(name) else ["–"] * len(gpus)),
                    number(each),
                    number(each * EUROS_A_CORE_HOUR),
                ]
            )
    head = ["model", "cohort", "EFLOP", "of it indels", "GPU hours", "€", "1 GPU", "8 GPUs"]
    text = table([*head, "100 GPUs", "or core hours", "€"], rows)
    first, rest = text.split("\n", 1)
    return "\n".join([first, rest.replace("| --- | ---: |", "| --- | --- |", 1)])


def dense(measured: Measured) -> str:
    rows = []
    for name in OF_GENOMES:
        masked, cheap = site_flops(name), dense_flops(name)
        core = measured.core_seconds(name)
        cores = CORE_SECONDS.get(name, (core, core * cheap / masked))
        for genome, millions in GENOMES.items():
            work = [1e6 * millions * each for each in (masked, cheap)]
            hours = [gpu_hours(each, DEVICE, FRACTION) for each in work]
            core_hours = [1e6 * millions * each / 3600 for each in cores]
            gpu = ["–"] * 2
            if for_gpus(name):
                gpu = [both(hours), both([hour * EUROS_AN_HOUR[DEVICE] for hour in hours])]
            rows.append(
                [
                    name if genome == next(iter(GENOMES)) else "",
                    genome,
                    both([each / 1e18 for each in work]),
                    f"{masked / cheap:.0f}",
                    *gpu,
                    both(core_hours),
                    both([each * EUROS_A_CORE_HOUR for each in core_hours]),
                ]
            )
    head = ["model", "genome", "EFLOP, masked / dense", "times less", "GPU hours", "€"]
    text = table([*head, "or core hours", "€"], rows)
    first, rest = text.split("\n", 1)
    return "\n".join([first, rest.replace("| --- | ---: |", "| --- | --- |", 1)])


def both(values: Sequence[float]) -> str:
    """Masked and dense in one cell."""
    return " / ".join(map(number, values))


def measured_gpu(_: Measured) -> str:
    if GPU_FIGURES.exists():
        return "Measured by `benchmarks/gpu.py`:\n\n" + GPU_FIGURES.read_text().rstrip("\n")
    return (
        "**No GPU has been measured.** `make .venv/.installed && .venv/bin/python "
        "benchmarks/gpu.py` does that in eight minutes on any machine with an NVIDIA driver, and "
        "this place then has its figures: sites a second, masked and dense, in bfloat16, TF32 and "
        "float32, the share of what the same card's matrix products reach, memory, and how far "
        "from float32 on a processor the scores are."
    )


def state(_: Measured) -> str:
    gpus = (
        "a GPU in [a table of its own](#measured-on-a-gpu), other GPUs not"
        if GPU_FIGURES.exists()
        else "**not any GPU**"
    )
    return (
        f"Measured: everything on processors, on a machine of 2 cores; {gpus}. GPU figures in the "
        "other tables are operations divided by an assumed share of the maker's peak. An error of "
        "a factor of two is possible; the [sensitivity](#how-much-depends-on-the-gpu) shows what "
        "it means."
    )


def sensitivity(_: Measured) -> str:
    cohort = next(iter(COHORTS))
    operations = cohort_flops(MAIN, cohort)
    rows = []
    for device, peaks in DEVICES.items():
        for kind in ("bfloat16", "TF32", "float32"):
            hours = [gpu_hours(operations, device, part, kind) for part in FRACTIONS]
            cells = [f"{number(each)} / {number(each * EUROS_AN_HOUR[device])}" for each in hours]
            rows.append([f"{device}, {kind}", number(peaks[kind]), *cells])
    parts = [percent(part) for part in FRACTIONS]
    return table(["device, arithmetic", "peak, TFLOP/s", *parts], rows)


def assumptions(_: Measured) -> str:
    listed = ", ".join(f"{name} {price:.2f}" for name, price in EUROS_AN_HOUR.items())
    return (
        f"Prices, € an hour, assumed for {PRICES_OF}: {listed}; a processor core "
        f"{EUROS_A_CORE_HOUR:.2f}. Tables that name no device stand for an {DEVICE} in bfloat16 "
        f"at {SHARE} of its peak."
    )


def savings(measured: Measured) -> str:
    rows = []
    for run in measured.cohorts["one after the other"]:
        if "sites" in run:
            kept = 1 - run["sites_scored"] / run["sites"]
            alleles = "none" if not run["alleles"] else f"{run['alleles_scored']:,}"
            cells = [f"{run['sites']:,}", f"{run['sites_scored']:,}", percent(kept), alleles]
            rows.append([run["cohort"], *cells])
    known = measured.cohorts["sgrp, every site known"]["median_seconds"]
    text = table(["yeast cohort, in order", "sites", "scored", "saved", "indels scored"], rows)
    return (
        f"{text}\n\nWith every site known the run of sgrp took {known['with']:.1f} s; without "
        f"`plan`, `score`, `commit` and `calibrate`, {known['without']:.1f} s."
    )


def steps(measured: Measured) -> str:
    rows = []
    for name, size in COHORTS.items():
        alleles = 1e6 * (size["snvs"] + size["indels"])
        whole, part = serial_seconds(measured, name), serial_seconds(measured, name, 24)
        chain = ("normalise", "call_consequences", "annotate", "export")
        gigabytes = [
            number(alleles * share * each / 1e9)
            for share in (1, LARGEST_CHROMOSOME)
            for each in (NORMALISE_BYTES, EXPORT_BYTES)
        ]
        if name == REGIONS:
            gigabytes = ["–"] * 4
        rows.append(
            [
                name,
                duration(whole["plan"]),
                duration(size["sites"] * 1e6 * measured.lookup_s),
                duration(whole["commit"]),
                duration(sum(whole[step] for step in chain)),
                duration(sum(part[step] for step in chain)),
                " / ".join(gigabytes[:2]),
                " / ".join(gigabytes[2:]),
            ]
        )
    head = ["cohort", "`plan`", "look-up in a store of that size", "`commit`"]
    head += ["`normalise` to `export`, one cohort", "the same, a cohort a chromosome: the largest"]
    head += ["GB of memory for `normalise` / `export`, one cohort", "the largest chromosome"]
    serial = measured.dag["plan_and_commit"]
    tens = [number(10e6 * each / 1e9) for each in (NORMALISE_BYTES, EXPORT_BYTES)]
    return (
        f"{table(head, rows)}\n\n`normalise` holds {NORMALISE_BYTES} bytes an allele of the "
        f"*cohort*, all its files together, `export` {EXPORT_BYTES} an allele of the largest "
        f"*file*: ten million alleles take {tens[0]} and {tens[1]} GB. `plan` and `commit` read "
        f"in pieces: {serial['plan']['peak_mb']:.0f} and {serial['commit']['peak_mb']:.0f} MB on "
        f"{serial['sites'] / 1e6:.0f} M sites. `regions` are made in pieces, too."
    )


def shards(_: Measured) -> str:
    rows = []
    for name in filter(for_gpus, MODELS):
        rate = gpu_rate(name)
        size = wanted_size(rate, SHARD_MINUTES)
        passes = (cohort["sites"] + ALLELE_COST * cohort["indels"] for cohort in COHORTS.values())
        cells = [number(count * 1e6 / size) for count in passes]
        rows.append([name, number(rate), number(size / 1e3), *cells])
    head = ["model", "sites a second", f"thousand sites in {SHARD_MINUTES} min"]
    return table([*head, *(f"shards: {cohort}" for cohort in COHORTS)], rows)


def snakemake(measured: Measured) -> str:
    dry, empty, one = (measured.dag[n] for n in ("dry_run", "empty_shards", "one_row_shards"))
    rows = [
        [
            f"dry run of {dry['shards']:,} shards",
            f"{dry['varlm']['cpu_s']:.1f} s, {dry['varlm']['peak_mb']:,.0f} MB",
            f"{dry['bare']['cpu_s']:.1f} s, {dry['bare']['peak_mb']:,.0f} MB",
        ]
    ]
    for found, title in ((empty, "an empty shard"), (one, "a shard of one site")):
        cells = [f"{found['a_shard'][who]['cpu_s']:.2f} s" for who in ("varlm", "bare")]
        rows.append([f"{title} (of {found['shards']})", *cells])
    return table(["processor time", "varlm", "bare Snakefile"], rows)


BLOCKS: dict[str, Callable[[Measured], str]] = {
    "state": state,
    "measured gpu": measured_gpu,
    "dense": dense,
    "models": models,
    "processor": processor,
    "sizes": sizes,
    "assumptions": assumptions,
    "costs": costs,
    "sensitivity": sensitivity,
    "savings": savings,
    "steps": steps,
    "shards": shards,
    "snakemake": snakemake,
}


def filled(text: str) -> str:
    """Return the page with its blocks made anew; each block has to be there once."""
    measured = Measured()
    for name, make in BLOCKS.items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if text.count(start) != 1 or text.count(end) != 1:
            raise SystemExit(f"{PAGE}: expected the lines {start.strip()} and {end} once each")
        head, rest = text.split(start)
        text = f"{head}{start}{make(measured)}\n{end}{rest.split(end)[1]}"
    return text


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if stale")
    args = parser.parse_args(argv)
    now = PAGE.read_text(encoding="utf-8")
    fresh = filled(now)
    if args.check:
        if now != fresh:
            print("out of date: docs/scaling.md; run python docs/scaling.py", file=sys.stderr)
        return int(now != fresh)
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
