"""Annotation and export of a large cohort against `bcftools csq -l` alone on the same file.

    python benchmarks/annotate.py --data DATA --out benchmarks/results/annotate.json \
        [--folder SCRATCH] [--rounds 3]

The cohort is yeast spar5 (1.46 M SNVs, 5 strains) with the GFF3 that csq gets too, two BED files
and a bigWig. varlm's time is that of its steps `index_annotation`, `call_consequences`, `annotate`
and `export`, one after the other, each a process of its own; the scores are random numbers, put
into a store beforehand. Memory is the largest of a process and its children.
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

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow_scripts"))

from varlm.genome.reference import Genome
from varlm.models.prepared import SCORING_VERSION, PreparedModel
from varlm.store import Store
from varlm.tables.parquet import write_table
from varlm.tables.schemas import BACKGROUND, LOGIT_COLUMNS

CSQ = "import sys, pysam.bcftools as b; b.csq(*sys.argv[1:], catch_stdout=False)"
MODEL = PreparedModel(
    name="random",
    path="none",
    revision=None,
    folder=Path("none"),
    model_type="GPN",
    files={},
    window=512,
    strands="both",
    precision="float32",
    scoring_version=SCORING_VERSION,
    key="0" * 32,
)


def timed(command: list) -> tuple[float, int]:
    """Run a command; return seconds and peak memory in MB of it and its children."""
    started = time.monotonic()
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(errors.decode())
    return time.monotonic() - started, usage.ru_maxrss // 1000


def step(name: str, *options: object) -> list:
    return [sys.executable, ROOT / "workflow_scripts", name, *options]


def prepare(folder: Path, data: Path, vcf: Path) -> None:
    """Everything that comes before annotation: reference, alleles, random scores."""
    reference, cohort = folder / "reference", folder / "cohort"
    timed(step("index_reference", "--fasta", data / "genome.fa.gz", "--reference", reference))
    options = ["--cohort", "spar5", "--vcf", vcf, "--reference", reference]
    options += ["--variants", cohort / "variants.parquet"]
    options += ["--rejected", cohort / "rejected.tsv.gz"]
    options += ["--accounting", cohort / "accounting.json"]
    timed(step("normalise", *options))
    MODEL.write(folder / "model.json")
    genome, store = Genome.open(reference), Store(folder / "store")
    rng = np.random.default_rng(0)
    sites = pl.read_parquet(cohort / "variants.parquet").select("contig", "pos").unique()

    def pieces():
        for (contig,), rows in sites.sort("contig", "pos").group_by("contig", maintain_order=True):
            logits = rng.normal(size=(rows.height, 8)).astype("f4")
            columns = [pl.Series(n, logits[:, i]) for i, n in enumerate(LOGIT_COLUMNS)]
            yield genome[str(contig)].digest, rows.select("pos").with_columns(columns)

    store.commit(MODEL.key, MODEL.to_json(), pieces())
    background = {"contig": "SQ", "pos": 1, "ref": "A", "alt": "C", "llr": rng.normal(size=30_000)}
    write_table(
        pl.DataFrame(background).cast(BACKGROUND.schema), folder / "background.parquet", BACKGROUND
    )


def varlm_steps(folder: Path, data: Path, vcf: Path) -> dict[str, list]:
    reference, cohort, annotation = (folder / n for n in ("reference", "cohort", "annotation"))
    tracks = data / "tracks"
    return {
        "index_annotation": step(
            *("index_annotation", "--annotation", data / "annotation.gff3.gz"),
            *("--reference", reference, "--out", annotation),
        ),
        "call_consequences": step(
            *("call_consequences", "--variants", cohort / "variants.parquet"),
            *("--reference", reference, "--annotation", annotation),
            *("--upstream", 500, "--downstream", 500),
            *("--consequences", cohort / "consequences.parquet"),
        ),
        "annotate": step(
            *("annotate", "--variants", cohort / "variants.parquet", "--reference", reference),
            *("--store", folder / "store", "--model", folder / "model.json"),
            *("--background", folder / "background.parquet"),
            *("--consequences", cohort / "consequences.parquet"),
            *("--interval", f"nucleosome={tracks / 'nucleosomes.bed.gz'}"),
            *("--interval", f"mask={tracks / 'mask_rossi.bed.gz'}"),
            *("--bigwig", f"conservation={tracks / 'spar_identity.bw'}"),
            *("--annotated", cohort / "annotated.parquet"),
        ),
        "export": step(
            *("export", "--annotated", cohort / "annotated.parquet", "--model", "random"),
            *("--rejected", cohort / "rejected.tsv.gz"),
            *("--accounting", cohort / "accounting.json"),
            *("--reference", reference, "--vcf", vcf),
            *("--tsv", cohort / "annotated.tsv.gz", "--out-vcf", cohort / "annotated.vcf.gz"),
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    folder = (args.folder or Path(tempfile.mkdtemp())).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    data = args.data.resolve() / "yeast"
    vcf = data / "cohorts/spar5.outgroup.snv.vcf.gz"
    # In a process of its own: a child's peak starts with its parent's.
    worker = multiprocessing.get_context("spawn").Process(target=prepare, args=(folder, data, vcf))
    worker.start()
    worker.join()
    genome = folder / "reference/genome.fa"
    csq = [sys.executable, "-c", CSQ, "-l", "-f", genome, "-g", data / "annotation.gff3.gz"]
    csq += ["-Oz", "-o", folder / "csq.vcf.gz", vcf]
    seconds: dict[str, list[float]] = {"csq": []}
    peak: dict[str, int] = {}
    for _ in range(args.rounds):
        shutil.rmtree(folder / "annotation", ignore_errors=True)
        for name, command in {"csq": csq, **varlm_steps(folder, data, vcf)}.items():
            wall, memory = timed(command)
            seconds.setdefault(name, []).append(round(wall, 2))
            peak[name] = max(peak.get(name, 0), memory)
            print(name, round(wall, 2), memory, flush=True)
    steps = [name for name in seconds if name != "csq"]
    ratios = [
        sum(seconds[name][i] for name in steps) / seconds["csq"][i] for i in range(args.rounds)
    ]
    result = {
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
        f"{datetime.date.today()}",
        "seconds": seconds,
        "peak_mb": peak,
        "ratio_to_csq": [round(ratio, 2) for ratio in ratios],
        "median_ratio": round(statistics.median(ratios), 2),
    }
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
