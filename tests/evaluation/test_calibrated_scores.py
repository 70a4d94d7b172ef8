"""Calibrated scores are compared beside the raw ones."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from making import records
from making.config import load_config
from varlm.evaluation.cohort import EvaluationInput, evaluate
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
