"""The signed-rank test and the false discovery rate are scipy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, wilcoxon

from varlm.training.signed_rank import benjamini_hochberg, wilcoxon_greater

NUMBERS = st.floats(-100, 100).map(lambda number: round(number, 2))


@settings(max_examples=200, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=90))
def test_the_p_value_is_scipys(numbers):
    differences = np.array(numbers)
    without = differences[differences != 0]
    if not without.size:
        assert wilcoxon_greater(differences) == 1
        return
    tied = np.unique(np.abs(without)).size < without.size
    method = "exact" if without.size <= 50 and not tied else "asymptotic"
    oracle = wilcoxon(without, alternative="greater", method=method).pvalue
    assert wilcoxon_greater(differences) == pytest.approx(oracle, rel=1e-9, abs=1e-300)


def test_small_p_values_do_not_become_zero():
    differences = np.random.default_rng(0).normal(5, 1, 1000)
    oracle = wilcoxon(differences, alternative="greater", method="asymptotic").pvalue
    assert 0 < oracle < 1e-100
    assert wilcoxon_greater(differences) == pytest.approx(oracle, rel=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_the_q_values_are_scipys(numbers):
    p = np.array(numbers)
    assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p), rel=1e-12)
