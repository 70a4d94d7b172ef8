"""TF32: where it is switched on and off, and that models agree with float32 in it.

Devices that have it are made up here, and its products are emulated: no GPU is needed.
"""

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from making import berts, dnabert2
from making.scoring import ascii_array, site_logits
from making.tf32 import EmulatedTF32, cut
from making.toy_models import CONFIGS, make_checkpoint
from varlm.errors import UserError
from varlm.genome.windows import site_windows
from varlm.models import tf32
from varlm.models.gpn import model as gpn
from varlm.models.loading import load_model
from varlm.models.networks import network_model
from varlm.scoring.batch_size import choose_device
from varlm.scoring.scorer import Scorer
from varlm.scoring.tuning import TOLERANCE, largest_difference, tune

SEQUENCE = ascii_array("".join(np.random.default_rng(5).choice(list("ACGT"), 300)))
POSITIONS = np.arange(20, 280, 13)


def switches() -> set[bool]:
    return {torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32}


@pytest.fixture
def everywhere(monkeypatch):
    """Every device says that it has TF32."""
    for module in (tf32, gpn, network_model):
        monkeypatch.setattr(module, "has_tf32", lambda _: True)
    yield
    choose_device("cpu")


@pytest.mark.parametrize(
    ("capability", "hip", "there"),
    [((7, 5), None, False), ((8, 0), None, True), ((9, 0), None, True), ((9, 4), "6.2", False)],
)
def test_gpus_from_a100_on_have_it(monkeypatch, capability, hip, there):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.version, "hip", hip)
    assert tf32.has_tf32(torch.device("cuda", 0)) == there


def models(folder):
    """One of each class that switches it."""
    yield load_model(make_checkpoint(folder / "gpn", CONFIGS["legacy"]))
    yield load_model(make_checkpoint(folder / "roformer", CONFIGS["roformer"]))
    berts.splicebert(folder / "bert")
    yield load_model(folder / "bert", family="splicebert")
    yield load_model(dnabert2.make_checkpoint(folder / "dnabert2"))


def test_it_is_on_while_a_model_is_in_it(tmp_path, everywhere):
    for model in models(tmp_path):
        assert switches() == {False}
        for mode in ("tf32", "bfloat16", "tf32", "float32"):
            model.set_mode(mode)
            assert model.mode == mode
            assert switches() == {mode == "tf32"}


def test_choosing_a_device_or_loading_a_model_switches_it_off(tmp_path, everywhere):
    for again in (lambda: choose_device("cpu"), lambda: next(models(tmp_path))):
        tf32.allow("tf32", torch.device("cpu"))
        assert switches() == {True}
        again()
        assert switches() == {False}


def test_asked_for_on_a_processor_it_is_an_error(tmp_path):
    for model in models(tmp_path):
        assert "tf32" not in model.modes()
        with pytest.raises(UserError, match=r"scoring.precision: tf32 is not available on cpu; it"):
            tune(Scorer(model), site_windows(SEQUENCE, POSITIONS, 32), "tf32")
        assert model.mode == "float32"
        assert switches() == {False}


def test_it_is_tried_between_float32_and_bfloat16(tmp_path, monkeypatch, everywhere):
    for module in (gpn, network_model):
        monkeypatch.setattr(module, "has_bfloat16", lambda _: True)
    legacy, roformer, bert, _ = models(tmp_path)
    assert legacy.modes() == ("float32", "winograd", "tf32", "bfloat16")
    assert roformer.modes() == bert.modes() == ("float32", "tf32", "bfloat16")


@pytest.mark.parametrize("name", CONFIGS)
def test_emulated_it_agrees_with_float32_within_its_tolerance(tmp_path, everywhere, name):
    model = load_model(make_checkpoint(tmp_path, CONFIGS[name]))
    plain = site_logits(Scorer(model), SEQUENCE, POSITIONS, 64)
    model.set_mode("tf32")
    # Fused attention is one operation, whose products would not be seen.
    with sdpa_kernel(SDPBackend.MATH), EmulatedTF32() as products:
        fast = site_logits(Scorer(model), SEQUENCE, POSITIONS, 64)
    assert products.count > 20
    assert 1e-4 < largest_difference(plain, fast) < TOLERANCE["tf32"]


def test_the_emulation_keeps_ten_bits():
    exact = torch.tensor([1 + 2**-10, -(1 + 2**-10), 3.0, 0.0])
    assert torch.equal(cut(exact), exact)
    assert torch.equal(cut(exact * (1 + 2**-12)), exact)
    with EmulatedTF32():
        assert (torch.full((1, 1), 1 + 2**-11) @ torch.ones((1, 1))).item() == 1.0
