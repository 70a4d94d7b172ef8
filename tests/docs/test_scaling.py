"""docs/scaling.md: operations a site as torch counts them, tables as the script makes them."""

import importlib.util

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from making.toy_models import CONFIGS, LEGACY_66M, make_checkpoint
from varlm.models.gpn import model as gpn


@pytest.fixture(scope="module")
def scaling():
    from conftest import ROOT

    spec = importlib.util.spec_from_file_location("scaling", ROOT / "docs/scaling.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Windows below and above what the layers reach, odd and even.
@pytest.mark.parametrize("window", [17, 64, 96])
@pytest.mark.parametrize("name", CONFIGS)
def test_operations_are_those_that_torch_counts(scaling, tmp_path, name, window):
    model = gpn.load(make_checkpoint(tmp_path / "model", CONFIGS[name]), torch.device("cpu"))
    windows = np.frombuffer(b"ACGT" * window, np.uint8)[: 2 * window].reshape(2, window)
    ids = torch.from_numpy(model.encode(windows))

    def counted(run):
        # Fused attention is one operation, which torch does not count on every device.
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            run()
        return counter.get_total_flops() / len(ids)

    for index in (window // 2, window // 2 - 1, 0):
        expected = counted(lambda index=index: model.site_logits(ids, index))
        assert scaling.flops(CONFIGS[name], window, index) == expected, index
    tile = range(window // 4, window - window // 4)
    expected = counted(lambda: model.tile_logits(ids, tile.start, tile.stop))
    assert scaling.flops(CONFIGS[name], window, tile) == expected
    whole = counted(lambda: model.base_logits(ids))
    assert scaling.flops(CONFIGS[name], window, None) == whole


def test_the_pages_model_is_the_one_that_was_measured(scaling):
    known = {key: value for key, value in LEGACY_66M.items() if key != "architectures"}
    assert scaling.MODELS[scaling.MAIN] == known


def test_a_site_of_the_large_model_by_hand(scaling):
    # The last four of its layers have the dilations 32, 16 … cut by the centre: 1 position at the
    # end, 9 before it; the layers far from it see all 512.
    config = {**LEGACY_66M, "n_layers": 2, "hidden_size": 8}
    # dilations 1, 2: the last layer one output, 9 products; the first 9 outputs, a table.
    one = 9 * 64 + 64  # convolution and feed-forward of the last layer
    first = 9 * 64  # feed-forward of the first
    head = 64 + 8 * 7
    assert scaling.flops(config, 512, 256) == 2 * (one + first + head)


def test_the_pages_tables_are_fresh(scaling):
    page = scaling.PAGE.read_text(encoding="utf-8")
    assert scaling.filled(page) == page, "run .venv/bin/python docs/scaling.py"


@pytest.mark.slow
def test_a_stale_table_is_told_and_mended(scaling, tmp_path, monkeypatch, capsys):
    stale = tmp_path / "scaling.md"
    text = scaling.PAGE.read_text(encoding="utf-8")
    stale.write_text(text.replace("| A100, bfloat16 | 312 |", "| A100, bfloat16 | 313 |"))
    monkeypatch.setattr(scaling, "PAGE", stale)
    assert scaling.main(["--check"]) == 1
    assert "out of date: docs/scaling.md" in capsys.readouterr().err
    assert scaling.main([]) == 0
    assert stale.read_text(encoding="utf-8") == text
    assert scaling.main(["--check"]) == 0


def test_another_price_or_fraction_changes_what_it_should(scaling, monkeypatch):
    operations = scaling.cohort_flops(scaling.MAIN, next(iter(scaling.COHORTS)))
    one = scaling.gpu_hours(operations, "H100", 0.5)
    assert scaling.gpu_hours(operations, "H100", 0.25) == pytest.approx(2 * one)
    assert one == pytest.approx(operations / (989e12 * 0.5) / 3600)
    before = scaling.sensitivity(None)
    monkeypatch.setitem(scaling.EUROS_AN_HOUR, "L4", 100.0)
    after = scaling.sensitivity(None)
    changed = {
        line.split("|")[1].strip().split(",")[0]
        for line, old in zip(after.splitlines(), before.splitlines(), strict=True)
        if line != old
    }
    assert changed == {"L4"}
