"""The fast forward pass: fewer multiplications, fewer positions, the same function."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from making.toy_models import CONFIGS, LEGACY_66M, VARIANTS, make_checkpoint
from varlm.models.gpn import model as gpn
from varlm.models.gpn import winograd
from varlm.models.gpn.reach import Reach

CONVOLUTIONS = {
    name: config for name, config in (CONFIGS | VARIANTS).items() if "roformer" not in name.lower()
}


@pytest.mark.parametrize(("m", "r"), [(2, 3), (3, 3), (4, 3), (2, 5), (3, 2)])
def test_toom_cook_is_the_correlation(m, r):
    tile = winograd.toom_cook(m, r)
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal(r), rng.standard_normal(m + r - 1)
    assert tile.products == m + r - 1
    np.testing.assert_allclose(
        tile.a @ ((tile.g @ w) * (tile.b @ x)), np.correlate(x, w, "valid"), atol=1e-12
    )


@pytest.mark.parametrize("taps", [3, 4, 5, 6, 7, 8, 9, 10, 12])
def test_tiles_are_the_correlation_and_save_products(taps):
    rng = np.random.default_rng(1)
    assert winograd.tiles(taps)
    for tile in winograd.tiles(taps):
        w, x = rng.standard_normal(taps), rng.standard_normal(tile.outputs + taps - 1)
        np.testing.assert_allclose(
            tile.a @ ((tile.g @ w) * (tile.b @ x)), np.correlate(x, w, "valid"), atol=1e-11
        )
        assert tile.products < taps * tile.outputs


@pytest.mark.parametrize(
    ("taps", "length", "dilation", "products", "outputs"),
    [(9, 540, 1, 40, 18), (9, 512, 32, 40, 18), (9, 384, 32, 30, 12), (5, 540, 1, 35, 18)],
)
def test_the_cheapest_tile_fits_the_stretch(taps, length, dilation, products, outputs):
    tile = winograd.cheapest(taps, length, dilation)
    assert tile is not None
    assert (tile.products, tile.outputs) == (products, outputs)


def test_other_kernels_have_no_tiles():
    assert winograd.cheapest(1, 512, 1) is None
    assert winograd.cheapest(13, 512, 1) is None


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([3, 4, 5, 9]), st.integers(1, 8), st.integers(1, 40), st.data())
def test_winograd_equals_conv1d(taps, dilation, length, data):
    torch.manual_seed(0)
    tile = data.draw(st.sampled_from(winograd.tiles(taps)))
    start = data.draw(st.integers(0, min(3, length - 1)))
    weight, bias, x = torch.randn(7, 6, taps), torch.randn(7), torch.randn(2, length, 6)
    left, right = Reach(taps, dilation).before, dilation * (taps - 1)
    padded = F.pad(x.transpose(1, 2), (left, right - left))
    expected = F.conv1d(padded, weight, bias, dilation=dilation).transpose(1, 2)
    fast = winograd.WinogradConv(weight, bias, dilation, tile)
    found = fast(x, left - start, length - start)
    torch.testing.assert_close(found, expected[:, start:], atol=1e-4, rtol=0)


def test_winograd_rounding_is_that_of_float32():
    """On unit-variance values of the size of the 65.9 M model's layers."""
    torch.manual_seed(0)
    w, x = torch.randn(64, 512, 9) / (512 * 9) ** 0.5, torch.randn(1, 96, 512)
    exact = F.conv1d(x.double().transpose(1, 2), w.double(), padding=4).transpose(1, 2)
    tile = winograd.cheapest(9, 96, 1)
    assert tile is not None
    found = winograd.WinogradConv(w, None, 1, tile)(x, 4, 96)
    assert (found - exact).abs().max() < 3e-5


@pytest.fixture(scope="module", params=sorted(CONVOLUTIONS))
def model(request, tmp_path_factory):
    folder = make_checkpoint(tmp_path_factory.mktemp(request.param), CONVOLUTIONS[request.param])
    return gpn.load(folder, torch.device("cpu"))


def direct(model, ids, index):
    """The plain forward pass, which test_skeleton.py holds equal to gpn's."""
    ids = ids.long().clone()
    if index is not None:
        ids[:, index] = model.tokens.mask
    with torch.inference_mode():
        logits = model.module(input_ids=ids).logits[:, :, list(model.tokens.bases)]
    return logits if index is None else logits[:, index]


@pytest.mark.parametrize(("mode", "tolerance"), [("float32", 3e-5), ("winograd", 1e-4)])
@pytest.mark.parametrize("length", [9, 64, 101])
def test_the_pruned_forward_pass_equals_gpns_own(model, mode, tolerance, length):
    model.set_mode(mode)
    rng = np.random.default_rng(length)
    windows = rng.choice(np.frombuffer(b"ACGTN", np.uint8), (3, length))
    ids = torch.from_numpy(model.encode(windows))
    for index in {0, length // 2, (length - 1) // 2, length - 1}:
        torch.testing.assert_close(
            model.site_logits(ids, index), direct(model, ids, index), atol=tolerance, rtol=0
        )
    whole = direct(model, ids, None)
    torch.testing.assert_close(model.base_logits(ids), whole, atol=tolerance, rtol=0)
    for start, stop in ((0, length // 2), (length // 4, length - length // 4), (3, length)):
        torch.testing.assert_close(
            model.tile_logits(ids, start, stop), whole[:, start:stop], atol=tolerance, rtol=0
        )


@pytest.mark.slow
def test_the_legacy_shape_equals_gpns_own(tmp_path):
    """25 layers and W = 512, so that every stretch of the plan is used; fewer channels."""
    folder = make_checkpoint(tmp_path, LEGACY_66M | {"hidden_size": 64})
    model = gpn.load(folder, torch.device("cpu"))
    rng = np.random.default_rng(5)
    ids = torch.from_numpy(model.encode(rng.choice(np.frombuffer(b"ACGT", np.uint8), (2, 512))))
    for mode in ("float32", "winograd"):
        model.set_mode(mode)
        for index in (255, 256):
            torch.testing.assert_close(
                model.site_logits(ids, index), direct(model, ids, index), atol=1e-4, rtol=0
            )


@pytest.mark.parametrize(("mode", "tolerance"), [("bfloat16", 0.2), ("float16", 0.05)])
def test_reduced_precision_is_close_and_in_its_type(model, mode, tolerance):
    model.set_mode(mode)
    ids = torch.from_numpy(model.encode(np.frombuffer(b"ACGTTGCA" * 8, np.uint8)[None]))
    found, expected = model.site_logits(ids, 32), direct(model, ids, 32)
    assert found.dtype == torch.float32
    assert 0 < (found - expected).abs().max() < tolerance
