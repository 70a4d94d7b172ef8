"""The first run of docs/yeast.md on 1,000 SNVs, with and without the background that ships.

    python benchmarks/first_run.py --data DATA [--variants 1000] [--cores 2] [--rounds 1]

As a user would: config/yeast.yaml with the paths of reference, annotation and VCF, an empty store
and no results, one command. The SNVs are drawn by seed from Ensembl's variants of 37 strains
(sgrp.ensembl109.sites.vcf.gz). Without the background, the model is a copy of the folder that ships
that lacks background.varlm.tar, so that 10,000 more sites are scored. Rounds alternate, and the
best of each counts. Times of steps are Snakemake's `benchmark:` records (by the clock, start of
Python included); two steps may run side by side.
"""

import argparse
import csv
import datetime
import gzip
import json
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
MODEL = "saccharomyces"
BACKGROUND = "background.varlm.tar"
OUT = ROOT / "benchmarks/results/first_run.md"


@dataclass(frozen=True)
class Run:
    """Seconds by the clock and of processor time, sites that were scored, seconds of each step."""

    clock: float
    processor: float
    scored: int
    steps: dict[str, float]


def draw(source: Path, count: int, seed: int, target: Path) -> int:
    """Write a VCF of SNVs drawn from another; return how many."""
    header, snvs = [], []
    with gzip.open(source, "rt") as file:
        for line in file:
            if line.startswith("#"):
                header.append(line)
                continue
            ref, alt = line.split("\t", 5)[3:5]
            if ref in "ACGT" and alt in "ACGT":
                snvs.append(line)
    count = min(count, len(snvs))
    chosen = sorted(random.Random(seed).sample(range(len(snvs)), count))
    with gzip.open(target, "wt") as file:
        file.writelines([*header, *(snvs[number] for number in chosen)])
    return count


def project(folder: Path, data: Path, vcf: Path, path: str, small: bool) -> Path:
    """Write config and cohort sheet of a user's folder; return the config."""
    config = yaml.safe_load((ROOT / "config/yeast.yaml").read_text())
    config["reference"] |= {
        "fasta": str(data / "yeast/genome.fa.gz"),
        "annotation": str(data / "yeast/annotation.gff3.gz"),
    }
    config["models"][MODEL]["path"] = path
    if small:
        del config["annotate"], config["evaluate"]  # which name contigs of yeast
        config["scoring"] = {"background_sites": 20}
    (folder / "data").mkdir()
    (folder / config["cohorts"]).write_text(f"cohort\tvcf\nstrains\t{vcf}\n")
    file = folder / "yeast.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


def processor_seconds() -> float:
    """Return the processor time of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(folder: Path, config: Path, cores: int) -> Run:
    """Run the workflow in an empty folder."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
    command += ["--directory", folder, "--configfile", config, "--cores", cores]
    used, started = processor_seconds(), time.monotonic()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    clock, used = time.monotonic() - started, processor_seconds() - used
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    results = folder / "data/results"
    plan = json.loads((results / f"plan/{MODEL}/plan.json").read_text())
    records = results / "benchmarks"
    steps: dict[str, float] = {}
    for record in sorted(records.rglob("*.tsv"), key=lambda path: path.stat().st_mtime):
        with record.open() as file:
            seconds = float(next(csv.DictReader(file, delimiter="\t"))["s"])
        name = record.relative_to(records).with_suffix("").parts[0]
        steps[name] = steps.get(name, 0) + seconds
    return Run(clock, used, plan["total"]["sites_scored"], steps)


def first_runs(args: argparse.Namespace, folder: Path) -> dict[str, list[Run]]:
    """Return the runs of both kinds, which alternate."""
    vcf = folder / "strains.vcf.gz"
    count = draw(
        args.data.resolve() / "yeast/cohorts/sgrp.ensembl109.sites.vcf.gz",
        args.variants,
        args.seed,
        vcf,
    )
    print(f"{count} SNVs", flush=True)
    bare = folder / MODEL
    shutil.copytree(
        ROOT / "resources/models" / MODEL, bare, ignore=shutil.ignore_patterns(BACKGROUND)
    )
    runs: dict[str, list[Run]] = {"with it": [], "without": []}
    for number in range(args.rounds):
        for name, path in zip(runs, (f"varlm:{MODEL}", str(bare)), strict=True):
            place = folder / f"{name.replace(' ', '_')}.{number}"
            place.mkdir()
            config = project(place, args.data.resolve(), vcf, path, args.small)
            runs[name].append(run(place, config, args.cores))
            last = runs[name][-1]
            print(name, f"{last.clock:.1f} s, {last.scored} sites scored", flush=True)
    return runs


def table(runs: dict[str, list[Run]], args: argparse.Namespace, load: float) -> str:
    """Return the figures as Markdown."""
    best = {name: min(of_kind, key=lambda run: run.clock) for name, of_kind in runs.items()}
    one, other = best.values()
    rows = [
        ("**whole command, by the clock**", f"**{one.clock:.1f}**", f"**{other.clock:.1f}**"),
        ("whole command, processor time", f"{one.processor:.1f}", f"{other.processor:.1f}"),
        ("sites scored", f"{one.scored:,}", f"{other.scored:,}"),
    ]
    rows += [
        (f"`{step}`", f"{seconds:.1f}", f"{other.steps[step]:.1f}")
        for step, seconds in one.steps.items()
    ]
    lines = [
        "# A first run",
        "",
        f"{datetime.date.today().isoformat()}; {platform.processor() or platform.machine()}, "
        f"{args.cores} cores, no GPU; Python {platform.python_version()}; load {load:.1f} before; "
        f"the best of {args.rounds}. {args.variants:,} SNVs of yeast from an empty store to all "
        "tables, tracks and pages, with the background that ships with the model and without it: "
        f"**{one.clock:.0f} s** against {other.clock:.0f} s by the clock, "
        f"{other.clock / one.clock:.1f} times as long ({other.processor / one.processor:.1f} times "
        "the processor time, which other load on the machine disturbs less). Seconds. Script: "
        "`benchmarks/first_run.py`, which says what is compared.",
        "",
        "| | with it | without |",
        "|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the real data")
    parser.add_argument("--variants", type=int, default=1000, help="SNVs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="a trial, on any genome")
    parser.add_argument("--out", type=Path, default=OUT, help="Markdown table to write")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        text = table(first_runs(args, Path(folder)), args, load)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
