"""Histograms of scores: quantiles to a bin, and bins that fit each kind of score."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varlm.report.distributions import LLR_BINS, Bins, bins_for, has_llr_bins, of_values, round_up
from varlm.tables.score_kinds import SCORE_KINDS


@given(
    st.lists(st.floats(-30, 30), min_size=1, max_size=300),
    st.sampled_from([0.01, 0.05, 0.25, 0.5, 0.75, 0.95]),
)
def test_quantiles_are_those_of_the_values_to_a_bin(values, share):
    quantile = of_values(np.array(values)).quantile(share)
    ordered = np.sort(values)
    # The smallest value with at least `share` of all at or below it lies in the same bin.
    exact = ordered[int(np.ceil(share * len(ordered) - 1e-9)) - 1]
    assert quantile == pytest.approx(exact, abs=LLR_BINS.step + 1e-9)


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=200), st.floats(-25, 25))
def test_share_below_is_within_the_alleles_of_one_bin(values, limit):
    array = np.array(values)
    below = of_values(array).share_below(limit)
    near = np.abs(array - limit) <= LLR_BINS.step + 1e-9
    assert abs(below - (array < limit).mean()) <= near.mean() + 1e-9


def test_distribution_of_nothing_has_no_quantile():
    empty = of_values(np.array([np.nan]))
    assert empty.total == 0
    assert empty.quantile(0.5) is None
    assert empty.share_below(0.0) is None


def test_extreme_scores_count_at_the_ends():
    llrs = of_values(np.array([-1e4, 1e4, 0.0]))
    assert llrs.total == 3
    assert llrs.quantile(0.01) < -99.9
    assert llrs.quantile(0.99) > 99.9


@given(st.floats(1, 1e9))
def test_widths_are_round_and_large_enough(value):
    width = int(round_up(value))
    assert value <= width <= 2.5 * value + 1
    assert str(width).rstrip("0") in ("1", "2", "5")


def test_the_bins_of_log_ratios_are_those_of_old_reports():
    values = np.array([-3.0, 5.0])
    for kind in SCORE_KINDS.values():
        of_old = kind.is_llr and kind.name != "mean_likelihood"
        assert (bins_for(kind, values) == LLR_BINS) == of_old
    assert (LLR_BINS.low, LLR_BINS.high, LLR_BINS.places) == (-100.0, 100.0, 2)
    assert LLR_BINS.middles[[0, -1]] == pytest.approx([-99.975, 99.975])


@pytest.mark.parametrize(("step", "places"), [(5.0, 0), (0.05, 2), (0.0002, 4), (1e-7, 7)])
def test_decimals_tell_bins_apart(step, places):
    assert Bins(0.0, step, 10).places == places


SCALED = [kind for kind in SCORE_KINDS.values() if not has_llr_bins(kind)]
SCALED.remove(SCORE_KINDS["probability"])


@pytest.mark.parametrize("kind", SCALED, ids=lambda kind: kind.name)
@given(st.integers(-9, 3), st.integers(0, 3))
def test_bins_are_to_the_scale_of_the_background(kind, power, seed):
    rng = np.random.default_rng(seed)
    scale = min(10.0**power, 0.1) if kind.name == "cosine" else 10.0**power
    values = scale * rng.lognormal(size=2000)
    if kind.name == "inner_product":
        values = 300 * scale - values
    bins = bins_for(kind, values)
    assert bins.count <= 7000
    spread = np.quantile(values, 0.95) - np.quantile(values, 0.05)
    assert 50 < spread / bins.step <= 160
    counted = of_values(values, bins)
    for share in (0.05, 0.25, 0.5, 0.75, 0.95):
        exact = np.quantile(values, share)
        assert counted.quantile(share) == pytest.approx(exact, abs=2 * bins.step + spread / 100)
    assert bins_for(kind, rng.permutation(values)) == bins
    if kind.harmful == "high":
        assert bins.low == 0


@pytest.mark.parametrize("kind", SCALED, ids=lambda kind: kind.name)
@pytest.mark.parametrize("values", [[], [np.nan], [0.0, 0.0], [0.25] * 9])
def test_bins_of_odd_backgrounds_hold_their_values(kind, values):
    bins = bins_for(kind, np.array(values))
    counted = of_values(np.array(values), bins)
    assert counted.total == np.isfinite(values).sum()
    if counted.total:
        assert counted.quantile(0.5) == pytest.approx(values[0], abs=bins.step)


def test_probabilities_reach_from_one_end_to_the_other():
    bins = bins_for(SCORE_KINDS["probability"], np.array([0.1]))
    assert (bins.low, bins.high) == (-1, 1)
    frame = pl.DataFrame({"p": [-1.0, -0.4999, 1.0, None, np.nan]})
    assert frame.select(bins.index("p"))["p"].to_list() == [0, 1000, 3999, None, None]


def test_histograms_of_unlike_bins_have_no_sum():
    with pytest.raises(ValueError, match="have no sum"):
        of_values(np.array([1.0])) + of_values(np.array([1.0]), Bins(0.0, 1.0, 5))
