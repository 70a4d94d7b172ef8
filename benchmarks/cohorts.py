"""New cohorts on a store: what each costs, and what a rerun costs when all is known.

    python benchmarks/cohorts.py --data DATA --out benchmarks/results/cohorts.json \
        [--folder SCRATCH] [--model CHECKPOINT] [--window 128] [--rounds 5]

1. Yeast by_rm, then scer7, then sgrp, added to the sheet one by one: the sites computed each time
   against the set difference, counted here; then one fresh run over all three, whose tables must
   be the same bytes.
2. sgrp in a new results folder with every site known, against the same workflow with everything
   that scoring needs cut out (`plan`, `score`, `commit`, `calibrate`; the tables and the VCF are
   made all the same): `--rounds` times each, in turn.
float32, so that runs repeat bit for bit. The model matters only for the time of (1).
"""

import argparse
import csv
import datetime
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
import yaml

ROOT = Path(__file__).resolve().parent.parent
FILES = {
    "by_rm": "by_rm.gatk.vcf.gz",
    "scer7": "scer7.vcf.gz",
    "sgrp": "sgrp.ensembl109.sites.vcf.gz",
}
TABLES = ("annotated.parquet", "annotated.tsv.gz", "annotated.vcf.gz")
SCORING = ("plan", "score", "commit", "calibrate")

# The workflow without the rules of SCORING: annotate takes the background that is there already.
WITHOUT = """
module varlm:
    snakefile: {snakefile!r}
    config: config

use rule * from varlm exclude plan, commit, score, calibrate, annotate, export, summarise, all as *

use rule annotate from varlm as annotate with:
    input:
        variants="without/cohorts/{{cohort}}/variants.parquet",
        digest="without/cohorts/{{cohort}}/variants.parquet.sha256",
        contigs="without/reference/contigs.parquet",
        models=["without/models/gpn.json"],
        backgrounds=["background.parquet"],
        consequences=[],
        info=[],
        intervals=[],
        bigwigs=[],
        scores=[],
        aliases=[],
        dense=[],

use rule export from varlm as export with:
    input:
        annotated="without/cohorts/{{cohort}}/annotated.parquet",
        digest="without/cohorts/{{cohort}}/annotated.parquet.sha256",
        rejected="without/cohorts/{{cohort}}/rejected.tsv.gz",
        accounting="without/cohorts/{{cohort}}/accounting.json",
        vcf=[{vcf!r}],
        contigs="without/reference/contigs.parquet",
"""


class Runs:
    def __init__(self, folder: Path, data: Path, model: Path, window: int, background: int):
        self.targets: tuple[str, ...] = ()
        self.folder, self.data = folder, data
        self.config = {
            "reference": {"fasta": str(data / "yeast/genome.fa.gz")},
            "cohorts": "cohorts.tsv",
            "models": {"gpn": {"path": str(model)}},
            "scoring": {
                "window": window,
                "precision": "float32",
                "background_sites": background,
            },
            "normalise": {"max_allele_length": window // 4},
            "report": {"pictures": 0},  # their sites are no cohort's
        }

    def vcf(self, cohort: str) -> str:
        return str(self.data / "yeast/cohorts" / FILES[cohort])

    def run(
        self,
        cohorts: list[str],
        targets: tuple[str, ...] = (),
        snakefile: Path | None = None,
        **more,
    ) -> tuple[float, str]:
        """Run with these cohorts in the sheet; return seconds and what was printed."""
        lines = [f"{name}\t{self.vcf(name)}\n" for name in cohorts]
        (self.folder / "cohorts.tsv").write_text("cohort\tvcf\n" + "".join(lines))
        config = self.folder / "config.yaml"
        config.write_text(yaml.safe_dump({**self.config, **more}))
        command = [sys.executable, "-m", "snakemake", "--cores", "2"]
        command += ["--snakefile", snakefile or ROOT / "Snakefile", "--directory", self.folder]
        command += ["--configfile", config, "--workflow-profile", ROOT / "profiles/default"]
        targets = targets or self.targets
        command += ["--", *targets] if targets else []
        started = time.monotonic()
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        return time.monotonic() - started, done.stdout + done.stderr

    def keys(self, results: str, cohort: str) -> tuple[set, set]:
        """The sites and the other alleles of a cohort."""
        table = pl.read_parquet(self.folder / results / f"cohorts/{cohort}/variants.parquet")
        snv = pl.col("kind") == "snv"
        sites = set(table.filter(snv).select("contig", "pos").iter_rows())
        return sites, set(table.filter(~snv).select("contig", "pos", "ref", "alt").iter_rows())

    def background(self, results: str) -> set:
        names = pl.read_parquet(self.folder / results / "reference/contigs.parquet")
        rows = pl.read_parquet(self.folder / results / "background/gpn.parquet")
        return set(
            rows.join(names.select("contig", digest="digest"), left_on="contig", right_on="digest")
            .select("contig_right", "pos")
            .iter_rows()
        )

    def counts(self, results: str, cohort: str) -> dict[str, int]:
        with (self.folder / results / "summary.tsv").open() as file:
            rows = {row["cohort"]: row for row in csv.DictReader(file, delimiter="\t")}
        names = ("sites", "sites_scored", "alleles", "alleles_scored", "background_scored")
        return {name: int(rows[cohort][name]) for name in names}


def growing(runs: Runs) -> list[dict]:
    """Add the cohorts one by one, then all at once on an empty store; compare."""
    rows, known_sites, known_alleles = [], set(), set()
    for number in range(1, len(FILES) + 1):
        names = list(FILES)[:number]
        seconds, output = runs.run(names)
        cohort = names[-1]
        counts = runs.counts("results", cohort)
        sites, alleles = runs.keys("results", cohort)
        new_sites, new_alleles = sites - known_sites, alleles - known_alleles
        known_sites |= sites | runs.background("results")
        known_alleles |= alleles
        row = {
            "cohort": cohort,
            **counts,
            "sites_new_by_set_difference": len(new_sites),
            "alleles_new_by_set_difference": len(new_alleles),
            "seconds": round(seconds, 1),
            "tables_of_older_cohorts_made_again": sum(
                f"wildcards: cohort={old}\n" in output for old in names[:-1]
            ),
        }
        assert counts["sites_scored"] == len(new_sites), row
        assert counts["alleles_scored"] == len(new_alleles), row
        rows.append(row)
        print(row, flush=True)
    seconds, _ = runs.run(list(FILES), results="fresh", store="fresh store")
    for cohort in FILES:
        for name in TABLES:
            one, two = (
                (runs.folder / f / f"cohorts/{cohort}/{name}").read_bytes()
                for f in ("results", "fresh")
            )
            assert one == two, f"{cohort}/{name} differs"
    rows.append({"cohort": "all, fresh", "seconds": round(seconds, 1), "tables": "the same bytes"})
    return rows


def known(runs: Runs, rounds: int) -> dict:
    """Time reruns of sgrp with everything known, with and without the scoring rules."""
    shutil.copy(runs.folder / "results/background/gpn.parquet", runs.folder / "background.parquet")
    without = runs.folder / "Without.smk"
    without.write_text(WITHOUT.format(snakefile=str(ROOT / "Snakefile"), vcf=runs.vcf("sgrp")))
    targets = tuple(f"cohorts/sgrp/{name}" for name in TABLES)
    seconds: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(rounds):
        for name, snakefile in (("with", None), ("without", without)):
            shutil.rmtree(runs.folder / name, ignore_errors=True)
            wanted = tuple(f"{name}/{target}" for target in targets)
            wall, output = runs.run(["sgrp"], wanted, snakefile, results=name)
            seconds[name].append(round(wall, 2))
            jobs = [rule for rule in SCORING if re.search(rf"(rule|checkpoint) {rule}:", output)]
            assert "score" not in jobs
            print(name, round(wall, 2), jobs, flush=True)
    for name in TABLES:
        one, two = ((runs.folder / f / f"cohorts/sgrp/{name}").read_bytes() for f in seconds)
        assert one == two
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    return {
        "seconds": seconds,
        "median_seconds": medians,
        "ratio": round(medians["with"] / medians["without"], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--model", type=Path, default=ROOT / "resources/demo/model")
    parser.add_argument("--window", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--background", type=int, default=10_000, help="sites")
    parser.add_argument("--tables", action="store_true", help="no tracks and reports")
    parser.add_argument("--only-known", action="store_true", help="a folder that (1) has filled")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    model = args.model.resolve()
    runs = Runs(folder.resolve(), args.data.resolve(), model, args.window, args.background)
    runs.targets = ("tables",) if args.tables else ()
    before = json.loads(args.out.read_text()) if args.only_known else {}
    result: dict = {
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
        f"{datetime.date.today()}",
        "one after the other": before.get("one after the other") or growing(runs),
    }
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    result["sgrp, every site known"] = known(runs, args.rounds)
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
