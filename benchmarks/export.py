"""The export step against bcftools writing the same VCF, in one run on one machine.

    python benchmarks/export.py [--rounds 2] [--wide 20000] [--narrow 500000]

Two made cohorts: few records with 2,500 samples, and many without samples; every allele scored by
one model (six INFO fields). `export` is timed as its own process with all that it does: the TSV,
the VCF, both indexes, and reading both again. The peers are `bcftools view -Oz` (copies, adds
nothing) and `bcftools annotate -Oz` from an indexed table of the same six fields; each followed by
`bcftools index -t`. Best of the rounds; processor seconds beside wall seconds, since export
compresses on two threads and bcftools on one (at zlib levels 4 and 6; sizes are
given). Results go to `benchmarks/results/export.json`.
"""

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pysam

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow_scripts"))

from varlm.files.whole import write_digest
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.results.tags import score_tags
from varlm.tables.parquet import write_table
from varlm.tables.schemas import annotated
from varlm.tables.score_kinds import SCORE_KINDS
from varlm.variants.cohort import CohortVcf, NormaliseOptions, normalise
from varlm.variants.rejected import write_rejected

TAGS = score_tags(SCORE_KINDS["masked"])

SAMPLES = 2500
LENGTH = 5_000_000  # bp of the made contig
BCFTOOLS = (
    "import sys, pysam.bcftools\n"
    "getattr(pysam.bcftools, sys.argv[1])(*sys.argv[2:], catch_stdout=False)\n"
)


def bcftools(*arguments: object) -> list[str]:
    return [sys.executable, "-c", BCFTOOLS, *map(str, arguments)]


def make_vcf(path: Path, text: str, records: int, samples: int) -> None:
    """Write SNVs at random positions, ten records' genotypes shared by turns."""
    rng = np.random.default_rng(records)
    positions = np.sort(rng.choice(LENGTH, records, replace=False)) + 1
    kinds = np.array(["0|0", "0|1", "1|0", "1|1"])
    tails = [
        "\tGT\t" + "\t".join(rng.choice(kinds, samples, p=[0.85, 0.06, 0.06, 0.03]))
        if samples
        else ""
        for _ in range(10)
    ]
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
    columns += ["FORMAT", *(f"S{i}" for i in range(samples))] if samples else []
    with pysam.BGZFile(str(path), "wb") as out:
        out.write(
            f"##fileformat=VCFv4.2\n##contig=<ID=chr1,length={LENGTH}>\n"
            '##FILTER=<ID=PASS,Description="All filters passed">\n'
            '##INFO=<ID=AC,Number=A,Type=Integer,Description="c">\n'
            '##INFO=<ID=AF,Number=A,Type=Float,Description="f">\n'
            '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n'.encode()
        )
        out.write(("\t".join(columns) + "\n").encode())
        for index, pos in enumerate(positions.tolist()):
            ref = text[pos - 1]
            alt = "ACGT"[("ACGT".index(ref) + 1 + index % 3) % 4]
            info = f"AC={index % 997};AF=0.{index % 9973:04d}"
            line = f"chr1\t{pos}\trs{index}\t{ref}\t{alt}\t.\tPASS\t{info}{tails[index % 10]}\n"
            out.write(line.encode())


def score(folder: Path, vcf: Path) -> int:
    """Normalise, and give every allele random scores; return the number of alleles."""
    genome = Genome.open(folder / "reference")
    result = normalise("made", [CohortVcf(vcf)], genome, NormaliseOptions())
    result.accounting.write(folder / "accounting.json")
    write_rejected(result.rejected, folder / "rejected.tsv.gz")
    table = annotated(["m"])
    rng = np.random.default_rng(1)
    rows = result.variants.with_columns(
        (
            pl.Series(name, rng.normal(size=result.variants.height), dtype=pl.Float32)
            if name.startswith("m_")
            else pl.lit(None, dtype=kind).alias(name)
        )
        for name, kind in table.schema.items()
        if name not in result.variants.columns
    ).select(table.names)
    write_table(rows, folder / "annotated.parquet", table)
    for name in ("accounting.json", "rejected.tsv.gz", "annotated.parquet"):
        write_digest(folder / name)
    columns = [f"m_{column}" for column, _ in TAGS.values()]
    text = rows.select(
        "chrom", "pos", "ref", "alt", *(pl.col(c).round_sig_figs(6) for c in columns)
    )
    (folder / "scores.tsv").write_text(
        text.write_csv(separator="\t", include_header=False, null_value=".")
    )
    pysam.tabix_compress(str(folder / "scores.tsv"), str(folder / "scores.tsv.gz"), force=True)
    pysam.tabix_index(str(folder / "scores.tsv.gz"), seq_col=0, start_col=1, end_col=1, force=True)
    (folder / "tags.hdr").write_text(
        "".join(f'##INFO=<ID={tag}_m,Number=A,Type=Float,Description="made">\n' for tag in TAGS)
    )
    return rows.height


def timed(*commands: list[str]) -> tuple[float, float, float]:
    """Run commands one after the other; return wall seconds, processor seconds, peak MB."""
    wall, cpu, peak = 0.0, 0.0, 0.0
    for command in commands:
        start = time.perf_counter()
        child = subprocess.Popen(command)
        # Not ru_maxrss, which starts from what this process had when it forked.
        status = Path(f"/proc/{child.pid}/status")
        while (ended := os.wait4(child.pid, os.WNOHANG))[0] == 0:
            found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
            peak = max(peak, int(found[1]) / 1024 if found else 0.0)
            time.sleep(0.02)
        wall += time.perf_counter() - start
        _, code, usage = ended
        cpu += usage.ru_utime + usage.ru_stime
        if code:
            raise SystemExit(f"failed: {command}")
    return wall, cpu, peak


def contestants(folder: Path, vcf: Path) -> dict[str, Callable[[], tuple[float, float, float]]]:
    columns = "CHROM,POS,REF,ALT," + ",".join(f"INFO/{tag}_m" for tag in TAGS)
    out = folder / "peer.vcf.gz"
    index = bcftools("index", "-f", "-t", out)
    table = ["-a", folder / "scores.tsv.gz", "-h", folder / "tags.hdr", "-c", columns]
    ours = [sys.executable, str(ROOT / "workflow_scripts"), "export", "--model", "m"]
    for flag, name in (
        ("--annotated", "annotated.parquet"),
        ("--rejected", "rejected.tsv.gz"),
        ("--accounting", "accounting.json"),
        ("--reference", "reference"),
        ("--tsv", "out.tsv.gz"),
        ("--out-vcf", "out.vcf.gz"),
    ):
        ours += [flag, str(folder / name)]
    ours += ["--vcf", str(vcf)]
    return {
        "varlm export": lambda: timed(ours),
        "bcftools view": lambda: timed(bcftools("view", "-Oz", "-o", out, vcf), index),
        "bcftools annotate": lambda: timed(
            bcftools("annotate", *table, "-Oz", "-o", out, vcf), index
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--wide", type=int, default=20_000, help="records with 2,500 samples")
    parser.add_argument("--narrow", type=int, default=500_000, help="records without samples")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/export.json")
    args = parser.parse_args()
    results: dict[str, object] = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.date.today().isoformat(),
        "rounds": args.rounds,
    }
    text = "".join(np.random.default_rng(0).choice(list("ACGT"), LENGTH))
    for title, records, samples in (
        (f"{args.wide} records, {SAMPLES} samples", args.wide, SAMPLES),
        (f"{args.narrow} records, sites only", args.narrow, 0),
    ):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "genome.fa").write_text(f">chr1\n{text}\n")
            index_reference(folder / "genome.fa", folder / "reference")
            make_vcf(folder / "in.vcf.gz", text, records, samples)
            score(folder, folder / "in.vcf.gz")
            best: dict[str, tuple[float, float, float]] = {}
            for _ in range(args.rounds):
                for name, run in contestants(folder, folder / "in.vcf.gz").items():
                    best[name] = min(best.get(name, (1e9, 0.0, 0.0)), run())
            sizes = [(folder / name).stat().st_size for name in ("out.vcf.gz", "peer.vcf.gz")]
        figures: dict[str, object] = {}
        for name, (wall, cpu, peak) in best.items():
            ratio = best["varlm export"][0] / wall
            print(
                f"{title:30} {name:18} {wall:7.2f} s wall {cpu:7.2f} s processor "
                f"{peak:6.0f} MB; varlm takes {ratio:.2f} × that",
                flush=True,
            )
            figures[name] = {
                "wall_s": round(wall, 2),
                "processor_s": round(cpu, 2),
                "peak_mb": round(peak),
                "varlm_takes_times": round(ratio, 2),
            }
        figures["bytes of the VCF: varlm, bcftools annotate"] = sizes
        results[title] = figures
    args.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
