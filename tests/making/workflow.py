"""What the workflow tests share: a genome, cohorts, a user's folder, and a run of Snakemake."""

import csv
import gzip
import os
import random
import subprocess
import sys
from pathlib import Path

import yaml

WINDOW = 64
SCORES = ("llr", "llr_fwd", "llr_rev", "entropy", "p_ref", "p_alt", "percentile")


def made_genome():
    """Two contigs, one a part of the other, with N and lower case."""
    rng = random.Random(5)
    one = "".join(rng.choices("ACGT", k=3000))
    return {"chr1": one[:500] + "N" * 20 + one[520:900].lower() + one[900:], "chrM": one[:400]}


def write_fasta(path, genome):
    text = "".join(f">{name} x\n{seq}\n" for name, seq in genome.items())
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def vcf_text(genome, contig, name, seed, count, samples=("s1", "s2")):
    """A VCF of random alleles on `contig`, which it calls `name`."""
    rng = random.Random(seed)
    sequence = genome[contig].upper()
    lines = [
        "##fileformat=VCFv4.2",
        f"##contig=<ID={name}>",
        '##INFO=<ID=X,Number=1,Type=String,Description="x">',
    ]
    lines.append(
        "\t".join(
            ["#CHROM", *["POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"], *samples]
        )
    )
    for pos in sorted(rng.sample(range(1, len(sequence) - 5), count)):
        ref = sequence[pos - 1]
        if ref == "N":
            continue
        others = [b for b in "ACGT" if b != ref]
        alt = rng.choice([*others, ",".join(others), ref + rng.choice("ACGT"), "<DEL>", "*"])
        fields = [name, str(pos), f"v{pos}", ref, alt, ".", "PASS", "X=1", "GT", "0/1", "1|1"]
        lines.append("\t".join(fields))
    return "\n".join(lines) + "\n"


def write_config(folder, name="mine.yaml", **changes):
    """Write a config for the demo's model, float32 (runs repeat bit for bit), with `changes`."""
    root = Path(__file__).resolve().parents[2]
    config = {
        "reference": {"fasta": "genome.fa.gz"},
        "cohorts": "cohorts.tsv",
        "models": {"tiny": {"path": str(root / "resources/demo/model")}},
        "scoring": {"window": WINDOW, "precision": "float32", "background_sites": 40},
        "normalise": {"max_allele_length": 10},
        "shards": {"sites_per_shard": 50},
    }
    (folder / name).write_text(yaml.safe_dump({**config, **changes}))


def write_sheet(folder, cohorts):
    """Write cohorts.tsv: cohort → its files."""
    lines = [f"{name}\t{file}\n" for name, files in cohorts.items() for file in files]
    (folder / "cohorts.tsv").write_text("cohort\tvcf\n" + "".join(lines))


def snakemake_command(folder, *arguments, config="mine.yaml", reports=False):
    """Return the command; without `reports`, which take longer than all the rest of a small run."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "snakemake", "--snakefile", root / "Snakefile"]
    command += ["--directory", folder, "--configfile", folder / config, "--cores", "2"]
    # A second thread is no gain for such small models, and a loss on a busy machine.
    command += ["--set-threads", "score=1", "score_pictures=1", "measure_dense=1"]
    command += ["--workflow-profile", root / "profiles/default", *arguments]
    if not reports and "--" not in arguments:
        command += ["--", "tables"]
    return list(map(str, command))


# Without the environment's python first on PATH.
BARE_ENVIRONMENT = {**os.environ, "PATH": "/usr/bin:/bin"}


def snakemake(folder, *arguments, config="mine.yaml", check=True, reports=False):
    """Run the workflow from another directory; return what it printed."""
    result = subprocess.run(
        snakemake_command(folder, *arguments, config=config, reports=reports),
        cwd="/",
        env=BARE_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    output = result.stdout + result.stderr
    if check:
        assert result.returncode == 0, output
    else:
        assert result.returncode != 0, output
    return output


def summary(results):
    """Cohort → its row of summary.tsv (of the only model)."""
    with (results / "summary.tsv").open() as file:
        return {row["cohort"]: row for row in csv.DictReader(file, delimiter="\t")}


GENE = "\n".join(
    (
        "##gff-version 3",
        "1\tx\tgene\t101\t700\t.\t+\t.\tID=gene:G1;Name=abc1;biotype=protein_coding",
        "1\tx\tmRNA\t101\t700\t.\t+\t.\tID=transcript:T1;Parent=gene:G1;biotype=protein_coding",
        "1\tx\texon\t101\t700\t.\t+\t.\tParent=transcript:T1",
        "1\tx\tCDS\t131\t490\t.\t+\t0\tParent=transcript:T1",
    )
)
