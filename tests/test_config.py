"""The config and the cohort sheet: all errors at once, each with key, value and remedy."""

import pytest
import yaml

from varlm.config import load_cohorts, load_config
from varlm.errors import UserError

MINIMAL = {"reference": {"fasta": "g.fa"}, "cohorts": "c.tsv", "models": {"m": {"path": "ckpt"}}}


@pytest.fixture
def load(root):
    return lambda config: load_config(config, root / "config/schemas/config.schema.yaml")


def test_defaults_are_filled_in_and_the_input_is_left_alone(load):
    config = load(MINIMAL)
    assert config["scoring"]["window"] == 512
    assert config["normalise"]["max_allele_length"] == 50
    assert config["models"]["m"] == {"path": "ckpt", "revision": None, "window": None}
    assert config["reference"]["aliases"] is None
    assert config["store"] == "store"
    assert "scoring" not in MINIMAL


def test_every_key_is_described_and_the_defaults_are_valid(root, load):
    schema = yaml.safe_load((root / "config/schemas/config.schema.yaml").read_text())

    def walk(node, path):
        for key, child in node.get("properties", {}).items():
            assert child.get("description"), f"{path}{key} has no description"
            if child.get("type") == "object":
                assert child.get("additionalProperties", True) is not True, f"{path}{key} is open"
            walk(child, f"{path}{key}.")

    walk(schema, "")
    full = load(MINIMAL)
    assert load(full) == full


def test_all_errors_at_once(load):
    wrong = {
        "reference": {"fasta": 3, "annotatoin": "x.gff"},
        "models": {"1bad-name": {"path": "x"}, "ok": {"revision": "main"}},
        "scoring": {"window": 5, "strands": "reverse", "batch_size": "big"},
        "stroe": "s",
    }
    with pytest.raises(UserError) as caught:
        load(wrong)
    message = str(caught.value)
    assert message.startswith("10 errors in the config:")
    for part in (
        "stroe: unknown key (value 's'); did you mean store?",
        "cohorts: missing; set it.",
        "reference.fasta: found 3; expected string",
        "reference.annotatoin: unknown key",
        "models: the name '1bad-name' cannot be used",
        "models.ok.path: missing",
        "models.ok.revision: found 'main'; expected a full commit hash",
        "scoring.window: found 5; expected at least 16",
        "scoring.strands: found 'reverse'; use one of both, forward",
        "scoring.batch_size: found 'big'",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": {}}, "models: found {}; name at least one"),
        ({"normalise": {"min_af": 0.5, "max_af": 0.1}}, "min_af: 0.5 is above"),
        ({"normalise": {"max_allele_length": 200}}, "more than a quarter of the window"),
        ({"store": "results"}, "also the folder of the results"),
        (
            {"models": {"x": {"path": "p"}, "FWD_x": {"path": "p"}}},
            "FWD_x and x would both write INFO/LLR_FWD_x",
        ),
        ({"scoring": None}, "scoring: found None; expected object"),
    ],
)
def test_cross_field_errors(load, change, message):
    with pytest.raises(UserError, match=message):
        load({**MINIMAL, **change})


def test_long_alleles_are_fine_when_indels_are_skipped(load):
    changed = {"normalise": {"max_allele_length": 5000}, "scoring": {"indels": "skip"}}
    assert load({**MINIMAL, **changed})["normalise"]["max_allele_length"] == 5000


@pytest.fixture
def sheet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.vcf", "b.vcf"):
        (tmp_path / name).write_text("")

    def write(text):
        (tmp_path / "c.tsv").write_text(text)
        return tmp_path / "c.tsv"

    return write


def test_cohort_sheet(sheet):
    sha = "AB" * 32
    cohorts = load_cohorts(
        sheet(f"# made by hand\ncohort\tvcf\trecords\tsha256\nx\ta.vcf\t7\t\n\nx\tb.vcf\t\t{sha}\n")
    )
    assert [file.vcf for file in cohorts["x"]] == ["a.vcf", "b.vcf"]
    assert [file.records for file in cohorts["x"]] == [7, None]
    assert cohorts["x"][1].sha256 == sha.lower()


def test_cohort_sheet_from_a_spreadsheet(sheet):
    assert list(load_cohorts(sheet("\ufeffcohort\tvcf\r\nx\ta.vcf\r\n"))) == ["x"]


def test_fault_25_all_errors_of_a_sheet_at_once(sheet):
    text = (
        "cohort\tvcf\trecords\nx\ta.vcf\t\nx\t./a.vcf\t\ny\tnone.vcf\t\n../z\tb.vcf\t\n"
        "\tb.vcf\t\nw\tb.vcf\tmany\nshort\nX\tb.vcf\t\n"
    )
    with pytest.raises(UserError) as caught:
        load_cohorts(sheet(text))
    message = str(caught.value)
    assert "7 errors in the cohort sheet" in message
    for part in (
        "line 3: ./a.vcf is already a file of cohort x (line 2)",
        "line 4: none.vcf does not exist",
        "line 5: the cohort name '../z' cannot be a folder name",
        "line 6: the cohort is empty",
        "line 7: records is 'many'",
        "line 8: found 1 columns, expected 3",
        "cohorts x and X differ only in case",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("cohort,vcf\nx,a.vcf\n", "unknown column 'cohort,vcf'"),
        ("cohort\tvcf\n", "no cohort is listed"),
        ("cohort\tvcf\tvcf\nx\ta.vcf\tb.vcf\n", "column 'vcf' is given twice"),
        ("cohort\tvcf\tlabel\nx\ta.vcf\t1\n", "unknown column 'label'"),
    ],
)
def test_broken_sheets(sheet, text, message):
    with pytest.raises(UserError, match=message):
        load_cohorts(sheet(text))


def test_a_sheet_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cohort sheet cannot be read"):
        load_cohorts(tmp_path / "none.tsv")
