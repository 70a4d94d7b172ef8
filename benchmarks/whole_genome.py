"""Score every SNV of the yeast genome, from nothing to tables, tracks and report; time each step.

    python benchmarks/whole_genome.py --data DATA --out benchmarks/results/whole_genome.md \
        [--contigs I IV] [--cores 2] [--score dense] [--small] [--folder SCRATCH]

One command of a user: the workflow with config/yeast_genome.yaml (`regions: {contigs: all}`, the
shipped model, dense scores), in a folder without results or store. Of each step: its time by the
clock (Snakemake's `benchmark:` record), its processor time with that of its children, as the
operating system counted it when it ended, and its peak memory: the higher of Snakemake's sum over
the step's processes, taken now and then, and what the log's last line says of the largest of them.
Forward passes are what the score jobs' run.json say: without starting, loading and writing.
"""

import argparse
import csv
import datetime
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "workflow_scripts"
MODEL = "saccharomyces"
MINUTES, FORWARD_MINUTES = 60, 25  # the bars, of the whole genome on two cores

# Python runs it when it starts: a step that ends says what it and its children took. A step's own
# children are counted with it, so they say nothing.
ON_EXIT = """
import atexit, json, os, resource, sys

def tell():
    used = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(usage.ru_utime + usage.ru_stime for usage in used)
    with open(os.environ["WHOLE_GENOME_TIMES"], "a") as file:
        file.write(json.dumps({"arguments": sys.orig_argv[2:], "seconds": seconds}) + "\\n")

if sys.orig_argv[1:2] == [os.environ.get("VARLM")] and "WHOLE_GENOME_STEP" not in os.environ:
    os.environ["WHOLE_GENOME_STEP"] = "1"
    atexit.register(tell)
"""


@dataclass
class Step:
    """What a step took; the jobs of one model's shards are one step.

    Attributes
    ----------
    name : str
    jobs : int
    wall, cpu : float
        Seconds, of all jobs.
    peak : float
        MB, of the largest.
    """

    name: str
    jobs: int = 0
    wall: float = 0.0
    cpu: float = 0.0
    peak: float = 0.0


def config(data: Path, contigs: list[str] | None, score: str, small: bool) -> dict:
    """Return what config/yeast_genome.yaml says, of the data in this folder."""
    settings = yaml.safe_load((ROOT / "config/yeast_genome.yaml").read_text())
    settings["reference"] |= {
        "fasta": str(data / "yeast/genome.fa.gz"),
        "annotation": str(data / "yeast/annotation.gff3.gz"),
    }
    settings["regions"] = {"contigs": contigs or "all"}
    settings["models"][MODEL]["score"] = score
    if small:  # a made genome, without yeast's contigs
        settings["scoring"] = {"background_sites": 20, "dense": {"sites": 20}}
        del settings["annotate"]["genetic_codes"], settings["evaluate"]
    return settings | {"store": "store", "results": "results"}


def run(folder: Path, settings: dict, cores: int) -> tuple[float, float]:
    """Run the workflow in an empty folder; return seconds by the clock and of processors."""
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    (folder / "site").mkdir()
    (folder / "site/sitecustomize.py").write_text(ON_EXIT)
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores)]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(folder / "config.yaml")]
    command += ["--workflow-profile", str(ROOT / "profiles/default")]
    paths = [str(folder / "site"), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "WHOLE_GENOME_TIMES": str(folder / "times.jsonl"),
    }
    started, before = time.monotonic(), processor_time()
    subprocess.run(command, env=environment, check=True)
    return time.monotonic() - started, processor_time() - before


def processor_time() -> float:
    """Return the processor time of all children that have ended, seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def steps(folder: Path) -> list[Step]:
    """Return the steps of a finished run, in the order in which they ended."""
    results = folder / "results"
    records = sorted(
        (results / "benchmarks").rglob("*.tsv"), key=lambda record: record.stat().st_mtime
    )
    taken: dict[str, Step] = {}
    for record in records:
        part = record.relative_to(results / "benchmarks").with_suffix("")
        with record.open() as file:
            row = next(csv.DictReader(file, delimiter="\t"))
        step = taken.setdefault(part.parts[0], Step(part.parts[0]))
        step.jobs += 1
        step.wall += float(row["s"])
        step.peak = max(step.peak, _number(row["max_rss"]), _logged_peak(results, part))
    for name, seconds in processor_times(folder / "times.jsonl"):
        taken[name].cpu += seconds
    return list(taken.values())


def processor_times(path: Path) -> Iterator[tuple[str, float]]:
    """Yield each job's step and its processor time, seconds."""
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        name = next(word for word in entry["arguments"] if word != "supervise")
        yield name, entry["seconds"]


def _number(text: str) -> float:
    return 0.0 if text in ("NA", "-") else float(text)


def _logged_peak(results: Path, part: Path) -> float:
    log = (results / f"logs/{part}.log").read_text()
    match = re.search(r"peak memory (\d+) MB\s*$", log)
    return float(match[1]) if match else 0.0


def forward_seconds(folder: Path) -> float:
    """Return the seconds that the score jobs spent on rows."""
    commit = json.loads((folder / f"results/commits/{MODEL}.json").read_text())
    return sum(job.get("seconds", 0.0) for job in commit["runs"])


def sizes(folder: Path) -> list[tuple[str, int]]:
    """Return what lies on disk, bytes."""
    cohort = "results/cohorts/regions"
    paths = [
        *(f"{cohort}/{name}" for name in ("variants.parquet", "consequences.parquet")),
        *(f"{cohort}/{name}" for name in ("annotated.parquet", "annotated.tsv.gz", "report.html")),
        *("results/tracks", "store"),
    ]
    return [(path, size(folder / path)) for path in paths]


def size(path: Path) -> int:
    """Return the bytes of a file or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def text(folder: Path, settings: dict, wall: float, cpu: float, cores: int) -> str:
    """Return the figures of a finished run as Markdown."""
    with (folder / "results/summary.tsv").open() as file:
        counts = next(csv.DictReader(file, delimiter="\t"))
    table = steps(folder)
    forward = forward_seconds(folder)
    scoring = sum(step.wall for step in table if step.name == "score")
    others = sum(step.cpu for step in table if step.name != "score")
    whole = settings["regions"]["contigs"] == "all"
    which = "all contigs" if whole else "contigs " + ", ".join(settings["regions"]["contigs"])
    bars = f" (bars: {MINUTES} and {FORWARD_MINUTES} min on 2 cores)" if whole else ""
    score = settings["models"][MODEL]["score"]
    return "\n".join(
        [
            "# All SNVs of a genome",
            "",
            f"{datetime.date.today()}; {cores} cores ({platform.processor() or platform.machine()})"
            f", Python {platform.python_version()}, load {os.getloadavg()[2]:.1f} (15 minutes). "
            f"Yeast, {which}; model {MODEL}, score {score}. Script: `benchmarks/whole_genome.py`.",
            "",
            f"{int(counts['sites']):,} sites, {int(counts['accepted']):,} SNVs, from nothing to "
            f"tables, tracks and report: **{wall / 60:.1f} min** by the clock, of which forward "
            f"passes {forward / 60:.1f} min ({forward / wall:.0%}), score jobs as a whole "
            f"{scoring / 60:.1f} min{bars}. Processor time {cpu / 60:.1f} min, that of all steps "
            f"but `score` {others / 60:.1f} min.",
            "",
            "| step | jobs | wall, s | processor, s | peak memory, MB |",
            "|---|---|---|---|---|",
            *(
                f"| {s.name} | {s.jobs} | {s.wall:.1f} | {s.cpu:.1f} | {s.peak:.0f} |"
                for s in table
            ),
            "",
            "| on disk | MB |",
            "|---|---|",
            *(f"| {path} | {number / 1e6:,.1f} |" for path, number in sizes(folder)),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the real data")
    parser.add_argument("--out", type=Path, required=True, help="Markdown to write")
    parser.add_argument("--contigs", nargs="+", help="some contigs only, for a trial")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--score", default="dense", help="kind of score")
    parser.add_argument("--small", action="store_true", help="a trial on a made genome")
    parser.add_argument("--folder", type=Path, help="an empty folder, which is kept")
    args = parser.parse_args()
    settings = config(args.data.resolve(), args.contigs, args.score, args.small)
    with tempfile.TemporaryDirectory() as scratch:
        folder = (args.folder or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise SystemExit(f"{folder}: not empty; the run is to begin with nothing")
        wall, cpu = run(folder, settings, args.cores)
        report = text(folder, settings, wall, cpu, args.cores)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(report)
    print(report)


if __name__ == "__main__":
    main()
