"""How a training hid its bases, and what unmasked answers differ by for that."""

import numpy as np
import pytest

from varlm.errors import UserError
from varlm.models.corruption import Corruption
from varlm.models.preparing import prepare
from varlm.run.checkpoint_folders import CORRUPTION as FILE
from varlm.run.checkpoint_folders import files_of
from varlm.training.batches import CORRUPTION, MASK, masked
from varlm.training.checkpoints import write_checkpoint

SOME = [CORRUPTION, Corruption(masked=0.5, random=0.3, kept=0.2, symbols=7)]


@pytest.mark.parametrize("corruption", SOME)
def test_an_ideal_models_unmasked_ratio_is_the_masked_one_less_the_constant(corruption):
    rng, seen = np.random.default_rng(1), 2
    context = rng.dirichlet(np.ones(corruption.symbols), 100)  # P(true | context)
    likelihood = np.full(corruption.symbols, corruption.random / corruption.symbols)
    likelihood[seen] += corruption.kept  # P(seen | true)
    unmasked = np.log(context * likelihood)
    ratios = [x - x[:, seen : seen + 1] for x in (np.log(context), unmasked)]
    others = np.arange(corruption.symbols) != seen
    shift = (ratios[0] - ratios[1])[:, others]
    assert shift == pytest.approx(np.full_like(shift, corruption.constant))


def test_what_training_says_is_what_it_does():
    codes = np.zeros((2000, 500), np.uint8)
    rng = np.random.default_rng(0)
    batch = masked(codes, np.ones(codes.shape, np.float32), rng, 1.0)
    shares = [(batch.inputs == token).mean() for token in (MASK, 3, 4)]
    same = CORRUPTION.random / CORRUPTION.symbols
    assert shares == pytest.approx([CORRUPTION.masked, CORRUPTION.kept + same, same], abs=2e-3)
    assert np.log(shares[1] / shares[2]) == pytest.approx(CORRUPTION.constant, abs=0.02)
    assert CORRUPTION.constant == pytest.approx(np.log(5))


def test_without_random_symbols_there_is_no_constant():
    assert Corruption(masked=0.9, random=0, kept=0.1, symbols=4).constant is None


def test_it_is_no_part_of_what_a_checkpoint_is_known_by(root, tmp_path):
    shipped = root / "resources/models/saccharomyces"
    assert Corruption.of(shipped) == CORRUPTION
    assert Corruption.of(root / "resources/demo/model") is None
    assert not any(FILE in file for file in files_of(str(shipped)))
    settings = {"name": "m", "path": "p", "revision": None, "precision": "auto"}
    model = prepare(shipped, **settings)
    assert FILE not in model.files
    assert len(files_of(str(shipped))) == 4
    (tmp_path / FILE).write_text('{"masked": 1}')
    with pytest.raises(UserError, match="lacks kept, random, symbols"):
        Corruption.of(tmp_path)


def test_a_checkpoint_says_it_and_loses_it_with_the_next_training(tmp_path):
    write_checkpoint(tmp_path, {"model_type": "GPN"}, {}, 64, CORRUPTION)
    assert Corruption.of(tmp_path) == CORRUPTION
    write_checkpoint(tmp_path, {"model_type": "VarlmLSTM"}, {}, 64)
    assert Corruption.of(tmp_path) is None
