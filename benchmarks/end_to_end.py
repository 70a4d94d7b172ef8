"""Run the whole workflow on real cohorts and tabulate time and peak memory of each step.

    python benchmarks/end_to_end.py --data DATA --out results.md [--model CHECKPOINT] [--window 128]

Times are Snakemake's `benchmark:` records (wall clock, start of Python included), peak memory is
what the operating system counted for the process, from the last line of each log. A small model
serves: the figures are about everything but the model. The counts that must add up are checked,
and bcftools counts the alleles independently.
"""

import argparse
import csv
import datetime
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pysam.bcftools
import yaml

ROOT = Path(__file__).resolve().parent.parent

RUNS = {
    "yeast scer7": ("yeast/genome.fa.gz", {"scer7": "yeast/cohorts/scer7.vcf.gz"}),
    "human chr21 dbSNP": (
        "human/chr21_grch38/genome.fa.gz",
        {"dbsnp149": "human/chr21_grch38/dbsnp149.vcf.gz"},
    ),
    "human chr22 1000G": (
        "human/chr22_nfcore_grch38/genome.fa.gz",
        {"kg3202": "human/chr22_nfcore_grch38/1000GP.chr22.local.vcf.gz"},
    ),
}


def alleles_by_bcftools(vcf: Path) -> int:
    """Count ALT alleles: one row each after bcftools splits; '.' counts as one."""
    rows = pysam.bcftools.query("-f", "%ALT\n", str(vcf))
    return sum(line.count(",") + 1 for line in rows.splitlines())


def run(data: Path, fasta: str, cohorts: dict[str, str], scoring: dict, model: Path, folder: Path):
    sheet = folder / "cohorts.tsv"
    lines = [f"{name}\t{data / vcf}\n" for name, vcf in cohorts.items()]
    sheet.write_text("cohort\tvcf\n" + "".join(lines))
    config = {
        "reference": {"fasta": str(data / fasta)},
        "cohorts": str(sheet),
        "models": {"gpn": {"path": str(model)}},
        "scoring": scoring,
        "normalise": {"max_allele_length": scoring["window"] // 4},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--snakefile", ROOT / "Snakefile"]
    command += ["--directory", folder, "--configfile", folder / "config.yaml"]
    command += ["--workflow-profile", ROOT / "profiles/default"]
    subprocess.run(list(map(str, command)), check=True)
    return folder / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the real data")
    parser.add_argument("--out", type=Path, required=True, help="Markdown table to write")
    parser.add_argument("--model", type=Path, default=ROOT / "resources/demo/model")
    parser.add_argument("--window", type=int, default=128)
    parser.add_argument("--background", type=int, default=10_000, help="sites")
    args = parser.parse_args()
    scoring = {"window": args.window, "background_sites": args.background}
    rows = []
    for title, (fasta, cohorts) in RUNS.items():
        with tempfile.TemporaryDirectory() as folder:
            model = args.model.resolve()
            results = run(args.data.resolve(), fasta, cohorts, scoring, model, Path(folder))
            with (results / "summary.tsv").open() as file:
                for row in csv.DictReader(file, delimiter="\t"):
                    known = alleles_by_bcftools(args.data / cohorts[row["cohort"]])
                    assert int(row["alleles_in"]) == known, (row["alleles_in"], known)
                    counts = (row["alleles_in"], row["accepted"], row["rejected"], row["sites"])
                    print(title, *counts, flush=True)
                    rows.append((title, "*counts*", *counts))
            for record in sorted(
                (results / "benchmarks").rglob("*.tsv"), key=lambda p: p.stat().st_mtime
            ):
                with record.open() as file:
                    entry = next(csv.DictReader(file, delimiter="\t"))
                step = str(record.relative_to(results / "benchmarks").with_suffix(""))
                log = (results / f"logs/{step}.log").read_text()
                peak = re.search(r"peak memory (\d+) MB\s*$", log)
                assert peak is not None, log
                print(title, step, entry["s"], peak[1], flush=True)
                rows.append((title, step, entry["s"], peak[1]))
    lines = [
        "# Whole runs on real cohorts",
        "",
        f"{platform.processor() or platform.machine()}, 2 cores, Python "
        f"{platform.python_version()}, {datetime.date.today().isoformat()}; the demo's model, "
        f"window {args.window} bp. Script: `benchmarks/end_to_end.py`.",
        "",
        "| run | step | wall, s | peak memory, MB |",
        "|---|---|---|---|",
    ]
    for title, step, *figures in rows:
        if step == "*counts*":
            alleles, accepted, rejected, sites = figures
            lines.append(
                f"| {title} | *{alleles} alleles = {accepted} accepted + {rejected} rejected; "
                f"{sites} sites* | | |"
            )
        else:
            lines.append(f"| {title} | {step} | {figures[0]} | {figures[1]} |")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
