import numpy as np
import pytest
import torch

from making.probes import embedded
from varlm.errors import UserError
from varlm.probing.cnn import Embedded, Network, OneHot, Settings, predict_cnn
from varlm.probing.comparing import compare
from varlm.probing.folds import Folds
from varlm.probing.kmers import base_codes
from varlm.probing.parts import open_embeddings

SMALL = Settings(
    channels=8, filters=(16, 16), dense=16, epochs=12, batch_size=32, learning_rate=5e-3
)
MOTIF = "TGACTCA"


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def with_motif(rows, length=40, seed=0):
    """Return random sequences, every other one with the motif at any place, and which."""
    rng = np.random.default_rng(seed)
    sequences = rng.choice(list("ACGT"), (rows, length))
    for row in range(0, rows, 2):
        place = rng.integers(0, length - len(MOTIF))
        sequences[row, place : place + len(MOTIF)] = list(MOTIF)
    return ["".join(letters) for letters in sequences], (np.arange(rows) % 2 == 0).astype(float)


def folds_of(rows, count=3):
    return Folds.of([f"chr{c}" for c in np.arange(rows) // 2 % count], count)


def test_a_motif_is_found_in_one_hot_sequence():
    sequences, label = with_motif(600)
    folds = folds_of(600)
    inputs = OneHot([base_codes(sequences)])
    fit = predict_cnn(inputs, label, folds, SMALL, classes=True)
    compared = compare(fit.predictions[None], label, folds.codes, classes=True, count=0)
    assert compared.within["auroc"].values[0] > 0.9
    assert all(1 <= epoch <= SMALL.epochs for epoch in fit.epochs)


def test_the_same_seed_gives_the_same_predictions_and_leaves_torchs_own_alone():
    sequences, label = with_motif(60)
    inputs, folds = OneHot([base_codes(sequences)]), folds_of(60)
    settings = Settings(channels=4, filters=(4, 4), dense=4, epochs=2)
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first = predict_cnn(inputs, label, folds, settings, classes=False, seed=1)
    assert (torch.random.get_rng_state() == state).all()
    torch.rand(3)
    again = predict_cnn(inputs, label, folds, settings, classes=False, seed=1)
    other = predict_cnn(inputs, label, folds, settings, classes=False, seed=2)
    assert (first.predictions == again.predictions).all()
    assert (first.predictions != other.predictions).any()


def test_labels_of_a_fold_change_nothing_of_its_predictions():
    sequences, label = with_motif(90)
    inputs, folds = OneHot([base_codes(sequences)]), folds_of(90)
    settings = Settings(channels=4, filters=(4, 4), dense=4, epochs=3)
    before = predict_cnn(inputs, label, folds, settings, classes=False)
    held, changed = folds.held(1), label.copy()
    changed[held] = 100 - 3 * changed[held]
    after = predict_cnn(inputs, changed, folds, settings, classes=False)
    assert (before.predictions[held] == after.predictions[held]).all()
    assert (before.predictions != after.predictions).any()


def test_of_variants_the_network_sees_both_alleles():
    """The label is whether ALT makes the motif; neither allele alone tells."""
    rng = np.random.default_rng(3)
    drawn, label = with_motif(600, seed=3)
    plain, _ = with_motif(600, seed=3)
    swapped = rng.integers(0, 2, 600).astype(bool)
    broken = [
        text.replace(MOTIF, "TGGCTCA") if row % 2 == 0 else text for row, text in enumerate(plain)
    ]
    reference = [m if s else b for m, b, s in zip(drawn, broken, swapped, strict=True)]
    alternate = [b if s else m for m, b, s in zip(drawn, broken, swapped, strict=True)]
    gains = np.where(swapped, -label, label)
    inputs = OneHot([base_codes(reference), base_codes(alternate)])
    folds = folds_of(600)
    fit = predict_cnn(inputs, gains, folds, SMALL, classes=False)
    assert np.corrcoef(fit.predictions, gains)[0, 1] > 0.6


def test_one_hot_of_an_unknown_base_is_nothing():
    values = OneHot([base_codes(["ACGTN"])]).take(np.array([0]))
    assert values.shape == (1, 1, 5, 4)
    assert values[0, 0].tolist() == [*np.eye(4).tolist(), [0] * 4]


@pytest.mark.parametrize("kind", ["sequences", "variants"])
def test_embeddings_are_read_from_their_parts(tmp_path, kind):
    values = np.random.default_rng(0).normal(size=(2, 12, 9, 4)).astype(np.float32)
    values = values if kind == "variants" else values[0]
    folder = embedded(
        tmp_path,
        values,
        np.arange(12.0),
        ["chr1"] * 12,
        ["ACGTACGTA"] * 12,
        alternates=["ACGTACGTA"] * 12 if kind == "variants" else None,
        kind=kind,
    )
    taken = Embedded(open_embeddings(folder)).take(np.array([7, 2]))
    whole = values if kind == "variants" else values[None]
    np.testing.assert_array_equal(taken, whole[:, [7, 2]])


@pytest.mark.parametrize("positions", [1, 3, 7, 21, 128])
def test_short_inputs_are_pooled_as_far_as_they_go(positions):
    network = Network((2, 1, positions, 6), Settings(channels=4, filters=(3, 5), dense=4)).eval()
    assert network(torch.zeros(2, 3, positions, 6)).shape == (3,)


def test_a_batch_never_has_one_row():
    sequences, label = with_motif(33 * 3)  # 33 rows fit with a batch of 32
    settings = Settings(channels=2, filters=(2, 2), dense=2, epochs=1, batch_size=32)
    fit = predict_cnn(OneHot([base_codes(sequences)]), label, folds_of(99), settings, classes=False)
    assert np.isfinite(fit.predictions).all()


def test_a_network_that_never_has_a_finite_loss_predicts_nothing():
    sequences, label = with_motif(60)
    settings = Settings(channels=4, filters=(4, 4), dense=4, epochs=2, learning_rate=1e30)
    with pytest.raises(UserError, match=r"no finite number in any of 2 epochs .* lower cnn\.learn"):
        predict_cnn(OneHot([base_codes(sequences)]), label, folds_of(60), settings, classes=False)


def test_random_labels_are_not_predicted():
    sequences, _ = with_motif(400)
    label = np.random.default_rng(8).normal(size=400)
    folds = folds_of(400, 4)
    settings = Settings(channels=4, filters=(8, 8), dense=8, epochs=4)
    fit = predict_cnn(OneHot([base_codes(sequences)]), label, folds, settings, classes=False)
    compared = compare(fit.predictions[None], label, folds.codes, classes=False, count=200)
    interval = compared.within["pearson"].interval(0)
    assert interval.low < 0 < interval.high
