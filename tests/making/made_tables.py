"""Made tables of published scores of every SNV of a genome: TSV, VCF, and Parquet by contig."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl
import pysam

Snv = tuple[str, int, str, str]


def snvs(genome: Mapping[str, str]) -> Iterator[Snv]:
    """Yield every SNV: contig, position from 1, REF, ALT."""
    for contig, sequence in genome.items():
        for pos, ref in enumerate(sequence.upper(), 1):
            yield from ((contig, pos, ref, alt) for alt in "ACGT" if ref in "ACGT" and alt != ref)


def made_scores(genome: Mapping[str, str], seed: int = 1) -> dict[Snv, float]:
    """Return a score of each SNV, of three decimals."""
    rng = random.Random(seed)
    return {snv: round(rng.uniform(-9, 40), 3) for snv in snvs(genome)}


def write_tsv(path: Path, scores: Mapping[Snv, float], prefix: str = "") -> None:
    """Write a bgzipped TSV as CADD's, with its index; `prefix` is before each contig's name."""
    lines = ["## CADD made up", "#Chrom\tPos\tRef\tAlt\tRawScore\tPHRED"]
    for (contig, pos, ref, alt), score in scores.items():
        name = prefix + contig.removeprefix("chr")
        lines.append(f"{name}\t{pos}\t{ref}\t{alt}\t{score / 10:.4f}\t{score}")
    plain = path.with_suffix("")
    plain.write_text("\n".join(lines) + "\n")
    pysam.tabix_compress(str(plain), str(path), force=True)
    pysam.tabix_index(str(path), force=True, seq_col=0, start_col=1, end_col=1, meta_char="#")
    plain.unlink()


def write_vcf(path: Path, scores: Mapping[Snv, float]) -> None:
    """Write a bgzipped VCF as ClinVar's, with its index: one record of each, two INFO fields."""
    contigs = dict.fromkeys(contig for contig, *_ in scores)
    lines = [
        "##fileformat=VCFv4.2",
        *(f"##contig=<ID={contig}>" for contig in contigs),
        '##INFO=<ID=CLNSIG,Number=.,Type=String,Description="significance">',
        '##INFO=<ID=STARS,Number=1,Type=Integer,Description="stars">',
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    ]
    for (contig, pos, ref, alt), score in scores.items():
        significance = "Pathogenic" if score > 15 else "Benign"
        info = f"CLNSIG={significance};STARS={int(abs(score)) % 5}"
        lines.append(f"{contig}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t{info}")
    plain = path.with_suffix("")
    plain.write_text("\n".join(lines) + "\n")
    pysam.tabix_compress(str(plain), str(path), force=True)
    pysam.tabix_index(str(path), force=True, preset="vcf")
    plain.unlink()


def write_parquets(pattern: str, scores: Mapping[Snv, float]) -> None:
    """Write a Parquet file a contig as GPN-Star's; `pattern` has `{contig}`."""
    for contig in dict.fromkeys(contig for contig, *_ in scores):
        rows = [
            {"pos": pos, "ref": ref, "alt": alt, "llr": -score}
            for (name, pos, ref, alt), score in scores.items()
            if name == contig
        ]
        pl.DataFrame(rows).write_parquet(pattern.replace("{contig}", contig))
