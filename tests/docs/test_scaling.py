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


def test_a_dense_site_is_its_share_of_a_tile(scaling):
    # Two passes of 512 bp for 256 sites: the roformer's work at all positions but in its last
    # layer and head, which answer the middle 256.
    hidden, inner, layers, window, answered = 768, 3072, 12, 512, 256
    whole = window * (4 * hidden**2 + 2 * hidden * inner) + 2 * window**2 * hidden
    asked = window * 2 * hidden**2 + answered * (2 * hidden**2 + 2 * hidden * inner)
    asked += 2 * answered * window * hidden
    head = answered * (hidden**2 + hidden * 7)
    by_hand = 2 * 2 * ((layers - 1) * whole + asked + head) / answered
    assert scaling.dense_flops("GPN roformer, 12 × 768") == by_hand
    for name in scaling.OF_GENOMES:
        assert 50 < scaling.site_flops(name) / scaling.dense_flops(name) < 256


def cells(text, model):
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    (start,) = (number for number, row in enumerate(rows) if row[0] == model)
    return rows[start]


def test_dense_core_hours_are_the_measured_ones_where_there_are_any(scaling, monkeypatch):
    before = scaling.dense(scaling.Measured())
    monkeypatch.setitem(scaling.CORE_SECONDS, scaling.YEAST, (36.0, 0.36))
    after = scaling.dense(scaling.Measured())
    assert cells(after, scaling.MAIN) == cells(before, scaling.MAIN)
    hours = [scaling.number(scaling.GENOMES["human"] * 1e6 * each / 100) for each in (1, 0.01)]
    assert cells(after, scaling.YEAST)[6] == " / ".join(hours)


def test_a_gpu_that_was_measured_has_its_table(scaling, tmp_path, monkeypatch):
    figures = tmp_path / "gpu.md"
    monkeypatch.setattr(scaling, "GPU_FIGURES", figures)
    assert "No GPU has been measured" in scaling.measured_gpu(None)
    assert "**not any GPU**" in scaling.state(None)
    figures.write_text("A card.\n\n| model |\n")
    assert scaling.measured_gpu(None).endswith("\n\nA card.\n\n| model |")
    assert "#measured-on-a-gpu" in scaling.state(None)
    page = scaling.PAGE.read_text(encoding="utf-8")
    assert "A card." in scaling.filled(page)
