"""Time `normalise` against bcftools and cyvcf2, each in a process of its own, in one run.

    python benchmarks/normalise.py --data DATA [--out benchmarks/results/normalise.md]

1. The large real cohort (spar5, 1.46 M SNVs) against `bcftools norm -m- -f` followed by
   `bcftools sort`: the ratio of the times, and peak memory.
2. A made VCF of 100,000 records with 2,500 samples (1 GB of text) against iterating over it once
   with cyvcf2 at its default settings.

Times are the best of `--repeats` alternating runs, start of the interpreter included; memory is
the highest. The accepted alleles are counted against bcftools's, so that a fast wrong answer fails.
"""

import argparse
import datetime
import os
import platform
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

NORM_AND_SORT = """
import sys, pysam.bcftools as b
fasta, vcf, split, out = sys.argv[1:]
b.norm("-m-", "-f", fasta, "-Ob", "-o", split, vcf, catch_stdout=False)
b.sort("-Ob", "-o", out, split, catch_stdout=False)
"""
ITERATE = "import sys, cyvcf2\nprint(sum(1 for _ in cyvcf2.VCF(sys.argv[1])))"


def timed(*command: object) -> tuple[float, float]:
    """Return wall-clock seconds and peak resident memory in MB of a process."""
    start = time.perf_counter()
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"failed ({process.returncode}): {command}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def normalise_command(vcf: Path, reference: Path, out: Path) -> list[object]:
    return [
        *(sys.executable, VARLM, "normalise", "--cohort", "benchmark", "--vcf", vcf),
        *("--reference", reference, "--variants", out / "variants.parquet"),
        *("--rejected", out / "rejected.tsv.gz", "--accounting", out / "accounting.json"),
    ]


def compare(name: str, ours: list[object], peer: list[object], repeats: int) -> dict[str, float]:
    runs = [(timed(*ours), timed(*peer)) for _ in range(repeats)]
    (ours_s, ours_mb), (peer_s, peer_mb) = (
        (min(run[side][0] for run in runs), max(run[side][1] for run in runs)) for side in (0, 1)
    )
    result = {
        "varlm s": ours_s,
        "peer s": peer_s,
        "ratio": ours_s / peer_s,
        "varlm MB": ours_mb,
        "peer MB": peer_mb,
    }
    print(name, {key: round(value, 2) for key, value in result.items()}, flush=True)
    return result


def make_wide(folder: Path, records: int, samples: int) -> tuple[Path, Path]:
    """Write a random genome and a VCF of SNVs on it with `samples` phased genotypes each."""
    random = np.random.default_rng(1)
    bases = np.frombuffer(b"ACGT", np.uint8)
    codes = random.integers(0, 4, 12_000_000)
    fasta, vcf = folder / "wide.fa", folder / "wide.vcf.gz"
    fasta.write_bytes(b">1\n" + bases[codes].tobytes() + b"\n")
    genotypes = np.array([b"\t0|0", b"\t0|1", b"\t1|0", b"\t1|1"], dtype="S4")
    with pysam.BGZFile(str(vcf), "w") as out:
        out.write(
            b"##fileformat=VCFv4.2\n##contig=<ID=1,length=12000000>\n"
            b'##INFO=<ID=AF,Number=A,Type=Float,Description="frequency">\n'
            b'##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">\n'
            b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
            + b"".join(b"\tS%d" % i for i in range(samples))
            + b"\n"
        )
        for i, start in enumerate(np.sort(random.choice(12_000_000, records, replace=False))):
            alt = (codes[start] + random.integers(1, 4)) % 4
            frequency = random.beta(0.2, 2)
            calls = (random.random((2, samples)) < frequency).astype(np.int8)
            line = b"1\t%d\trs%d\t%c\t%c\t100\tPASS\tAF=%.5f\tGT" % (
                *(start + 1, i, bases[codes[start]], bases[alt], frequency),
            )
            out.write(line + genotypes[2 * calls[0] + calls[1]].tobytes() + b"\n")
    return fasta, vcf


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the shared real data")
    parser.add_argument("--out", type=Path, help="Markdown table to write")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--samples", type=int, default=2_500)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference = folder / "yeast"
        index = [sys.executable, VARLM, "index_reference", "--fasta"]
        timed(*index, args.data / "yeast/genome.fa.gz", "--reference", reference)
        vcf = args.data / "yeast/cohorts/spar5.outgroup.snv.vcf.gz"
        out = folder / "sorted.bcf"
        peer = [sys.executable, "-c", NORM_AND_SORT, reference / "genome.fa", vcf]
        spar5 = compare(
            "spar5",
            normalise_command(vcf, reference, folder / "out"),
            [*peer, folder / "split.bcf", out],
            args.repeats,
        )
        accepted = pl.scan_parquet(folder / "out/variants.parquet").select(pl.len()).collect()
        with pysam.VariantFile(str(out)) as rows:
            assert accepted.item() == sum(1 for _ in rows)

        fasta, wide_vcf = make_wide(folder, args.records, args.samples)
        timed(*index, fasta, "--reference", folder / "wide")
        wide = compare(
            "wide",
            normalise_command(wide_vcf, folder / "wide", folder / "out"),
            [sys.executable, "-c", ITERATE, wide_vcf],
            args.repeats,
        )
        accepted = pl.scan_parquet(folder / "out/variants.parquet").select(pl.len()).collect()
        assert accepted.item() == args.records
        size = wide_vcf.stat().st_size / 2**20
    if args.out is None:
        return
    args.out.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        ("spar5, 1,458,290 SNVs", "bcftools norm -m- -f, then sort", "≤ 2", spar5),
        (f"{args.records:,} × {args.samples:,} samples", "iterating with cyvcf2", "≤ 1.2", wide),
    ]
    lines = [
        "# normalise",
        "",
        f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}; best of {args.repeats} alternating runs, whole processes; "
        f"made by `benchmarks/normalise.py`. The made VCF has {size:.0f} MB.",
        "",
        "| input | peer | varlm s | peer s | ratio | wanted | varlm peak MB | peer peak MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for what, peer_name, wanted, r in rows:
        lines.append(
            f"| {what} | {peer_name} | {r['varlm s']:.2f} | {r['peer s']:.2f} | {r['ratio']:.2f} "
            f"| {wanted} | {r['varlm MB']:.0f} | {r['peer MB']:.0f} |"
        )
    args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
