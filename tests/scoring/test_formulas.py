"""Scores: hand-computed values and the invariants that a user relies on."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from varlm.scoring import formulas
from varlm.tables.schemas import LOGIT_COLUMNS
from varlm.tables.score_kinds import SCORE_KINDS, score_columns

LOGITS = arrays(np.float32, (5, 2, 4), elements=st.floats(-30, 30, width=32))
BASES = arrays(np.int64, 5, elements=st.integers(0, 3))


def test_values_by_hand():
    logits = np.array([[[0, math.log(3), 0, 0], [0, math.log(3), 0, math.log(9)]]])
    scores = formulas.snv_scores(logits, np.array([0]), np.array([3]))
    assert scores["llr_fwd"][0] == pytest.approx(0)
    assert scores["llr_rev"][0] == pytest.approx(math.log(9))
    assert scores["llr"][0] == pytest.approx(math.log(3))
    # Strand-averaged logits: 0, ln 3, 0, ln 3 → probabilities 1/8, 3/8, 1/8, 3/8.
    assert scores["p_ref"][0] == pytest.approx(1 / 8)
    assert scores["p_alt"][0] == pytest.approx(3 / 8)
    expected = -2 * (1 / 8 * math.log(1 / 8) + 3 / 8 * math.log(3 / 8))
    assert scores["entropy"][0] == pytest.approx(expected)


def test_entropy_at_its_ends():
    assert formulas.entropy(np.zeros(4)) == pytest.approx(math.log(4))
    assert formulas.entropy(np.array([1000.0, 0, 0, 0])) == 0.0


def test_forward_strand_alone():
    logits = np.full((1, 2, 4), np.nan, dtype=np.float32)
    logits[0, 0] = [1, 2, 3, 4]
    scores = formulas.snv_scores(logits, np.array([0]), np.array([2]))
    assert scores["llr"][0] == scores["llr_fwd"][0] == 2
    assert np.isnan(scores["llr_rev"][0])
    assert scores["p_alt"][0] == pytest.approx(math.exp(3) / sum(map(math.exp, [1, 2, 3, 4])))


@pytest.mark.parametrize("kind", SCORE_KINDS.values(), ids=list(SCORE_KINDS))
@given(LOGITS, BASES, BASES)
def test_each_kind_makes_its_own_columns_of_four_numbers(kind, numbers, ref, alt):
    scores = formulas.snv_scores(numbers, ref, alt, kind)
    assert [*scores, "percentile"] == [name for name, _ in score_columns(kind)]
    for row, (strands, r, a) in enumerate(zip(numbers.tolist(), ref, alt, strict=True)):
        by_hand = [strand[a] - (strand[r] if kind.difference else 0) for strand in strands]
        assert scores[f"{kind.column}_fwd"][row] == by_hand[0]
        assert scores[f"{kind.column}_rev"][row] == by_hand[1]
        assert scores[kind.column][row] == sum(by_hand) / 2


@given(LOGITS, BASES)
def test_ref_equal_to_alt_scores_zero(logits, base):
    scores = formulas.snv_scores(logits, base, base)
    assert (scores["llr"] == 0).all()
    assert (scores["llr_fwd"] == 0).all()
    assert (scores["llr_rev"] == 0).all()


@given(LOGITS, BASES, BASES)
def test_swapping_the_alleles_negates(logits, ref, alt):
    one, two = formulas.snv_scores(logits, ref, alt), formulas.snv_scores(logits, alt, ref)
    np.testing.assert_array_equal(one["llr"], -two["llr"])
    np.testing.assert_array_equal(one["llr_rev"], -two["llr_rev"])
    np.testing.assert_array_equal(one["p_ref"], two["p_alt"])
    np.testing.assert_array_equal(one["entropy"], two["entropy"])


@given(LOGITS, BASES, BASES)
def test_swapping_the_strands_changes_nothing_but_their_names(logits, ref, alt):
    one, two = formulas.snv_scores(logits, ref, alt), formulas.snv_scores(logits[:, ::-1], ref, alt)
    np.testing.assert_array_equal(one["llr"], two["llr"])
    np.testing.assert_array_equal(one["llr_fwd"], two["llr_rev"])
    np.testing.assert_array_equal(one["entropy"], two["entropy"])


@given(LOGITS, st.floats(-5, 5))
def test_a_constant_added_to_all_logits_changes_nothing(logits, constant):
    ref, alt = np.zeros(5, int), np.ones(5, int)
    one, two = (
        formulas.snv_scores(logits, ref, alt),
        formulas.snv_scores(logits + constant, ref, alt),
    )
    np.testing.assert_allclose(one["p_ref"], two["p_ref"], atol=1e-5)
    np.testing.assert_allclose(one["entropy"], two["entropy"], atol=1e-4)
    np.testing.assert_allclose(one["llr"], two["llr"], atol=1e-4)


@given(LOGITS)
def test_probabilities_and_entropy_stay_in_range(logits):
    p = formulas.probabilities(logits)
    np.testing.assert_allclose(p.sum(axis=-1), 1)
    h = formulas.entropy(logits)
    assert (h >= -1e-12).all()
    assert (h <= math.log(4) + 1e-12).all()
    with np.errstate(divide="ignore", invalid="ignore"):
        direct = -np.where(p > 0, p * np.log(p), 0).sum(axis=-1)
    np.testing.assert_allclose(h, direct, atol=1e-9)


def test_base_index_takes_text_and_bytes():
    assert formulas.base_index(np.array(["A", "T", "G", "C"])).tolist() == [0, 3, 2, 1]
    assert formulas.base_index(np.frombuffer(b"CA", np.uint8)).tolist() == [1, 0]


@pytest.mark.parametrize("bases", [np.array(["A", "N"]), np.frombuffer(b"a", np.uint8)])
def test_base_index_refuses_what_is_no_base(bases):
    with pytest.raises(ValueError, match="not one of A, C, G, T"):
        formulas.base_index(bases)


@given(LOGITS)
def test_the_columns_of_a_table_and_the_logits_are_the_same_numbers(logits):
    table = formulas.logit_columns(logits)
    assert table.columns == list(LOGIT_COLUMNS)
    assert table["fwd_c"].to_list() == logits[:, 0, 1].tolist()
    assert table["rev_t"].to_list() == logits[:, 1, 3].tolist()
    np.testing.assert_array_equal(formulas.site_logits(table), logits)


def test_a_strand_that_is_not_scored_is_null_in_a_table_and_nan_in_logits():
    logits = np.ones((2, 2, 4), np.float32)
    logits[:, 1] = np.nan
    table = formulas.logit_columns(logits).fill_nan(None)
    assert table["rev_a"].null_count() == 2
    np.testing.assert_array_equal(formulas.site_logits(table), logits)


@pytest.mark.parametrize("kind", SCORE_KINDS.values(), ids=SCORE_KINDS)
@given(LOGITS, BASES, BASES)
def test_a_strands_score_is_that_of_its_kind(kind, numbers, ref, alt):
    scores = formulas.score_by_strand(kind, numbers, ref, alt)
    for row in range(5):
        for strand in range(2):
            four = numbers[row, strand].astype(float)
            expected = four[alt[row]] - (four[ref[row]] if kind.difference else 0)
            assert scores[row, strand] == expected
