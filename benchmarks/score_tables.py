"""Time `join_scores` against `bcftools annotate` with the same table, in one run.

    python benchmarks/score_tables.py --data DATA [--out benchmarks/results/score_tables.md] \
        [--folder SCRATCH] [--repeats 3]

A table of all SNVs of the yeast genome (36.5 M, random scores of a fixed seed) is made once in
the folder, as text with a tabix index and as Parquet. The cohort is spar5 (1.46 M SNVs), and 1,000
alleles of it. The peer carries the score over from the text to the cohort's VCF, written as BCF;
varlm's step writes its column beside `variants.parquet`. Every value is held against the table.

Times are the medians of alternating runs, start of the interpreter included; memory is the highest.
"""

import argparse
import datetime
import json
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pysam

ROOT = Path(__file__).resolve().parent.parent
VARLM = ROOT / "workflow_scripts"
sys.path.insert(0, str(VARLM))

from varlm.files.whole import write_digest
from varlm.genome.bases import BASES, CODES
from varlm.genome.reference import Genome
from varlm.run.score_tables import ScoreColumn, ScoreTable

ANNOTATE = "import sys, pysam.bcftools as b; b.annotate(*sys.argv[1:], catch_stdout=False)"
FEW = 1000  # alleles of the small cohort
WANTED = {"spar5": 3.0, "few": 5.0}  # times the peer's time; seconds
MOST_MB = 1500
PEER = "bcftools annotate"
Timing = tuple[float, float, float]  # seconds, of the processor, MB


def timed(*command: object) -> Timing:
    """Return seconds by the clock and of the processor, and peak memory in MB, of a process."""
    start = time.perf_counter()
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        said = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"failed ({process.returncode}): {command}\n{said}")
    processor = usage.ru_utime + usage.ru_stime
    return time.perf_counter() - start, processor, usage.ru_maxrss / 1024


def all_snvs(genome: Genome) -> pl.DataFrame:
    """Every SNV of a genome with a random score of four decimals, sorted."""
    rng, letters = np.random.default_rng(0), np.array(list(BASES))
    frames = []
    for contig in genome.names:
        codes = CODES[genome.sequence(contig)]
        positions = np.flatnonzero(codes < 4)
        ref = codes[positions].astype(np.int64)
        alts = np.array([[a for a in range(4) if a != base] for base in range(4)])[ref].ravel()
        columns = {
            "contig": pl.repeat(contig, len(alts), eager=True, dtype=pl.String()),
            "pos": np.repeat(positions + 1, 3).astype(np.int32),
            "ref": letters[np.repeat(ref, 3)],
            "alt": letters[alts],
            "score": np.round(rng.normal(size=len(alts)), 4),
        }
        frames.append(pl.DataFrame(columns))
    return pl.concat(frames)


def prepare(folder: Path, data: Path, vcf: Path) -> None:
    """Make what is measured on: reference, alleles, a few of them, and the table; once."""
    reference, cohort, few = folder / "reference", folder / "spar5", folder / "few"
    varlm = [sys.executable, VARLM]
    timed(*varlm, "index_reference", "--fasta", data / "genome.fa.gz", "--reference", reference)
    options = ["--variants", cohort / "variants.parquet", "--rejected", cohort / "rejected.tsv.gz"]
    options += ["--accounting", cohort / "accounting.json", "--reference", reference]
    timed(*varlm, "normalise", "--cohort", "spar5", "--vcf", vcf, *options)
    variants = pl.read_parquet(cohort / "variants.parquet").with_row_index("row")
    some = variants.sample(min(FEW, variants.height), seed=1).sort("row").drop("row")
    few.mkdir(exist_ok=True)
    some.write_parquet(few / "variants.parquet")
    write_digest(few / "variants.parquet")
    write_few_vcf(some, vcf, few / "few.vcf")
    if (folder / "table.tsv.gz.tbi").exists():
        return
    rows = all_snvs(Genome.open(reference))
    rows.write_parquet(folder / "table.parquet", row_group_size=250_000)
    names = rows.rename({"contig": "#contig"})
    names.write_csv(folder / "table.tsv", separator="\t", float_precision=4)
    pysam.tabix_compress(str(folder / "table.tsv"), str(folder / "table.tsv.gz"), force=True)
    (folder / "table.tsv").unlink()
    layout = {"seq_col": 0, "start_col": 1, "end_col": 1}
    pysam.tabix_index(str(folder / "table.tsv.gz"), force=True, **layout)


def write_few_vcf(alleles: pl.DataFrame, vcf: Path, path: Path) -> None:
    """Write alleles as a bgzip VCF with its index, under the header of a cohort's."""
    with pysam.TabixFile(str(vcf)) as file:
        header = [line for line in file.header if line.startswith("##")]
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    rows = alleles.select("chrom", "pos", "ref", "alt").iter_rows()
    lines = [f"{c}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t." for c, pos, ref, alt in rows]
    path.write_text("\n".join([*header, columns, *lines]) + "\n")
    pysam.tabix_index(str(path), preset="vcf", force=True)


def commands(folder: Path, cohort: str, vcf: Path) -> dict[str, list[object]]:
    """What is timed: the peer, and varlm on either form of the table."""
    header = folder / "header"
    header.write_text('##INFO=<ID=S,Number=1,Type=Float,Description="score">\n')
    peer = [sys.executable, "-c", ANNOTATE, "-a", folder / "table.tsv.gz", "-h", header]
    peer += ["-c", "CHROM,POS,REF,ALT,S", "-Ob", "-o", folder / f"{cohort}.bcf", vcf]
    by_form: dict[str, list[object]] = {PEER: peer}
    for form in ("tsv.gz", "parquet"):
        columns = (ScoreColumn(name="score", source="score"),)
        table = ScoreTable(name="t", path=str(folder / f"table.{form}"), columns=columns)
        out = folder / cohort / f"{form}.parquet"
        by_form[form] = [
            *(sys.executable, VARLM, "join_scores", "--table", table.to_json()),
            *("--variants", folder / cohort / "variants.parquet"),
            *("--reference", folder / "reference"),
            *("--scores", out, "--record", out.with_suffix(".json")),
        ]
    return by_form


def check(folder: Path, cohort: str) -> None:
    """Hold every value against the table: a fast wrong answer fails."""
    key = ["contig", "pos", "ref", "alt"]
    alleles = pl.scan_parquet(folder / cohort / "variants.parquet").select(key)
    table = pl.scan_parquet(folder / "table.parquet").cast({"pos": pl.Int64})
    expected = alleles.join(table, on=key, how="left", maintain_order="left").collect()["score"]
    for form in ("tsv.gz", "parquet"):
        read = pl.read_parquet(folder / cohort / f"{form}.parquet")["t_score"]
        if expected.null_count() or not (read == expected).all():
            raise SystemExit(f"{cohort}, {form}: wrong scores")


def table_of(figures: dict[str, dict[str, Timing]], alleles: dict[str, int]) -> str:
    lines = [
        "| alleles | table | seconds | × `bcftools annotate` | processor seconds | × | wanted | "
        "peak MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for cohort, by_form in figures.items():
        peer = by_form[PEER]
        for form, (seconds, processor, memory) in by_form.items():
            unit = "×" if cohort == "spar5" else "s"
            wanted = "" if form == PEER else f"≤ {WANTED[cohort]:g} {unit}, ≤ {MOST_MB} MB"
            lines.append(
                f"| {alleles[cohort]:,} | {form} | {seconds:.2f} | {seconds / peer[0]:.2f} | "
                f"{processor:.2f} | {processor / peer[1]:.2f} | {wanted} | {memory:.0f} |"
            )
    return "\n".join(lines)


def summed_up(runs: list[Timing]) -> Timing:
    """Return the medians of the seconds and the largest memory."""
    seconds, processor, memory = zip(*runs, strict=True)
    return statistics.median(seconds), statistics.median(processor), max(memory)


def in_a_child(function: object, *arguments: object) -> None:
    """Call a function in a process of its own: a child's peak starts with its parent's."""
    child = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    child.start()
    child.join()
    if child.exitcode:
        raise SystemExit(f"failed: {function}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    folder = (args.folder or Path(tempfile.mkdtemp())).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    data = args.data.resolve() / "yeast"
    vcfs = {"spar5": data / "cohorts/spar5.outgroup.snv.vcf.gz", "few": folder / "few/few.vcf.gz"}
    in_a_child(prepare, folder, data, vcfs["spar5"])
    figures: dict[str, dict[str, Timing]] = {}
    alleles = {}
    for cohort, vcf in vcfs.items():
        runs: dict[str, list[Timing]] = {}
        for _ in range(args.repeats):
            for form, command in commands(folder, cohort, vcf).items():
                runs.setdefault(form, []).append(timed(*command))
                print(cohort, form, *(round(number, 2) for number in runs[form][-1]), flush=True)
        in_a_child(check, folder, cohort)
        record = json.loads((folder / cohort / "tsv.gz.json").read_text())
        alleles[cohort] = record["alleles"]
        figures[cohort] = {form: summed_up(timings) for form, timings in runs.items()}
    text = "\n".join(
        [
            "# Published score tables",
            "",
            f"{datetime.date.today()}, {platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
            f"Python {platform.python_version()}; medians of {args.repeats} alternating runs, "
            "whole processes; made by `benchmarks/score_tables.py`. The table has every SNV of the "
            "yeast genome; `bcftools annotate` carries its score over from the text. Load of the "
            f"machine: {os.getloadavg()[2]:.1f} processes in the last quarter of an hour.",
            "",
            table_of(figures, alleles),
            "",
        ]
    )
    print(text)
    if args.out:
        args.out.write_text(text)
    if args.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
