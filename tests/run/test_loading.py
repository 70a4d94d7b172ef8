"""Config, sheet and inputs are read together: one message has all that is wrong."""

import pytest

from varlm.errors import UserError
from varlm.run.loading import load_run
from varlm.run.shipped import Shipped

CONFIG = {"reference": {"fasta": "g.fa"}, "cohorts": "c.tsv", "models": {"m": {"path": "ckpt"}}}


@pytest.fixture
def load(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = Shipped(["resources/demo/one.vcf"], lambda _: tmp_path)

    def load(config=CONFIG, sheet="cohort\tvcf\nx\ta.vcf\n", look=True):
        (tmp_path / "c.tsv").write_text(sheet)
        return load_run(config, root / "config/schemas/config.schema.yaml", shipped, look=look)

    return load


def test_errors_of_keys_inputs_and_sheet_in_one_message(load):
    wrong = {**CONFIG, "stroe": "s", "annotate": {"bigwigs": {"w": "w.bw"}}}
    with pytest.raises(UserError) as caught:
        load(wrong, "cohort\tvcf\trecords\nx\ta.vcf\tmany\nx\tb.vcf\t\n")
    message = str(caught.value)
    assert message.startswith("4 errors in the config:\n  - stroe: unknown key")
    for part in (
        "  - reference.fasta: g.fa: input not found",
        "  - annotate.bigwigs.w: w.bw: input not found",
        "  - models.m.path: found 'ckpt', but there is no such folder",
        "\nc.tsv: 2 errors in the cohort sheet:\n  - line 2: records is 'many'",
        "  - line 3: vcf: b.vcf: input not found",
    ):
        assert part in message


def test_what_rules_of_another_workflow_may_make_is_not_looked_up(load):
    config, cohorts = load(look=False)
    assert config["scoring"]["window"] is None
    assert [(file.vcf, file.line) for file in cohorts["x"]] == [("a.vcf", 2)]


def test_shipped_names_in_the_sheet(load):
    _, cohorts = load(sheet="cohort\tvcf\nx\tvarlm:demo/one.vcf\n", look=False)
    assert cohorts["x"][0].vcf == "resources/demo/one.vcf"
    with pytest.raises(UserError, match=r"line 2: labels: varlm:nine: .* it ships varlm:demo/one"):
        load(sheet="cohort\tvcf\tlabels\nx\ta.vcf\tvarlm:nine\n", look=False)


def test_a_sheet_that_cannot_be_read_is_told_beside_the_rest(load):
    with pytest.raises(
        UserError, match=r"(?s)reference\.fasta.*none\.tsv: the cohort sheet cannot"
    ):
        load({**CONFIG, "cohorts": "none.tsv"})


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ({"column": "kind", "cohort": "y"}, "labels.l.cohort: there is no cohort 'y'; there are x"),
        ({"column": "kind", "cohort": "regions"}, "there is no cohort 'regions'"),
        ({"column": "kind", "table": "sheet"}, "labels.l.table: found sheet, but c.tsv names no"),
    ],
)
def test_labels_of_cohorts_and_tables_that_are_not_in_the_sheet(load, label, message):
    with pytest.raises(UserError, match="1 error in the config") as caught:
        load({**CONFIG, "evaluate": {"labels": {"l": label}}}, look=False)
    assert message in str(caught.value)


def test_a_label_of_the_regions(load):
    labels = {"l": {"column": "kind", "cohort": "regions"}}
    config = {**CONFIG, "regions": {"contigs": "all"}, "evaluate": {"labels": labels}}
    assert load(config, look=False)[0]["evaluate"]["labels"]["l"]["cohort"] == "regions"
