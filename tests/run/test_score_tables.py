"""Tables of published scores in a config: what they are, what is wrong with them, their files."""

import json

import pytest

from making.config import load_config
from varlm.errors import UserError
from varlm.run import inputs, step_settings
from varlm.run.score_files import table_files
from varlm.run.score_tables import ScoreTable, score_tables

CADD = {"path": "cadd.tsv.gz", "columns": {"phred": {"column": "PHRED", "harmful": "high"}}}
MINIMAL = {
    "reference": {"fasta": "g.fa"},
    "cohorts": "c.tsv",
    "models": {"m": {"path": "ckpt"}},
}


@pytest.fixture
def load(root):
    def loaded(tables, **changes):
        config = {**MINIMAL, "annotate": {"scores": tables}, **changes}
        return load_config(config, root / "config/schemas/config.schema.yaml")

    return loaded


def with_columns(**columns):
    return {"t": {"path": "t.tsv.gz", "columns": columns}}


def test_the_forms_of_a_column_and_their_rules(load):
    (table,) = score_tables(
        load(
            with_columns(
                short="RawScore",
                number=5,
                high={"column": "x", "harmful": "high", "unit": "phred"},
                low={"column": "x", "harmful": "low"},
                said={"column": "x", "harmful": "low", "rule": "first"},
                text={"column": "x", "type": "text"},
                count={"column": "x", "type": "integer"},
            )
        )
    )
    by_name = {column.name: column for column in table.columns}
    assert {name: column.rule for name, column in by_name.items()} == {
        "short": "first",
        "number": "first",
        "high": "max",
        "low": "min",
        "said": "first",
        "text": "list",
        "count": "first",
    }
    assert by_name["short"].source == "RawScore"
    assert by_name["number"].source == 5
    assert [column.name for column in table.ranked] == ["high", "low", "said"]
    assert table.possible_names[:4] == ["t_short", "t_number", "t_high", "t_high_percentile"]
    assert table.missing == ("", ".", "NA", "nan")
    assert ScoreTable.from_json(table.to_json()) == table


@pytest.mark.parametrize(
    ("tables", "changes", "message"),
    [
        ({"m": CADD}, {}, "annotate.scores.m: is the name of a model too"),
        ({"a": CADD, "A": CADD}, {}, "annotate.scores: a and A differ only in case"),
        (
            {"m_llr": {"path": "x", "columns": {"fwd": "x"}}},
            {},
            "makes the column m_llr_fwd, which the model m makes too",
        ),
        (
            with_columns(x={"column": "x", "harmful": "low"}, x_percentile="y"),
            {},
            "makes the column t_x_percentile, which annotate.scores.t.columns.x makes too",
        ),
        (with_columns(x="y", X="z"), {}, "t_X, which annotate.scores.t.columns.x makes as t_x"),
        (
            {"LLR": {"path": "x", "columns": {"m": "x"}}},
            {},
            "LLR_m, which the model m makes",
        ),
        ({"VARLM": {"path": "x", "columns": {"GENE": "x"}}}, {}, "INFO/VARLM_GENE, a field of"),
        (
            {"t": {**CADD, "path": "https://x.org/{contig}.tsv.gz"}},
            {},
            "one file a contig must lie on a disk",
        ),
        ({"t": {**CADD, "path": "{chrom}.tsv.gz"}}, {}, "the only name in braces is {contig}"),
        (
            with_columns(x={"column": "x", "type": "text", "harmful": "low"}),
            {},
            "found low, but the column is text",
        ),
        (
            with_columns(x={"column": "x", "rule": "list", "harmful": "low"}),
            {},
            "found low, but the column is a list",
        ),
        (
            with_columns(x={"column": "x", "type": "text", "rule": "max"}),
            {},
            "found max, but the column is text",
        ),
        (with_columns(), {}, "annotate.scores.t.columns: found {}; name at least one"),
        (with_columns(x={"harmful": "low"}), {}, "columns.x.column: missing"),
        ({"t": {"columns": {"x": "y"}}}, {}, "annotate.scores.t.path: missing"),
        (
            {"cadd": CADD},
            {"evaluate": {"combine": [["m", "cadd"]]}},
            "no model or score has the name cadd",
        ),
        (
            with_columns(x="y"),
            {"models": {}, "evaluate": {}},
            "evaluate: there is no score to evaluate",
        ),
    ],
)
def test_what_is_wrong(load, tables, changes, message):
    with pytest.raises(UserError) as caught:
        load(tables, **changes)
    assert message in str(caught.value)


def test_scores_are_known_to_evaluate(load):
    load({"cadd": CADD}, evaluate={"combine": [["m", "cadd_phred"]]})
    load({"cadd": CADD}, evaluate={"scores": {"cadd_phred": "llr"}})
    with pytest.raises(UserError, match="no model or score has the name cadd_phred"):
        load(
            {"cadd": CADD},
            evaluate={"scores": {"cadd_phred": "none"}, "combine": [["m", "cadd_phred"]]},
        )


def test_a_table_may_stand_alone(load):
    config = load({"cadd": CADD}, models=None, evaluate={})
    assert config["models"] == {}
    steps = step_settings.steps_of(config)
    assert {"join_scores", "rank_scores", "annotate", "evaluate"} <= {*steps}
    assert "find_circular" not in steps
    assert step_settings.ranked_tables(config) == ["cadd"]
    assert step_settings.ranked_tables(load({"t": CADD}, scoring={"background_sites": 0})) == []


def test_a_config_without_tables_is_told_to_steps_as_before(load):
    config = load({})
    assert "scores" not in json.loads(step_settings.checked_settings(config))
    assert "scores" not in json.loads(step_settings.shown_settings(config, []))["annotate"]
    assert "join_scores" not in step_settings.steps_of(config)


def test_the_files_of_a_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("one.tsv.gz", "one.tsv.gz.tbi", "x[1]_1.vcf.gz", "x[1]_1.vcf.gz.csi"):
        (tmp_path / name).write_text("x")
    (tmp_path / "x[1]_2.vcf.gz").write_text("x")
    assert table_files("one.tsv.gz") == ["one.tsv.gz", "one.tsv.gz.tbi"]
    assert table_files("x[1]_{contig}.vcf.gz") == [
        "x[1]_1.vcf.gz",
        "x[1]_1.vcf.gz.csi",
        "x[1]_2.vcf.gz",
    ]
    assert table_files("none.tsv.gz") == ["none.tsv.gz"]
    assert table_files("https://x.org/a.tsv.bgz") == [
        "https://x.org/a.tsv.bgz",
        "https://x.org/a.tsv.bgz.tbi",
    ]
    assert table_files("https://x.org/a.parquet") == ["https://x.org/a.parquet"]


def test_files_that_are_missing_are_told_by_their_key(load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load({"one": CADD, "more": {**CADD, "path": "c_{contig}.parquet"}})
    told = [line for line in inputs.missing(config) if line.startswith("annotate.scores")]
    assert len(told) == 2
    assert told[0].startswith(
        "annotate.scores.more.path: c_{contig}.parquet: there is no file of this pattern"
    )
    assert told[1].startswith("annotate.scores.one.path: cadd.tsv.gz: input not found")
    (tmp_path / "cadd.tsv.gz").write_text("x")
    (tmp_path / "c_1.parquet").write_text("x")
    assert not [line for line in inputs.missing(config) if line.startswith("annotate.scores")]
    assert inputs.keys_of(config, {})["c_1.parquet"] == "annotate.scores.more.path"
    assert inputs.read_late(config, {}) == ["cadd.tsv.gz", "c_1.parquet"]


def test_an_address_is_read_where_it_was_fetched_to_and_shown_without_its_token(load):
    address = "https://x.org/cadd.tsv.gz?token=secret"
    config = load({"cadd": {**CADD, "path": address}})
    assert ("annotate.scores.cadd.path", address) in list(inputs.addresses(config, {}))
    table = ScoreTable.from_json(step_settings.joined_table(config, "cadd", ["here/cadd.tsv.gz"]))
    assert table.path == "here/cadd.tsv.gz"
    (shown,) = step_settings.shown_tables(config)
    assert "secret" not in shown
    assert "https://x.org/cadd.tsv.gz" in shown
