"""What Snakemake costs a shard: the graph of a large plan, and jobs that have nothing to do.

    python benchmarks/dag.py --out benchmarks/results/dag.json \
        [--shards 10000] [--empty 100] [--single 20] [--scratch FOLDER]

1. `snakemake --dry-run` of a real plan of `--shards` shards of one site, beside that of a bare
   Snakefile with as many jobs of `shell: "true"` and the same number of inputs, outputs, logs
   and benchmark records a job.
2. The same two run: `--empty` shards without rows, then `--single` shards of one site, which
   import torch and load the demo's model. Processor seconds a shard, of Snakemake and all its
   children, as the slope between a few shards and all of them, so that what a run costs once
   does not count. 0 leaves a part out.
3. What one job is made of: processes that import or do one thing more each.
4. The two steps that stand alone between the cohorts and the tables, `plan` and `commit`, on
   `--sites` random sites that an empty store does not know.
"""

import argparse
import datetime
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow_scripts"))

from varlm.files.whole import write_digest
from varlm.models.prepared import SCORING_VERSION, PreparedModel
from varlm.scoring.commit_record import write_run
from varlm.scoring.plan_record import Plan
from varlm.tables.parquet import write_table
from varlm.tables.schemas import ALLELES, CONTIGS, LOGIT_COLUMNS, SHARD, SITES, VARIANTS

FEW = 5  # shards of the smaller run of a slope

# As many files, logs and records a job as the rule score and commit have.
BARE = """
N = int(config["shards"])


rule gather:
    input:
        [f"scores/{i}/{f}" for i in range(N) for f in ("sites", "alleles", "run")],
        "plan",
        "model",
        "contigs",
    output:
        touch("done"),
    shell:
        "true"


rule job:
    input:
        plan="plan",
        model="model",
        genome="genome",
    output:
        sites=temp(touch("scores/{shard}/sites")),
        alleles=temp(touch("scores/{shard}/alleles")),
        run=temp(touch("scores/{shard}/run")),
    log:
        "logs/{shard}.log",
    benchmark:
        "benchmarks/{shard}.tsv"
    threads: workflow.cores
    shell:
        "true"
"""


@dataclass(frozen=True)
class Cost:
    """What a process and its children took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


# Runs a command and says what it took. A process of its own: Linux counts the memory of the process
# that starts another as that one's, and this script holds millions of rows at times.
MEASURE = """
import json, os, subprocess, sys, time
started = time.monotonic()
with open(sys.argv[1], "wb") as log:
    child = subprocess.Popen(sys.argv[2:], stdout=log, stderr=log)
    _, status, usage = os.wait4(child.pid, 0)
cpu = usage.ru_utime + usage.ru_stime
print(json.dumps([status, time.monotonic() - started, cpu, usage.ru_maxrss / 1e3]))
"""


def measure(command: list[str | Path], environment: dict[str, str] | None = None) -> Cost:
    """Run a command to its end; its processor time includes its children's."""
    with tempfile.NamedTemporaryFile() as log:
        words = [sys.executable, "-c", MEASURE, log.name, *map(str, command)]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        status, wall, cpu, peak = json.loads(done.stdout)
        if status:
            raise SystemExit(f"failed ({status}): {command}\n{log.read().decode()}")
    return Cost(round(wall, 2), round(cpu, 2), round(peak))


def snakemake(folder: Path, snakefile: Path, *arguments: str) -> list[str | Path]:
    """Return the command, with varlm's profile."""
    command: list[str | Path] = [sys.executable, "-m", "snakemake", "--snakefile", snakefile]
    command += ["--directory", folder, "--cores", "2"]
    return [*command, "--workflow-profile", ROOT / "profiles/default", *arguments]


class Varlm:
    """A project whose plan is there and has `shards` shards; nothing is scored yet."""

    def __init__(self, folder: Path, shards: int, rows: int = 1):
        folder.mkdir(parents=True)
        self.folder = folder
        rng = random.Random(1)
        sequence = "".join(rng.choices("ACGT", k=2 * shards + 2000))
        (folder / "genome.fa").write_text(f">chr1\n{sequence}\n")
        lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
        for pos in sorted(rng.sample(range(1, len(sequence)), shards)):
            ref = sequence[pos - 1]
            alt = {"A": "C", "C": "G", "G": "T", "T": "A"}[ref]
            lines.append(f"chr1\t{pos}\t.\t{ref}\t{alt}\t.\t.\t.")
        (folder / "a.vcf").write_text("\n".join(lines) + "\n")
        (folder / "cohorts.tsv").write_text("cohort\tvcf\na\ta.vcf\n")
        config = {
            "reference": {"fasta": "genome.fa"},
            "cohorts": "cohorts.tsv",
            "models": {"tiny": {"path": str(ROOT / "resources/demo/model")}},
            "scoring": {
                "window": 64,
                "precision": "float32",
                "background_sites": 0,
                "device": "cpu",
            },
            "normalise": {"max_allele_length": 10},
            "shards": {"sites_per_shard": 1},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        measure(self.command("--", "results/plan/tiny"))
        planned = Plan.read(folder / "results/plan/tiny/plan.json").shards
        if planned != shards:
            raise SystemExit(f"{folder}: {planned} shards planned, {shards} wanted")
        if not rows:
            for path in (folder / "results/plan/tiny/shards").glob("*.parquet"):
                write_table(SHARD.empty(), path, SHARD)
                write_digest(path)

    def command(self, *arguments: str) -> list[str | Path]:
        config = ("--configfile", str(self.folder / "config.yaml"))
        return snakemake(self.folder, ROOT / "Snakefile", *config, *arguments)

    def dry_run(self) -> Cost:
        return measure(self.command("--dry-run", "--", "tables"))

    def run(self) -> Cost:
        return measure(self.command("--", "results/commits/tiny.json"))


class Bare:
    """A Snakefile with as many jobs and files, and nothing else."""

    def __init__(self, folder: Path, shards: int):
        (folder / "plan").mkdir(parents=True)
        for name in ("model", "genome", "contigs"):
            (folder / name).touch()
        (folder / "Snakefile").write_text(BARE)
        self.folder, self.shards = folder, shards

    def command(self, *arguments: str) -> list[str | Path]:
        config = ("--config", f"shards={self.shards}")
        return snakemake(self.folder, self.folder / "Snakefile", *config, *arguments)

    def dry_run(self) -> Cost:
        return measure(self.command("--dry-run"))

    def run(self) -> Cost:
        return measure(self.command())


def slope(few: Cost, many: Cost, shards: int) -> dict[str, float]:
    """Seconds that one more shard takes."""
    return {
        name: round((getattr(many, name) - getattr(few, name)) / (shards - FEW), 3)
        for name in ("wall_s", "cpu_s")
    }


def graph(scratch: Path, shards: int) -> dict:
    """The dry run of both."""
    varlm = Varlm(scratch / "varlm-dry", shards).dry_run()
    bare = Bare(scratch / "bare-dry", shards).dry_run()
    return {
        "shards": shards,
        "varlm": asdict(varlm),
        "bare": asdict(bare),
        "varlm_takes_times": round(varlm.cpu_s / bare.cpu_s, 2),
    }


def overhead(scratch: Path, shards: int, rows: int) -> dict:
    """Run both, a few shards and all of them."""
    found = {}
    for name, make in {
        "varlm": lambda folder, count: Varlm(folder, count, rows),
        "bare": lambda folder, count: Bare(folder, count),
    }.items():
        few, many = (make(scratch / f"{name}-{rows}-{n}", n).run() for n in (FEW, shards))
        found[name] = {**slope(few, many, shards), "peak_mb": many.peak_mb}
        print(f"{rows} rows a shard, {shards} shards, {name}: {found[name]}", flush=True)
    beyond = round(found["varlm"]["cpu_s"] - found["bare"]["cpu_s"], 3)
    return {"shards": shards, "rows": rows, "a_shard": found, "cpu_s_beyond_bare": beyond}


def parts(scratch: Path) -> dict[str, float]:
    """Processor seconds of processes that do one thing more each; medians of five."""
    python = sys.executable
    scores = scratch / "parts-scores"
    steps = {}
    for rows, title in ((0, "no rows"), (1, "one row")):
        results = Varlm(scratch / f"parts-{rows}", 2, rows).folder / "results"
        arguments = ["--shard", results / "plan/tiny/shards/0.parquet"]
        arguments += ["--model", results / "models/tiny.json"]
        arguments += ["--reference", results / "reference", "--device", "cpu"]
        arguments += ["--sites", scores / "sites.parquet", "--alleles", scores / "alleles.parquet"]
        arguments += ["--run", scores / "run.json"]
        program = [python, ROOT / "workflow_scripts"]
        steps[f"score, {title}"] = [*program, "score", *arguments]
        steps[f"supervise score, {title}"] = [*program, "supervise", "score", *arguments]
    commands = {
        "python": [python, "-c", "pass"],
        "python, numpy": [python, "-c", "import numpy"],
        "python, polars": [python, "-c", "import polars"],
        "python, numpy, polars": [python, "-c", "import numpy, polars"],
        "python, torch": [python, "-c", "import torch"],
        **steps,
    }
    found = {}
    for title, command in commands.items():
        costs = []
        for _ in range(5):
            shutil.rmtree(scores, ignore_errors=True)  # else progress of the last time is used
            costs.append(measure(command).cpu_s)
        found[title] = round(statistics.median(costs), 2)
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = commands["python, numpy, polars"]
    costs = [measure(command, one_thread).cpu_s for _ in range(5)]
    found["python, numpy, polars, OPENBLAS_NUM_THREADS=1"] = round(statistics.median(costs), 2)
    return found


def serial(scratch: Path, sites: int) -> dict:
    """Plan `sites` sites and commit scores that were made up for them."""
    folder = scratch / "serial"
    reference, results = folder / "reference", folder / "results"
    lengths = [10 * sites // 3, 5 * sites // 3]
    names = [f"SQ.{number:02d}" for number in range(len(lengths))]
    rng = np.random.default_rng(0)
    wanted = [
        pl.DataFrame(
            {
                "contig": [name] * (length // 5),
                "pos": np.sort(rng.choice(length, length // 5, replace=False)).astype(np.uint32)
                + np.uint32(1),
            }
        )
        for name, length in zip(names, lengths, strict=True)
    ]
    variants = pl.concat(wanted).with_columns(
        chrom="contig", ref=pl.lit("A"), alt=pl.lit("C"), kind=pl.lit("snv")
    )
    rest = [
        pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in VARIANTS.schema.items()
        if name not in variants.columns
    ]
    variants = variants.with_columns(rest).select(VARIANTS.names)
    write_table(variants, folder / "variants.parquet", VARIANTS)
    write_digest(folder / "variants.parquet")
    contigs = pl.DataFrame(
        {
            "contig": names,
            "length": lengths,
            "offset": [0, lengths[0]],
            "digest": names,
            "acgt": lengths,
        },
        schema=CONTIGS.schema,
    )
    write_table(contigs, reference / "contigs.parquet", CONTIGS)
    with (reference / "genome.fa").open("wb") as file:
        file.truncate(sum(lengths) + 1)  # sparse: nobody reads it
    model = PreparedModel(
        name="m",
        path="none",
        revision=None,
        folder=folder,
        model_type="GPN",
        files={},
        window=512,
        strands="both",
        precision="float32",
        scoring_version=SCORING_VERSION,
        key="0" * 32,
    )
    model.write(folder / "model.json")

    program = [sys.executable, ROOT / "workflow_scripts"]
    common = ["--model", folder / "model.json", "--reference", reference]
    common += ["--store", folder / "store", "--plan", results / "plan"]
    plan = [*program, "plan", *common, "--cohort", "a", "--variants", folder / "variants.parquet"]
    found = {"sites": variants.height}
    found["plan"] = asdict(measure([*plan, "--sites-per-shard", "100000"]))
    for path in (results / "plan/shards").glob("*.parquet"):
        shard, scores = pl.read_parquet(path), results / "scores" / path.stem
        logits = 3 * rng.standard_normal((shard.height, len(LOGIT_COLUMNS)))
        columns = [
            pl.Series(name, logits[:, i], dtype=pl.Float32) for i, name in enumerate(LOGIT_COLUMNS)
        ]
        rows = shard.select("contig", "pos").with_columns(columns)
        write_table(rows, scores / "sites.parquet", SITES)
        write_table(ALLELES.empty(), scores / "alleles.parquet", ALLELES)
        write_run(None, scores / "run.json")
    commit = [*program, "commit", *common, "--scores", results / "scores"]
    found["commit"] = asdict(measure([*commit, "--committed", results / "committed.json"]))
    size = sum(path.stat().st_size for path in results.rglob("*.parquet"))
    found["bytes_a_site_in_shards_and_scores"] = round(size / variants.height, 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=10_000, help="shards of the dry run")
    parser.add_argument("--empty", type=int, default=100, help="shards without rows to run")
    parser.add_argument("--single", type=int, default=20, help="shards of one row to run")
    parser.add_argument("--sites", type=int, default=6_000_000, help="sites to plan and commit")
    parser.add_argument("--scratch", type=Path, help="an empty folder; default: a temporary one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = (args.scratch or Path(folder)).resolve()
        result = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {datetime.date.today()}",
            "snakemake": version("snakemake"),
            "load": round(os.getloadavg()[0], 1),  # before: others on the same machine
            "cpu_s_of": parts(scratch),
        }
        print(json.dumps(result["cpu_s_of"], indent=2), flush=True)
        if args.sites:
            result["plan_and_commit"] = serial(scratch, args.sites)
            print(json.dumps(result["plan_and_commit"], indent=2), flush=True)
        if args.shards:
            result["dry_run"] = graph(scratch, args.shards)
            print(json.dumps(result["dry_run"], indent=2), flush=True)
        if args.empty:
            result["empty_shards"] = overhead(scratch, args.empty, 0)
        if args.single:
            result["one_row_shards"] = overhead(scratch, args.single, 1)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
