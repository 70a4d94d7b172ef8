"""Calibrated scores are compared beside the raw ones."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from making import records
from making.config import load_config
from varlm.evaluation.cohort import EvaluationInput, evaluate
from varlm.evaluation.compared import compared_scores
from varlm.evaluation.features import KINDS as KINDS_OF_ALLELES
from varlm.evaluation.features import PENTAMERS, TRINUCLEOTIDES
from varlm.evaluation.matched_tasks import Matching, with_controls
from varlm.evaluation.measuring import measure
from varlm.evaluation.mutation_context import with_baseline
from varlm.evaluation.rows import Settings
from varlm.evaluation.strata import Strata
from varlm.evaluation.tasks import frequency_task
from varlm.tables.columns import calibrated_columns
from varlm.tables.schemas import annotated
from varlm.tables.score_kinds import SCORE_KINDS

KINDS = {"m": replace(SCORE_KINDS["masked"], calibrated=True), "n": SCORE_KINDS["cosine"]}


@pytest.fixture
def compared(tmp_path, root):
    """A function: evaluate.scores → rows of stop_gained against synonymous; and the table."""
    rng = np.random.default_rng(3)
    terms = ["stop_gained"] * 30 + ["synonymous_variant"] * 50
    rows = {
        "chrom": ["chr1"] * 80,
        **{"pos": range(1, 81), "ref": ["A"] * 80, "alt": ["C"] * 80, "kind": ["snv"] * 80},
        "consequence": terms,
        **{name: rng.normal(size=80) for name in ("m_llr", "m_llr_calibrated", "n_cosine")},
    }
    table = pl.DataFrame(rows).with_columns(
        pl.when(pl.col("pos") == 7)
        .then(None)
        .otherwise("m_llr_calibrated")
        .alias("m_llr_calibrated")
    )
    schema = annotated(KINDS).schema
    table = table.select(
        (pl.col(name) if name in table.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    )
    table.write_parquet(tmp_path / "a.parquet")
    reference = tmp_path / "none"  # of which nothing is asked without baseline, strata, controls

    def run(**scores):
        config = {"reference": {"fasta": "g.fa"}, "cohorts": "c.tsv"}
        config |= {"models": {"m": {"path": "x"}}}
        contrast = ["stop_gained", "synonymous_variant"]
        alone = {"contrasts": [contrast], "bootstrap": 0, "mutation_context": False}
        config |= {"evaluate": {"scores": scores, **alone}}
        if scores:
            config |= {"annotate": {"calibrate": "mutation_context"}}
        settings = load_config(config, root / "config/schemas/config.schema.yaml")["evaluate"]
        inputs = EvaluationInput(
            "c", tmp_path / "a.parquet", records.accounting(), [*KINDS], settings, reference
        )
        return evaluate(inputs).rows.filter(metric="auroc"), table

    return run


def test_both_are_compared_on_the_alleles_that_have_both(compared):
    rows, table = compared()
    assert rows["score"].to_list() == ["m", "n", "m_llr_calibrated"]
    assert rows["alleles"].to_list() == [79] * 3
    kept = table.filter(pl.col("m_llr_calibrated").is_not_null())
    truth = kept["consequence"] == "stop_gained"
    for name, column, sign in (
        ("m", "m_llr", -1),
        ("n", "n_cosine", 1),
        ("m_llr_calibrated", "m_llr_calibrated", -1),
    ):
        expected = roc_auc_score(truth, sign * kept[column].to_numpy())
        assert rows.filter(score=name)["value"].item() == pytest.approx(expected, rel=1e-5)


def test_the_config_may_leave_the_calibrated_one_out(compared):
    rows, _ = compared(m_llr_calibrated="none")
    assert rows["score"].to_list() == ["m", "n"]
    assert rows["alleles"].to_list() == [80] * 2


MODELS = {"m": KINDS["m"]}
COLUMNS = {"site": "higher"}
MATCHING = Matching((), ("site",), 2, ("frequency",))


def polarised(turned_share, size=600, seed=5):
    """A table with ancestral alleles, of which some are ALT, and what its alleles are alike in."""
    rng = np.random.default_rng(seed)
    rare = rng.random(size) < 0.5
    llr = rng.normal(0.0 - rare, 1)
    contexts = rng.choice(["A[C>A]A", "A[C>T]G"], size)
    table = pl.DataFrame(
        {
            "chrom": [f"c{i}" for i in rng.integers(0, 4, size)],
            "pos": np.arange(1, size + 1, dtype=np.uint32),
            "ref": ["C"] * size,
            "alt": ["A"] * size,
            "af": np.where(rare, 0.01, 0.3),
            "consequence": pl.Series([None] * size, dtype=pl.String),
            "info_AA": np.where(rng.random(size) < turned_share, "A", "C"),
            "m_llr": llr,
            "site": rng.normal(size=size),
            "m_llr_calibrated": np.where(
                rng.random(size) < 0.9, llr + rng.normal(size=size), np.nan
            ),
        }
    ).with_columns(pl.col("m_llr_calibrated").fill_nan(None))
    known = pl.DataFrame(
        {
            "trinucleotide": pl.Series(contexts, dtype=TRINUCLEOTIDES),
            "pentamer": pl.Series([None] * size, dtype=PENTAMERS),
            "cpg": contexts == "A[C>T]G",
            "kind": pl.Series(["snv"] * size, dtype=KINDS_OF_ALLELES),
        }
    )
    return table, known


def frequency_measures(table, known, calibrated, combine=(), fit=()):
    """Rows of rare against common alleles, with the calibrated score or without."""
    published = calibrated_columns(MODELS) if calibrated else {}
    combine, fit = [["m", "site"], *combine], [["m", "mutation_context"], *fit]
    scores = with_baseline(compared_scores(MODELS, COLUMNS, combine, published, fit))
    task = with_controls(frequency_task(table), table, MATCHING, 1)
    strata = Strata(("trinucleotide",), ())
    return measure([task], table, scores, Settings(20, 1, (0.1,), strata), known)


def test_calibration_leaves_the_rows_of_turned_alleles_as_they_were():
    table, known = polarised(0.4)
    without = frequency_measures(table, known, calibrated=False)
    more = {"combine": [["m_llr_calibrated", "site"]], "fit": [["m_llr_calibrated", "site"]]}
    rows = frequency_measures(table, known, calibrated=True, **more)
    apart = pl.col("score").fill_null("").str.contains("m_llr_calibrated")
    assert rows.filter(~apart).equals(without)
    assert without.filter(metric="spearman")["alleles"].to_list() == [600] * 5
    assert {"matched 1:2", "not turned", "top 10 %"} <= set(without["group"])
    turned = int((table["info_AA"] == "A").sum())
    left_out = rows.filter(apart, pl.col("group") != "not turned")
    both = "m_llr_calibrated+site"
    names = {"m_llr_calibrated", both, f"{both} fitted"}
    for group in ("all", "matched 1:2"):
        of_group = left_out.filter(group=group)
        assert set(of_group["score"]) == names
        assert of_group["value"].is_null().all()
        assert of_group["note"].str.starts_with(f"not compared: {turned} alleles are turned").all()
    assert left_out.height == 6


def test_calibrated_scores_are_compared_among_the_alleles_that_are_not_turned():
    table, known = polarised(0.4)
    more = {"combine": [["m_llr_calibrated", "site"]], "fit": [["m_llr_calibrated", "site"]]}
    rows = frequency_measures(table, known, calibrated=True, **more)
    row = rows.filter(group="not turned", metric="auroc", score="m_llr_calibrated")
    kept = table.filter(pl.col("info_AA") == "C", pl.col("m_llr_calibrated").is_not_null())
    rare = kept["af"] == 0.01
    auroc = roc_auc_score(rare, -kept["m_llr_calibrated"])
    assert row["value"].item() == pytest.approx(auroc, rel=1e-5)
    assert row["alleles"].item() == kept.height
    difference = auroc - roc_auc_score(rare, -kept["m_llr"])  # of the same alleles
    assert row["difference"].item() == pytest.approx(difference, abs=1e-5)
    assert row["difference_low"].item() < difference < row["difference_high"].item()
    assert row["note"].item() == (
        "rare against common; on the alleles that all calibrated scores have, too"
    )
    fitted = rows.filter(group="not turned", score="m_llr_calibrated+site fitted")
    assert fitted["metric"].to_list() == ["auroc", "auroc_within_strata", "auroc_explained"]
    # The numbers are those of a table without the turned alleles, within strata fitted anew.
    given = pl.Series(table["info_AA"] == "C")
    alone = frequency_measures(table.filter(given), known.filter(given), calibrated=True, **more)
    numbers = ["metric", "score", "alleles", "value", "low", "high", "difference"]
    apart = pl.col("score").str.contains("m_llr_calibrated"), pl.col("metric").is_not_null()
    same = alone.filter(*apart, pl.col("metric").str.starts_with("auroc"), group="all")
    assert rows.filter(*apart, group="not turned").select(numbers).equals(same.select(numbers))
    assert same.height == 9


def test_where_nothing_is_turned_or_little_is_not_rows_say_so():
    table, known = polarised(0)
    rows = frequency_measures(table, known, calibrated=True).filter(metric="auroc")
    both = table["m_llr_calibrated"].is_not_null().sum()
    assert rows.filter(group="all")["alleles"].to_list() == [both] * 6
    table, known = polarised(0.98)
    rows = frequency_measures(table, known, calibrated=True)
    few = rows.filter(group="not turned", score="m_llr_calibrated")["note"]
    assert few.str.contains("too few").all()
    assert len(few) == 2
