"""config/yeast_genome.yaml as a user runs it, on one contig: table, tracks and report."""

import json
import subprocess
import sys

import polars as pl
import pytest
import yaml

CONTIG = "Mito"  # 86 kb, circular in the annotation or not: the smallest


@pytest.mark.slow
@pytest.mark.real_data
def test_every_snv_of_a_contig_in_one_command(root, shared_data, tmp_path):
    config = yaml.safe_load((root / "config/yeast_genome.yaml").read_text())
    yeast = shared_data / "yeast"
    config["reference"] |= {
        "fasta": str(yeast / "genome.fa.gz"),
        "annotation": str(yeast / "annotation.gff3.gz"),
    }
    config["regions"] = {"contigs": [CONTIG]}
    config["evaluate"]["contigs"] = [CONTIG]
    config["scoring"] = {"background_sites": 60, "dense": {"sites": 60}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--snakefile", root / "Snakefile", "--cores", "2"]
    command += ["--directory", tmp_path, "--configfile", tmp_path / "mine.yaml"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = tmp_path / config["results"]
    table = pl.read_parquet(results / "cohorts/regions/annotated.parquet")
    assert table.height == 3 * 85_779
    for name in ("llr", "entropy", "percentile"):
        assert table[f"saccharomyces_{name}"].null_count() == 0
    assert table["consequence"].null_count() == 0
    scale = json.loads((results / "dense/saccharomyces.json").read_text())
    assert scale["origin"] == "checkpoint"
    assert scale["constant"] == pytest.approx(1.6094, abs=1e-3)  # ln 5
    assert scale["overall"]["spearman"] > 0.9
    assert {path.name for path in (results / "tracks/saccharomyces").glob("*.bw")} >= {
        "worst_llr.bw",
        "entropy.bw",
    }
    assert "Dense scores" in (results / "cohorts/regions/report.html").read_text()
    assert (results / "index.html").is_file()
