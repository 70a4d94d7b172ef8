"""Between score and store: every planned row exactly once, every value finite."""

import polars as pl
import pytest

from varlm.errors import UserError
from varlm.scoring.shard_check import checked_scores
from varlm.tables.schemas import ALLELES, LOGIT_COLUMNS, SHARD, SITES

PLANNED = pl.DataFrame(
    [("c", 3, None, None), ("c", 7, None, None), ("c", 7, "A", "AT")],
    schema=SHARD.schema,
    orient="row",
)
SITE_SCORES = pl.DataFrame(
    [("c", 3, *[0.5] * 8), ("c", 7, *[1.5] * 8)], schema=SITES.schema, orient="row"
)
ALLELE_SCORES = pl.DataFrame([("c", 7, "A", "AT", -1.0, -2.0)], schema=ALLELES.schema, orient="row")


@pytest.fixture
def check(tmp_path):
    def run(planned=PLANNED, sites=SITE_SCORES, alleles=ALLELE_SCORES, strands="both"):
        paths = [tmp_path / name for name in ("shard", "sites", "alleles")]
        for frame, path in zip((planned, sites, alleles), paths, strict=True):
            frame.write_parquet(path)
        return checked_scores(*paths, strands)

    return run


def test_complete_scores_pass(check):
    sites, alleles = check()
    assert sites.equals(SITE_SCORES)
    assert alleles.equals(ALLELE_SCORES)


@pytest.mark.parametrize(
    "sites",
    [
        SITE_SCORES.head(1),
        pl.concat([SITE_SCORES, SITE_SCORES.head(1)]),
        SITE_SCORES.with_columns(pos=pl.Series([3, 8], dtype=pl.UInt32)),
    ],
    ids=["missing", "twice", "another"],
)
def test_other_rows_than_planned(check, sites):
    with pytest.raises(UserError, match="scored sites, 2 planned"):
        check(sites=sites)


def test_a_missing_allele(check):
    with pytest.raises(UserError, match="0 scored alleles, 1 planned"):
        check(alleles=ALLELE_SCORES.head(0))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_fault_59_values_that_are_not_finite(check, value):
    column = LOGIT_COLUMNS[-1]
    bad = SITE_SCORES.with_columns(pl.Series(column, [0.0, value], dtype=pl.Float32))
    with pytest.raises(UserError, match=r"without a finite score, the first at c:7"):
        check(sites=bad)


def test_forward_only_has_no_reverse(check):
    none = pl.lit(None, dtype=pl.Float32)
    sites = SITE_SCORES.with_columns(none.alias(n) for n in LOGIT_COLUMNS if n.startswith("rev"))
    alleles = ALLELE_SCORES.with_columns(llr_rev=none)
    assert check(sites=sites, alleles=alleles, strands="forward")[0].equals(sites)
    for strands in ("both", "transcript"):
        with pytest.raises(UserError, match="without a finite score"):
            check(sites=sites, alleles=alleles, strands=strands)


def test_another_table_is_refused(check):
    with pytest.raises(UserError, match="not a 'sites' table"):
        check(sites=ALLELE_SCORES)
