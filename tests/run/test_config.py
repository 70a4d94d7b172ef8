"""The config and the cohort sheet: all errors at once, each with key, value and remedy."""

import json

import pytest
import yaml

from making.config import load_cohorts, load_config
from varlm.errors import UserError
from varlm.run.config_checks import cross_checks
from varlm.run.config_keys import label_tables
from varlm.run.model_settings import model_kinds
from varlm.run.step_settings import checked_settings
from varlm.tables.score_kinds import SCORE_KINDS

MINIMAL = {"reference": {"fasta": "g.fa"}, "cohorts": "c.tsv", "models": {"m": {"path": "ckpt"}}}


@pytest.fixture
def load(root):
    return lambda config: load_config(config, root / "config/schemas/config.schema.yaml")


def test_defaults_are_filled_in_and_the_input_is_left_alone(load):
    config = load(MINIMAL)
    assert config["scoring"]["window"] is None
    assert config["normalise"]["max_allele_length"] == 50
    model = config["models"]["m"]
    assert model.pop("path") == "ckpt"
    assert {"train", "revision", "window", "family", "score", "strands", "species"} <= model.keys()
    assert set(model.values()) == {None}
    assert config["reference"]["aliases"] is None
    assert config["store"] == "store"
    assert config["regions"] is None
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
        "regions": None,
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
        "models.ok: found neither of path and train; give one of them",
        "models.ok.revision: found 'main'; expected a full commit hash",
        "scoring.window: found 5; expected at least 16",
        "scoring.strands: found 'reverse'; use one of both, forward",
        "scoring.batch_size: found 'big'",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": {}}, "models: missing; set it. Without a model there is nothing to tell"),
        ({"models": None}, "neither annotate.scores .* nor reference.annotation"),
        ({"normalise": {"min_af": 0.5, "max_af": 0.1}}, "min_af: 0.5 is above"),
        ({"store": "results"}, "also the folder of the results"),
        (
            {"models": {"x": {"path": "p"}, "FWD_x": {"path": "p"}}},
            "FWD_x and x would both write INFO/LLR_FWD_x",
        ),
        ({"scoring": None}, "scoring: found None; expected object"),
        (
            {"annotate": {"calibrate": "mutation_context"}, "scoring": {"background_sites": 0}},
            "calibrate: found 'mutation_context', but scoring.background_sites is 0",
        ),
        (
            {
                "annotate": {"calibrate": "mutation_context"},
                "models": {"m": {"path": "p", "family": "dnabert2"}},
            },
            "but no model has log-likelihood ratios",
        ),
        (
            {
                "annotate": {"calibrate": "mutation_context"},
                "models": {name: {"path": "p", "family": "gpn"} for name in ("x", "CALIBRATED_x")},
            },
            "CALIBRATED_x and x would both write INFO/LLR_CALIBRATED_x",
        ),
    ],
)
def test_cross_field_errors(load, change, message):
    with pytest.raises(UserError, match=message):
        load({**MINIMAL, **change})


def checked(load, kinds, monkeypatch, **more):
    """What is wrong with a config whose models have scores of these kinds; None: not known."""
    config = load(MINIMAL)
    config["models"] = dict.fromkeys(kinds, config["models"]["m"])
    config = {**config, "annotate": {**config["annotate"], **more.pop("annotate", {})}, **more}
    known = {name: kind and SCORE_KINDS[kind] for name, kind in kinds.items()}
    monkeypatch.setattr("varlm.run.config_checks.model_kinds", lambda _: known)
    return list(cross_checks(config))


@pytest.mark.parametrize(
    ("kinds", "tag"),
    [
        ({"x": "cosine", "REV_x": "cosine"}, "COSINE_REV_x"),
        ({"x": "dense", "FWD_x": "masked"}, "LLR_FWD_x"),
        ({"x": None, "FWD_x": "probability"}, "PROBABILITY_FWD_x"),
        ({"x": "cosine", "FWD_x": "masked"}, None),
    ],
)
def test_models_that_write_one_info_field_by_their_kinds(load, monkeypatch, kinds, tag):
    first, second = kinds
    said = f"models: {second} and {first} would both write INFO/{tag}; rename one"
    assert checked(load, kinds, monkeypatch) == ([said] if tag else [])


def test_tracks_may_have_the_names_that_a_kind_does_not_make(load, monkeypatch):
    annotate = {"bigwigs": {"m_llr": "x.bw", "n_cosine": "y.bw", "n_llr": "z.bw"}}
    kinds = {"m": "cosine", "n": "influence"}
    assert checked(load, kinds, monkeypatch, annotate=annotate) == []
    errors = checked(load, {"m": "dense", "n": None}, monkeypatch, annotate=annotate)
    assert [error.split(":")[0] for error in errors] == [
        *("annotate.bigwigs.m_llr", "annotate.bigwigs.n_cosine", "annotate.bigwigs.n_llr")
    ]


def test_an_evaluation_may_name_the_columns_that_a_kind_makes(load, monkeypatch):
    evaluate = {
        **{"labels": {}, "contrasts": [], "contigs": None, "frequencies": True},
        "mutation_context": True,
        "scores": {"m_cosine_fwd": "higher", "m_llr": "llr", "n_euclidean": "higher"},
        "combine": [["m_cosine", "n_cosine"], ["m", "m_cosine"]],
    }
    errors = checked(load, {"m": "cosine", "n": None}, monkeypatch, evaluate=evaluate)
    assert [error.split(";")[0] for error in errors] == [
        "evaluate.scores.m_llr: no column has the name m_llr",
        "evaluate.combine: m and m_cosine are one score",
    ]


def test_check_inputs_is_told_the_kinds_where_one_is_not_masked(load):
    models = {"m": {"path": "p", "family": "gpn"}, "n": {"path": "q", "score": "influence"}}
    config = load({**MINIMAL, "models": models})
    assert model_kinds(config) == {"m": SCORE_KINDS["masked"], "n": SCORE_KINDS["influence"]}
    assert json.loads(checked_settings(config))["models"] == {"m": "masked", "n": "influence"}
    config["models"]["n"]["score"] = "masked"
    assert json.loads(checked_settings(config))["models"] == ["m", "n"]


WHOLE = {"bed": None, "contigs": None, "sample": None, "seed": 0}


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("genes.bed", {"bed": "genes.bed"}),
        ({"bed": "genes.bed"}, {"bed": "genes.bed"}),
        ({"contigs": "all", "sample": 9, "seed": 3}, {"contigs": "all", "sample": 9, "seed": 3}),
        ({"contigs": ["chr1", 2], "sample": None}, {"contigs": ["chr1", "2"]}),
    ],
)
def test_regions_in_any_form_with_or_without_cohorts(load, given, whole):
    for cohorts in ("c.tsv", None):
        config = load({**MINIMAL, "cohorts": cohorts, "regions": given})
        assert config["regions"] == {**WHOLE, **whole}
        assert config["cohorts"] == cohorts
        assert load(config) == config
    alone = {key: value for key, value in MINIMAL.items() if key != "cohorts"}
    assert load({**alone, "regions": given})["cohorts"] is None


@pytest.mark.parametrize("nothing", [{}, {"cohorts": None}, {"cohorts": None, "regions": None}])
def test_neither_cohorts_nor_regions_is_one_error(load, nothing):
    config = {key: value for key, value in MINIMAL.items() if key != "cohorts"}
    with pytest.raises(UserError, match=r"^1 error in the config:\n  - cohorts: missing.*regions"):
        load({**config, **nothing})


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        (3, "regions: found 3; expected string or object or null. A BED file, or"),
        (["a.bed"], r"regions: found \['a.bed'\]; expected string or object"),
        ("", "regions: found ''; A BED file, or"),
        ({}, "regions: found neither of bed and contigs; give one"),
        ({"sample": 5}, "regions: found neither of bed and contigs"),
        ({"bed": "b", "contigs": "all"}, "regions: found both of bed and contigs; give one"),
        ({"contigs": "chr1"}, "regions.contigs: found 'chr1'; all, for the whole genome, or a"),
        ({"contigs": []}, r"regions.contigs: found \[\]; all, for"),
        ({"contigs": [None]}, r"regions.contigs: found \[None\]; all, for"),
        ({"bed": "b", "sample": 0}, "regions.sample: found 0; expected at least 1"),
        ({"bed": "b", "sample": 2.5}, "regions.sample: found 2.5; expected integer or null"),
        ({"bed": "b", "seed": -1}, "regions.seed: found -1; expected at least 0"),
        ({"bed": "b", "smaple": 5}, "regions.smaple: unknown key .*; did you mean sample"),
    ],
)
def test_wrong_regions(load, regions, message):
    with pytest.raises(UserError, match=f"^1 error in the config:\n  - {message}"):
        load({**MINIMAL, "regions": regions})


def test_all_errors_of_regions_at_once_with_the_others(load):
    wrong = {"bed": 1, "contig": "all", "sample": -1, "seed": "x"}
    with pytest.raises(UserError, match="5 errors in the config") as caught:
        load({**MINIMAL, "regions": wrong, "stroe": "s"})
    assert "regions.contig: unknown key (value 'all'); did you mean contigs?" in str(caught.value)


def test_the_keys_of_regions_are_described_and_their_defaults_filled_in(root, load):
    schema = yaml.safe_load((root / "config/schemas/config.schema.yaml").read_text())
    keys = schema["$defs"]["regions"]["properties"]
    assert all(entry["description"] for entry in keys.values())
    defaults = {name: entry["default"] for name, entry in keys.items()}
    assert load({**MINIMAL, "regions": "x.bed"})["regions"] == {**defaults, "bed": "x.bed"}


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
    assert "6 errors in the cohort sheet" in message
    for part in (
        "line 3: ./a.vcf is already a file of cohort x (line 2)",
        "line 5: the cohort name '../z' cannot be a folder name",
        "line 6: the cohort is empty",
        "line 7: records is 'many'",
        "line 8: found 1 columns, expected 3",
        "cohorts x and X differ only in case",
    ):
        assert part in message


def test_a_cohort_has_one_file_of_labels(sheet):
    head = "cohort\tvcf\tlabels\n"
    found = load_cohorts(sheet(head + "x\ta.vcf\t\nx\tb.vcf\ta.vcf\ny\ta.vcf\t\n"))
    evaluate = {"labels": {"own": {"table": "sheet"}, "all": {"table": "t"}, "c": {"table": None}}}
    assert label_tables(evaluate, found["x"]) == {"own": "a.vcf", "all": "t"}
    assert label_tables(evaluate, found["y"]) == {"all": "t"}
    assert label_tables(None, found["x"]) == {}
    with pytest.raises(UserError, match=r"cohort x has the labels a\.vcf and b\.vcf; a cohort has"):
        load_cohorts(sheet(head + "x\ta.vcf\ta.vcf\nx\tb.vcf\tb.vcf\n"))


@pytest.mark.parametrize("name", ["regions", "Regions"])
def test_a_cohort_cannot_have_the_name_of_the_regions(sheet, name):
    path = sheet(f"cohort\tvcf\nx\ta.vcf\n{name}\tb.vcf\n")
    assert list(load_cohorts(path)) == ["x", name]
    message = f"the cohort name {name} is taken by the config key regions.* rename the cohort"
    with pytest.raises(UserError, match=message):
        load_cohorts(path, reserved=["regions"])


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


def test_names_that_differ_only_in_case_are_told_together(load):
    with pytest.raises(UserError) as told:
        load({**MINIMAL, "models": {name: {"path": "x"} for name in ("a", "A", "b", "B")}})
    for pair in ("a and A", "b and B"):
        assert f"models: {pair} differ only in case; rename one" in str(told.value)
    assert "2 errors in the config" in str(told.value)


@pytest.mark.parametrize(
    ("model", "clashes"),
    [
        ({"family": "splicebert"}, True),
        ({"family": "gpn", "strands": "transcript"}, True),
        ({"family": "splicebert", "strands": "both"}, False),
        ({"family": "gpn"}, False),
    ],
)
def test_a_track_with_the_name_of_the_column_of_a_transcripts_strand(load, model, clashes):
    config = {
        **MINIMAL,
        "models": {"m": {"path": "x", **model}},
        "annotate": {"bigwigs": {"m_strand": "x.bw"}},
    }
    if not clashes:
        load(config)
        return
    with pytest.raises(UserError) as caught:
        load(config)
    assert "bigwigs.m_strand: makes the column m_strand, which the model m makes" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("annotate", "named"),
    [
        ({"bigwigs": {"gene": "x.bw"}}, "bigwigs.gene: makes the column gene, which the annotated"),
        ({"bigwigs": {"m_llr": "x.bw"}}, "makes the column m_llr, which the model m makes too"),
        ({"info": ["AF"], "bigwigs": {"info_AF": "x"}}, "which annotate.info (AF) makes too"),
        (
            {"intervals": {"x": "x.bed"}, "bigwigs": {"x_name": "x.bw"}},
            "x_name, which annotate.intervals.x makes too",
        ),
        ({"bigwigs": {"Gene": "x"}}, "column Gene, which the annotated table itself makes as gene"),
        ({"bigwigs": {"M_LLR": "x"}}, "column M_LLR, which the model m makes as m_llr: the two"),
        ({"info": ["AF", "af"]}, "column info_af, which annotate.info (AF) makes as info_AF"),
        (
            {"intervals": {"x": "x.bed", "X": "y.bed"}},
            "X_name, which annotate.intervals.x makes as x_name: the two differ only in case",
        ),
    ],
)
def test_tracks_that_would_make_a_column_twice(load, annotate, named):
    with pytest.raises(UserError) as caught:
        load({**MINIMAL, "annotate": annotate})
    assert named in str(caught.value)


def test_tracks_with_names_of_their_own(load):
    tracks = {"intervals": {"exons": "x.bed"}, "bigwigs": {"exons_mean": "x.bw"}}
    assert load({**MINIMAL, "annotate": tracks})["annotate"]["upstream"] == 5000


@pytest.mark.parametrize("circular", ["auto", "none", [], ["plasmid", 2]])
def test_circular_contigs_are_those_of_the_annotation_or_a_list(load, circular):
    config = load({**MINIMAL, "reference": {"fasta": "g.fa", "circular": circular}})
    assert config["reference"]["circular"] == circular
    assert load(MINIMAL)["reference"]["circular"] == "auto"


@pytest.mark.parametrize("circular", ["plasmid", False, None, [["plasmid"]]])
def test_anything_else_is_told_what_it_may_be(load, circular):
    with pytest.raises(UserError) as caught:
        load({**MINIMAL, "reference": {"fasta": "g.fa", "circular": circular}})
    assert "reference.circular" in str(caught.value)
    assert "a list of names, none, or auto" in str(caught.value)
