"""Run the workflow on a genome of many scaffolds, and on the same bases and SNVs in few contigs.

    python benchmarks/scaffolds.py --sites 10000 --contigs 20000 --folder /tmp/scaffolds --out t.md

Wheat, conifers and metagenomes come in 100,000 scaffolds with few alleles on each: what a step
takes has to go by alleles, not by contigs. Each step's wall time, CPU time and peak memory are
Snakemake's `benchmark:` records and the last line of its log, of both runs; the bar is three times
the time on few contigs plus 20 s. Of the store: bytes a site (of the sites that it holds), and
files. A folder that holds a finished run is only tabulated again.
"""

import argparse
import csv
import datetime
import os
import platform
import random
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import yaml

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "workflow_scripts"
sys.path.insert(0, str(PACKAGE))

from varlm.store import Store

FEW = 10
GENE = (11, 250)  # first and last base, 1-based
FACTOR, EXTRA = 3, 20  # a step's bar: so many times the time on few contigs, and seconds
SITE_BYTES, FILES = 3 * 32, 200  # the store's bars


@dataclass(frozen=True)
class Scaffold:
    bases: str
    gene: bool
    snv: tuple[int, str, str] | None  # 1-based position, REF, ALT


def scaffolds(contigs: int, sites: int, seed: int) -> list[Scaffold]:
    """Cut short scaffolds from one random sequence: a gene on each fifth, SNVs spread evenly."""
    rng = random.Random(seed)
    big = "".join(rng.choice("ACGT") for _ in range(1_000_000))
    made, done = [], 0
    for number in range(contigs):
        start = rng.randint(0, 990_000)
        bases = big[start : start + rng.randint(300, 900)]
        snv = None
        if (number + 1) * sites // contigs > done:
            done += 1
            pos = rng.randint(1, len(bases))
            ref = bases[pos - 1]
            snv = (pos, ref, next(base for base in "ACGT" if base != ref))
        made.append(Scaffold(bases, number % 5 == 0, snv))
    return made


def write_input(all_scaffolds: list[Scaffold], contigs: int, folder: Path, background: int) -> None:
    """Write FASTA, GFF3, VCF, sheet and config; neighbouring scaffolds are joined into contigs."""
    folder.mkdir(parents=True)
    size = -(-len(all_scaffolds) // contigs)
    gff = ["##gff-version 3"]
    vcf, records = ["##fileformat=VCFv4.2"], ["#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    with (folder / "ref.fa").open("w") as fasta:
        for contig, first in enumerate(range(0, len(all_scaffolds), size)):
            name, length = f"scaffold_{contig + 1}", 0
            vcf.append(f"##contig=<ID={name}>")
            fasta.write(f">{name}\n")
            for number, scaffold in enumerate(all_scaffolds[first : first + size], first):
                if scaffold.gene:
                    ends = "\t".join(str(length + end) for end in GENE)
                    gff += [
                        f"{name}\tm\t{kind}\t{ends}\t.\t+\t{phase}\t{tags}"
                        for kind, phase, tags in (
                            ("gene", ".", f"ID=g{number}"),
                            ("mRNA", ".", f"ID=t{number};Parent=g{number}"),
                            ("CDS", "0", f"ID=c{number};Parent=t{number}"),
                        )
                    ]
                if scaffold.snv:
                    pos, ref, alt = scaffold.snv
                    records.append(f"{name}\t{length + pos}\t.\t{ref}\t{alt}\t.\tPASS\t.")
                fasta.write(scaffold.bases)
                length += len(scaffold.bases)
            fasta.write("\n")
    (folder / "ref.gff3").write_text("\n".join(gff) + "\n")
    (folder / "a.vcf").write_text("\n".join(vcf + records) + "\n")
    (folder / "cohorts.tsv").write_text("cohort\tvcf\nb\ta.vcf\n")
    config = {
        "models": {"gpn": {"path": str(ROOT / "resources/demo/model"), "window": 128}},
        "scoring": {"background_sites": background},
        "report": {"pictures": 1},
        "normalise": {"max_allele_length": 32},
        "cohorts": "cohorts.tsv",
        "reference": {"fasta": "ref.fa", "annotation": "ref.gff3"},
        "tracks": "all",
    }
    (folder / "my.yaml").write_text(yaml.safe_dump(config))


def run(folder: Path, targets: list[str], *, dry: bool = False) -> float:
    """Run the workflow on two cores, with the default profile; return its wall time, s."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--configfile", "my.yaml", "--cores", "2"]
    command += ["--workflow-profile", str(ROOT / "profiles/default")]
    command += ["--dry-run", "--quiet", "all"] if dry else []
    command += ["--", *targets] if targets else []
    started = time.monotonic()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL if dry else None)
    return time.monotonic() - started


def steps(folder: Path) -> dict[str, tuple[float, float, float]]:
    """Step → wall time (s), CPU time (s) and peak memory (MB), in the order in which they ended."""
    records = (folder / "results/benchmarks").rglob("*.tsv")
    table = {}
    for record in sorted(records, key=lambda path: path.stat().st_mtime):
        with record.open() as file:
            entry = next(csv.DictReader(file, delimiter="\t"))
        step = str(record.relative_to(folder / "results/benchmarks").with_suffix(""))
        log = folder / f"results/logs/{step}.log"
        peak = re.search(r"peak memory (\d+) MB\s*$", log.read_text()) if log.exists() else None
        memory = float(peak[1]) if peak else numeric(entry["max_rss"])
        table[step] = (float(entry["s"]), numeric(entry["cpu_time"]), memory)
    return table


def numeric(text: str) -> float:
    """Snakemake writes NA or - for a job that ended before it looked."""
    return float(text) if re.fullmatch(r"[\d.]+", text) else float("nan")


def store_size(folder: Path) -> tuple[int, int, int]:
    """Return the sites that a store holds, its bytes and its files."""
    store = Store(folder / "store")
    parts = [part for key in store.keys() for part in store.parts(key)]  # noqa: SIM118
    sites = sum(part.rows for part in parts if part.kind == "sites")
    files = [path for path in store.root.rglob("*") if path.is_file()]
    return sites, sum(path.stat().st_size for path in files), len(files)


def table(folders: dict[int, Path]) -> str:
    """Return the Markdown table of both runs."""
    few, many = sorted(folders)
    taken = {contigs: steps(folder) for contigs, folder in folders.items()}
    lines = [
        f"| step | {few} contigs: wall, s | CPU, s | MB | {many:,} contigs: wall, s | CPU, s | MB "
        "| wall ratio | CPU ratio | bar, s | |",
        "|---|" + "---|" * 10,
    ]
    for step, (wall, cpu, memory) in taken[many].items():
        if step not in taken[few]:
            continue
        before = taken[few][step]
        bar = FACTOR * before[0] + EXTRA
        lines.append(
            f"| {step} | {before[0]:.1f} | {before[1]:.1f} | {before[2]:.0f} | {wall:.1f} "
            f"| {cpu:.1f} | {memory:.0f} | {wall / before[0]:.1f} "
            f"| {cpu / before[1] if before[1] else float('nan'):.1f} "
            f"| {bar:.0f} | {'' if wall <= bar else '**over**'} |"
        )
    lines += ["", "| store | sites | bytes | bytes a site | files | |", "|---|---|---|---|---|---|"]
    for contigs, folder in sorted(folders.items()):
        sites, size, files = store_size(folder)
        over = size > SITE_BYTES * sites or files > FILES
        lines.append(
            f"| {contigs:,} contigs | {sites:,} | {size:,} | {size / max(sites, 1):.1f} "
            f"| {files} | {'**over**' if over else ''} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--contigs", type=int, default=20_000)
    parser.add_argument("--background", type=int, default=200, help="sites")
    parser.add_argument("--seed", type=int, default=34)
    parser.add_argument("--folder", type=Path, required=True, help="kept: inputs, results, stores")
    parser.add_argument("--out", type=Path, help="Markdown file to write; the table is printed")
    parser.add_argument("--only", choices=["few", "many"], help="run, or run on, one of both")
    parser.add_argument("targets", nargs="*", help="as Snakemake takes them; all by default")
    args = parser.parse_args()
    every_scaffold = scaffolds(args.contigs, args.sites, args.seed)
    folders = {FEW: args.folder / "few", args.contigs: args.folder / "many"}
    for contigs, folder in folders.items():
        if not folder.exists():
            write_input(every_scaffold, contigs, folder, args.background)
        if args.only in (None, folder.name):
            run(folder, args.targets)
            print(f"{folder.name}: a dry run takes {run(folder, args.targets, dry=True):.1f} s")
    if all((folder / "results/benchmarks").exists() for folder in folders.values()):
        text = (
            f"{datetime.date.today()}. {args.sites:,} SNVs and {args.background:,} background "
            f"sites; {os.cpu_count()} cores ({platform.processor() or platform.machine()}), Python "
            f"{platform.python_version()}, polars {pl.__version__}. Script: "
            f"`benchmarks/scaffolds.py`.\n\n{table(folders)}"
        )
        print(text)
        if args.out:
            args.out.write_text("# Many scaffolds\n\n" + text)


if __name__ == "__main__":
    main()
