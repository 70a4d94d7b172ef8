import numpy as np
import pytest

from varlm.errors import UserError
from varlm.probing.folds import Folds, check_classes

NAMES = [*["I"] * 5, *["II"] * 20, *["III"] * 9, *["IV"] * 30, *["V"] * 11, *["VI"] * 2]


def test_chromosomes_stay_whole_and_folds_are_about_equal():
    folds = Folds.of(NAMES, 3)
    assert folds.count == 3
    assert sorted(name for names in folds.names for name in names) == sorted(set(NAMES))
    for fold, names in enumerate(folds.names):
        assert {NAMES[row] for row in folds.held(fold)} == set(names)
    assert sorted(np.bincount(folds.codes)) == [22, 25, 30]


def test_few_chromosomes_are_folds_of_their_own():
    folds = Folds.of(["b", "a", "c", "a"], 8)
    assert folds.count == 3
    assert folds.names[folds.codes[0]] == ("b",)


def test_the_order_of_rows_does_not_change_the_folds():
    shuffled = np.random.default_rng(1).permutation(NAMES)
    assert set(Folds.of(shuffled, 3).names) == set(Folds.of(NAMES, 3).names)


def test_two_chromosomes_are_too_few():
    with pytest.raises(UserError, match=r"2 chromosomes \(I, II\).*at least 3"):
        Folds.of(["I", "II", "I"], 8)


@pytest.mark.parametrize("most", [3, 4, 6])
def test_nothing_of_a_fold_helps_to_predict_it(most):
    folds = Folds.of(NAMES, most)
    chromosomes = np.array(NAMES)
    for fold in range(folds.count):
        held, others = folds.held(fold), folds.others(fold)
        fitted, stopping = folds.validating(fold)
        parts = [chromosomes[held], chromosomes[fitted], chromosomes[stopping]]
        assert sum(part.size for part in parts) == len(NAMES)
        assert sum(len(set(part)) for part in parts) == len(set(NAMES))
        splits = folds.choosing(fold)
        assert sorted(np.concatenate([part for _, part in splits])) == list(range(others.size))
        for used, left in splits:
            assert not set(chromosomes[others[used]]) & set(chromosomes[others[left]])
            assert used.size + left.size == others.size


def test_a_class_on_two_chromosomes_is_too_few():
    folds = Folds.of(["a", "b", "c", "d", "d"], 8)
    with pytest.raises(UserError, match="the label 1 is in 2 of 4 folds"):
        check_classes(np.array([True, False, False, False, True]), folds)
    mixed = Folds.of(["a", "b", "c"] * 2, 8)
    check_classes(np.array([True] * 3 + [False] * 3), mixed)
    with pytest.raises(UserError, match="the label 0 is in 1 of 4 folds"):
        check_classes(np.array([True, True, True, True, False]), folds)
