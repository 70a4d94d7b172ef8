"""The workflow, end to end: Snakemake runs it on inputs made here, with the demo's model."""

import base64
import csv
import gzip
import json
import os
import re

import numpy as np
import polars as pl
import pytest
import yaml

from making.workflow import (
    WINDOW,
    made_genome,
    snakemake,
    summary,
    vcf_text,
    write_config,
    write_fasta,
    write_sheet,
)

COMPLEMENT = str.maketrans("ACGT", "TGCA")


@pytest.fixture(scope="module")
def genome():
    return made_genome()


@pytest.fixture(scope="module")
def project(tmp_path_factory, genome):
    """A user's folder, away from the checkout, with a config; nothing has run in it yet."""
    folder = tmp_path_factory.mktemp("a user's project")
    write_fasta(folder / "genome.fa.gz", genome)
    (folder / "one.vcf").write_text(vcf_text(genome, "chr1", "1", 1, 60))
    (folder / "two.vcf.gz").write_bytes(
        gzip.compress(vcf_text(genome, "chrM", "MT", 2, 30).encode())
    )
    write_sheet(folder, {"a": ["one.vcf"], "b.2": ["one.vcf", "two.vcf.gz"]})
    write_config(folder)
    return folder


@pytest.fixture(scope="module")
def finished(project):
    output = snakemake(project)
    return project / "results", output


def test_counts_add_up(finished):
    results, _ = finished
    rows = summary(results)
    assert set(rows) == {"a", "b.2"}
    for cohort, row in rows.items():
        table = pl.read_parquet(results / f"cohorts/{cohort}/annotated.parquet")
        with gzip.open(results / f"cohorts/{cohort}/rejected.tsv.gz", "rt") as file:
            rejected = list(csv.DictReader(file, delimiter="\t"))
        assert int(row["accepted"]) == table.height > 20
        assert int(row["rejected"]) == len(rejected) > 3
        assert int(row["alleles_in"]) == table.height + len(rejected)
        reasons = {r["reason"] for r in rejected}
        assert {"symbolic", "spanning_deletion"} <= reasons
        sites = table.filter(pl.col("kind") == "snv").select("chrom", "pos").n_unique()
        assert int(row["sites"]) == sites
        assert int(row["sites_scored"]) + int(row["sites_from_store"]) == sites
        assert table["tiny_llr"].is_finite().all()
        assert table["tiny_llr"].null_count() == 0


def test_scores_equal_a_plain_gpn_forward(finished, genome, root):
    """The oracle: strings, the text tokeniser and the whole model, one window at a time."""
    import gpn
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    gpn.register_auto_classes("gpn")
    folder = root / "resources/demo/model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()

    def logits(window, index):
        ids = tokenizer(window[:index] + "[MASK]" + window[index + 1 :])["input_ids"]
        assert len(ids) == WINDOW
        with torch.inference_mode():
            return model(input_ids=torch.tensor([ids])).logits[0, index]

    results, _ = finished
    table = pl.read_parquet(results / "cohorts/b.2/annotated.parquet").filter(
        pl.col("kind") == "snv"
    )
    names = {"1": "chr1", "MT": "chrM"}
    checked = 0
    for row in table.sample(25, seed=1).iter_rows(named=True):
        pad = "N" * WINDOW
        sequence = pad + genome[names[row["chrom"]]].upper() + pad
        centre = row["pos"] - 1 + WINDOW
        window = sequence[centre - WINDOW // 2 : centre + WINDOW // 2]
        assert window[WINDOW // 2] == row["ref"]
        ids = dict(zip("ACGT", tokenizer("ACGT")["input_ids"], strict=True))
        forward = logits(window, WINDOW // 2)
        fwd = (forward[ids[row["alt"]]] - forward[ids[row["ref"]]]).item()
        other = logits(window.translate(COMPLEMENT)[::-1], WINDOW // 2 - 1)
        ref, alt = (row[k].translate(COMPLEMENT) for k in ("ref", "alt"))
        rev = (other[ids[alt]] - other[ids[ref]]).item()
        assert row["tiny_llr_fwd"] == pytest.approx(fwd, abs=1e-4)
        assert row["tiny_llr_rev"] == pytest.approx(rev, abs=1e-4)
        assert row["tiny_llr"] == pytest.approx((fwd + rev) / 2, abs=1e-4)
        checked += 1
    assert checked == 25


def test_the_vcf_is_the_cohorts_own_with_scores(finished, project):
    results, _ = finished
    with gzip.open(results / "cohorts/a/annotated.vcf.gz", "rt") as file:
        after = [line.rstrip("\n").split("\t") for line in file if line[0] != "#"]
    with (project / "one.vcf").open() as file:
        before = [line.rstrip("\n").split("\t") for line in file if line[0] != "#"]
    assert [r[:7] + r[8:] for r in after] == [r[:7] + r[8:] for r in before]
    assert all(r[7].startswith("X=1") for r in after)
    assert sum("LLR_tiny=" in r[7] for r in after) > 20
    assert (results / "cohorts/a/annotated.vcf.gz.tbi").exists()


def test_terminal_shows_progress_and_no_noise(finished):
    _, output = finished
    assert "steps (100%) done" in output
    for noise in ("Warning", "Traceback", "dilation_schedule", "FutureWarning", "E::"):
        assert noise not in output


def test_one_log_a_job(finished):
    results, _ = finished
    shards = sorted((results / "logs/score/tiny").glob("*.log"))
    assert len(shards) > 1
    text = shards[0].read_text()
    assert "sites" in text
    assert "Traceback" not in text


def test_a_second_run_has_nothing_to_do(finished, project):
    assert "Nothing to be done" in snakemake(project)


@pytest.mark.parametrize("cohort", ["a", "b.2"])
@pytest.mark.parametrize("name", ["annotated.vcf.gz", "annotated.tsv.gz"])
def test_no_index_is_older_than_its_file(finished, cohort, name):
    """htslib warns on every access; Snakemake gives what it knows a new time (its issue 1378)."""
    results, _ = finished
    file = results / f"cohorts/{cohort}/{name}"
    index = file.with_name(file.name + ".tbi")
    assert index.stat().st_mtime_ns >= file.stat().st_mtime_ns
    genome, fai = results / "reference/genome.fa", results / "reference/genome.fa.fai"
    assert fai.stat().st_mtime_ns >= genome.stat().st_mtime_ns


@pytest.mark.parametrize("name", ["annotated.vcf.gz.tbi", "annotated.tsv.gz.tbi"])
def test_a_lost_index_is_made_again_and_nothing_above_it(finished, project, name):
    results, _ = finished
    index = results / "cohorts/a" / name
    before = index.read_bytes()
    index.unlink()
    output = snakemake(project)
    assert index.read_bytes() == before
    assert set(re.findall(r"rule (\w+):", output)) == {"export", "tables"}
    assert "Nothing to be done" in snakemake(project)


def test_results_of_before_the_indexes_were_outputs_are_up_to_date(finished, project):
    """Snakemake's records then did not speak of them, and they were older than their files."""
    results, _ = finished
    for index in results.glob("cohorts/*/annotated.*.tbi"):
        name = base64.b64encode(f"results/cohorts/{index.parent.name}/{index.name}".encode())
        record = project / ".snakemake/metadata" / name.decode()
        record.unlink()
        older = index.with_suffix("").stat().st_mtime_ns - 50_000_000
        os.utime(index, ns=(older, older))
    assert "Nothing to be done" in snakemake(project)


def test_a_long_contig_gets_another_index(finished, project):
    """Known before the run, here from the index that lies beside the FASTA."""
    genome = project / "genome.fa.gz"
    fai = project / "genome.fa.gz.fai"
    longer = project / "longer.fa"
    write_fasta(longer, {"chr1": "ACGT" * 100})
    with longer.open("r+b") as file:  # sparse: as large as such a genome, and never read
        file.truncate((1 << 29) + 100)
    fai.write_text("chr1\t3000\t9\t60\t61\n")
    longer.with_name("longer.fa.fai").write_text(f"chr1\t{1 << 29}\t9\t60\t61\n")
    for fasta, kind in ((genome, "tbi"), (longer, "csi")):
        write_config(
            project, "long.yaml", reference={"fasta": fasta.name}, results="none", regions=None
        )
        output = snakemake(project, "-n", config="long.yaml")
        assert "annotated.vcf.gz" in output
        assert set(re.findall(r"annotated\.vcf\.gz\.(\w+)", output)) == {kind}
    fai.unlink()


def test_fault_65_new_results_with_the_same_store_score_nothing_and_are_the_same_bytes(
    finished, project
):
    config = yaml.safe_load((project / "mine.yaml").read_text())
    (project / "again.yaml").write_text(yaml.safe_dump({**config, "results": "again"}))
    output = snakemake(project, config="again.yaml")
    assert "rule score:" not in output
    row = summary(project / "again")["b.2"]
    assert row["sites_scored"] == "0"
    for cohort in ("a", "b.2"):
        for name in ("annotated.parquet", "annotated.tsv.gz", "annotated.vcf.gz"):
            one, two = (
                (project / folder / f"cohorts/{cohort}/{name}").read_bytes()
                for folder in ("results", "again")
            )
            assert one == two, f"{cohort}/{name}"


def test_fault_60_shard_size_does_not_change_scores(finished, project):
    config = yaml.safe_load((project / "mine.yaml").read_text())
    config.update(results="whole", store="whole store", shards={"sites_per_shard": 100000})
    (project / "whole.yaml").write_text(yaml.safe_dump(config))
    snakemake(project, config="whole.yaml")
    a, b = (
        pl.read_parquet(project / folder / "cohorts/b.2/annotated.parquet")
        for folder in ("results", "whole")
    )
    numbers = [c for c in a.columns if c.startswith("tiny_")]
    assert a.drop(numbers).equals(b.drop(numbers))
    for name in numbers:
        one, two = (t[name].fill_null(0).to_numpy() for t in (a, b))
        np.testing.assert_allclose(one, two, atol=1e-5)


def test_a_failing_step_shows_its_one_line_error(project):
    (project / "bad.vcf").write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\nchr1\t1\n")
    (project / "bad.tsv").write_text("cohort\tvcf\nbad\tbad.vcf\n")
    config = yaml.safe_load((project / "mine.yaml").read_text())
    config.update(cohorts="bad.tsv", results="bad")
    (project / "bad.yaml").write_text(yaml.safe_dump(config))
    output = snakemake(project, config="bad.yaml", check=False)
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "bad.vcf" in errors[0]
    assert "Traceback" not in output


def test_config_errors_come_before_any_job(project):
    (project / "wrong.yaml").write_text(
        yaml.safe_dump({"reference": {}, "cohort": "x", "models": {"m": {"path": "p"}}})
    )
    output = snakemake(project, config="wrong.yaml", check=False)
    assert "4 errors in the config" in output
    assert "did you mean cohorts?" in output
    assert "Traceback" not in output


def test_a_users_config_stands_alone(project):
    output = snakemake(project, "--dry-run", "--forceall")
    assert "models/tiny.json" in output
    assert "gpn" not in output.replace("gpn_", "").split("resources")[0]


def test_the_demo_config_is_valid_and_lists_every_key(root):
    from making.config import load_config

    schema_path = root / "config/schemas/config.schema.yaml"
    given = yaml.safe_load((root / "config/config.yaml").read_text())
    schema = yaml.safe_load(schema_path.read_text())
    load_config(given, schema_path)
    text = (root / "config/config.yaml").read_text()
    for section, entry in schema["properties"].items():
        assert section in given
        for key, child in entry.get("properties", {}).items():
            if given[section] is None:  # off: its keys are shown as comments
                assert f"\n#   {key}: " in text or f"\n#   {key}:\n" in text, f"{section}.{key}"
                continue
            assert key in given[section], f"{section}.{key} is not shown"
            demo = f"(demo; default: {json.dumps(child.get('default'))}"
            default = child.get("default", given[section][key])
            if nested := child.get("properties"):
                default = {name: entry["default"] for name, entry in nested.items()}
            assert given[section][key] == default or demo in text, f"{section}.{key}"
