"""The layout of the shared real data, in miniature: what the benchmarks take with --data."""

import gzip
import random
from pathlib import Path

import pybigtools
import pysam

LENGTH = 6_000
GENES = range(500, LENGTH - 700, 900)  # starts of genes, 0-based, 300 bp each
COHORTS = {
    "yeast": ("by_rm.gatk", "scer7", "sgrp.ensembl109.sites", "spar5.outgroup.snv"),
    "human/chr21_grch38": ("dbsnp149",),
    "human/chr22_nfcore_grch38": ("1000GP.chr22.local",),
}


def make_small_data(folder: Path) -> Path:
    """Write genomes, cohorts, and the yeast's annotation and tracks; return the folder."""
    for seed, (place, names) in enumerate(COHORTS.items()):
        rng = random.Random(seed)
        sequence = "".join(rng.choices("ACGT", k=LENGTH))
        there = folder / place
        cohorts = there / "cohorts" if place == "yeast" else there
        cohorts.mkdir(parents=True)
        (there / "genome.fa.gz").write_bytes(gzip.compress(f">chrI\n{sequence}\n".encode()))
        for name in names:
            write_cohort(cohorts / f"{name}.vcf.gz", sequence, rng)
    annotate(folder / "yeast")
    return folder


def write_cohort(path: Path, sequence: str, rng: random.Random) -> None:
    """Write 60 SNVs, compressed as bgzip does and indexed."""
    lines = ["##fileformat=VCFv4.2", f"##contig=<ID=chrI,length={LENGTH}>"]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    for pos in sorted(rng.sample(range(1, LENGTH), 60)):
        ref = sequence[pos - 1]
        alt = rng.choice([base for base in "ACGT" if base != ref])
        lines.append(f"chrI\t{pos}\t.\t{ref}\t{alt}\t.\tPASS\t.")
    with pysam.BGZFile(str(path), "w") as file:
        file.write(("\n".join(lines) + "\n").encode())
    pysam.tabix_index(str(path), preset="vcf", force=True)


def annotate(yeast: Path) -> None:
    """Write the annotation and the tracks that benchmarks/annotate.py takes."""
    rows = ["##gff-version 3"]
    for number, start in enumerate(GENES):
        place = f"chrI\tx\t%s\t{start + 1}\t{start + 300}\t.\t+\t%s\t%s"
        coding = "biotype=protein_coding"
        rows += [
            place % ("gene", ".", f"ID=gene:g{number};{coding}"),
            place % ("mRNA", ".", f"ID=transcript:t{number};Parent=gene:g{number};{coding}"),
            place % ("exon", ".", f"Parent=transcript:t{number}"),
            place % ("CDS", "0", f"ID=CDS:p{number};Parent=transcript:t{number}"),
        ]
    (yeast / "annotation.gff3.gz").write_bytes(gzip.compress(("\n".join(rows) + "\n").encode()))
    tracks = yeast / "tracks"
    tracks.mkdir()
    for name in ("nucleosomes", "mask_rossi"):
        text = "".join(f"chrI\t{start}\t{start + 150}\n" for start in range(0, LENGTH - 150, 400))
        (tracks / f"{name}.bed.gz").write_bytes(gzip.compress(text.encode()))
    values = (("chrI", start, start + 10, 0.5) for start in range(0, LENGTH, 10))
    pybigtools.open(str(tracks / "spar_identity.bw"), "w").write({"chrI": LENGTH}, values)
