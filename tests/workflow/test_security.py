"""Names and files that want to be run, to be found elsewhere, or to blow up (faults 52, 53, 57)."""

import re
import subprocess
import time

import pytest
import yaml

from making.config import load_cohorts, load_config
from making.workflow import (
    made_genome,
    snakemake,
    snakemake_command,
    vcf_text,
    write_config,
    write_fasta,
    write_sheet,
)
from varlm.errors import UserError

# What a shell would run, or cut the command at; and what Snakemake would take for a wildcard.
NASTY = "a $(touch PWNED) `touch PWNED`;touch PWNED&'\"|touch PWNED>{x}"


def test_fault_52_every_value_in_a_shell_command_is_quoted(root):
    for path in (root / "rules").glob("*.smk"):
        for command in re.findall(r'shell:\s+"""(.*?)"""', path.read_text(), re.S):
            values = re.findall(r"\{([^}]+)\}", command)
            assert values
            bare = [value for value in values if not value.endswith(":q") and value != "threads"]
            assert bare == [], path.name


def test_fault_52_files_with_names_that_a_shell_would_run(tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    odd = NASTY.replace("/", "").replace("{x}", "")
    write_fasta(folder / f"{odd}.fa.gz", made_genome())
    (folder / f"{odd}.vcf").write_text(vcf_text(made_genome(), "chr1", "1", 1, 30))
    (folder / f"{odd}.bed").write_text("chr1\t0\t3000\n")
    write_config(
        folder,
        reference={"fasta": f"{odd}.fa.gz"},
        normalise={"max_allele_length": 10, "regions": f"{odd}.bed"},
        results=f"out {odd}",
    )
    write_sheet(folder, {"c": [f"{odd}.vcf"]})
    snakemake(folder, "--", f"out {odd}/cohorts/c/variants.parquet")
    assert (folder / f"out {odd}/cohorts/c/variants.parquet").is_file()
    assert not list(tmp_path.rglob("PWNED"))


@pytest.mark.parametrize("name", ["e;touch PWN", "$(id)", "../x", "..", "a/b", "-rf", "a\nb", ""])
def test_fault_52_53_cohorts_are_named_from_an_allow_list(tmp_path, name):
    (tmp_path / "x.vcf").write_text("x")
    (tmp_path / "sheet.tsv").write_text(f"cohort\tvcf\n{name}\t{tmp_path}/x.vcf\n")
    with pytest.raises(UserError, match="in the cohort sheet"):
        load_cohorts(tmp_path / "sheet.tsv")


@pytest.mark.parametrize("name", ["../up", "a/b", "a b", "$(id)", "a;b", "", "é"])
def test_fault_52_53_models_and_tracks_are_named_from_an_allow_list(root, name):
    schema = root / "config/schemas/config.schema.yaml"
    plain = {"reference": {"fasta": "g.fa"}, "cohorts": "c.tsv"}
    good = {"m": {"path": "p"}}
    for config in (
        {**plain, "models": {name: {"path": "p"}}},
        {**plain, "models": good, "annotate": {"intervals": {name: "x.bed"}}},
        {**plain, "models": good, "annotate": {"bigwigs": {name: "x.bw"}}},
        {**plain, "models": good, "annotate": {"info": [name]}},
    ):
        with pytest.raises(UserError, match="in the config"):
            load_config(config, schema)


def test_fault_57_a_tag_in_the_config_runs_nothing(tmp_path):
    write_fasta(tmp_path / "genome.fa.gz", made_genome())
    write_config(tmp_path)
    with (tmp_path / "mine.yaml").open("a") as file:
        file.write("evil: !!python/object/apply:os.system ['touch PWNED']\n")
    output = snakemake(tmp_path, "--dry-run", check=False)
    assert "not valid JSON or YAML" in output
    assert not (tmp_path / "PWNED").exists()


def test_fault_57_aliases_that_multiply_are_refused_at_once(tmp_path):
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    write_config(tmp_path)
    text = (tmp_path / "mine.yaml").read_text()
    assert yaml.safe_load(text)
    (tmp_path / "mine.yaml").write_text("\n".join([*lines, text]))
    started = time.monotonic()
    done = subprocess.run(
        snakemake_command(tmp_path, "--dry-run"),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0
    assert "YAML aliases" in done.stdout + done.stderr
    assert time.monotonic() - started < 100  # it would take hours
