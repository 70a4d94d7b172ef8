"""The mode `fused`: convolutions in one kernel, what is between products compiled."""

import logging

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from making.scoring import ascii_array, site_logits
from making.toy_models import CONFIGS, VARIANTS, make_checkpoint
from varlm.genome.windows import site_windows
from varlm.models.gpn import fused
from varlm.models.gpn import model as gpn
from varlm.models.loading import load_model
from varlm.scoring.scorer import Scorer
from varlm.scoring.tuning import largest_difference

SEQUENCE = ascii_array("".join(np.random.default_rng(5).choice(list("ACGT"), 300)))
POSITIONS = np.arange(20, 280, 13)


@pytest.mark.parametrize("dilation", [1, 4, 8, 16])
@pytest.mark.parametrize(("start", "count"), [(0, 40), (0, 7), (12, 5), (30, 10), (-3, 46)])
def test_a_stretch_in_one_kernel_is_the_convolution(dilation, start, count):
    torch.manual_seed(0)
    x, weight = torch.randn(3, 40, 6), torch.randn(8, 6, 9)
    kernel = weight[..., None].contiguous(memory_format=torch.channels_last)
    reach = 4 * dilation
    padded = F.conv1d(x.transpose(1, 2), weight, padding=reach + 3, dilation=dilation)
    expected = padded.transpose(1, 2)[:, 3 + start : 3 + start + count]
    y = fused.convolve_stretch(x, kernel, dilation, reach - start, count)
    assert y.stride()[1:] == (8, 1), "rows as they lie: nothing was copied"
    torch.testing.assert_close(y, expected, atol=1e-4, rtol=0)


def unchanged(function):
    return function


@pytest.mark.parametrize("name", [*CONFIGS, *VARIANTS])
def test_its_sums_are_those_of_bfloat16(tmp_path, monkeypatch, name):
    """Without the compiler, which changes roundings alone."""
    monkeypatch.setattr(fused, "compiled", unchanged)
    model = load_model(make_checkpoint(tmp_path, {**CONFIGS, **VARIANTS}[name]))
    plain = site_logits(Scorer(model), SEQUENCE, POSITIONS, 64)
    model.set_mode("bfloat16")
    rounded = site_logits(Scorer(model), SEQUENCE, POSITIONS, 64)
    model.set_mode("fused")
    sites = site_logits(Scorer(model), SEQUENCE, POSITIONS, 64)
    assert largest_difference(plain, sites) < 2 * largest_difference(plain, rounded)
    ids = torch.from_numpy(model.encode(site_windows(SEQUENCE, POSITIONS, 64)))
    every = model.base_logits(ids)
    model.set_mode("float32")
    assert 0 < (every - model.base_logits(ids)).abs().max() < 0.2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
@pytest.mark.parametrize("name", ["legacy", "convnet", "roformer"])
def test_compiled_it_gives_the_same(tmp_path, monkeypatch, name, caplog):
    """By torch's compiler for processors; a layer's code serves the other layers."""
    import torch._dynamo
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    model = load_model(make_checkpoint(tmp_path, CONFIGS[name]))
    with monkeypatch.context() as patch:
        patch.setattr(fused, "compiled", unchanged)
        model.set_mode("fused")
        eager = site_logits(Scorer(model), SEQUENCE, POSITIONS, 64)
    model.set_mode("bfloat16")
    model.set_mode("fused")
    with caplog.at_level(logging.WARNING):
        compiled = site_logits(Scorer(model), SEQUENCE, POSITIONS, 64)
    assert largest_difference(eager, compiled) < 0.05
    # Where torch first looks for a device it tells of a toolkit without one.
    assert {record.name for record in caplog.records} <= {"torch.utils.cpp_extension"}
    assert 0 < counters["stats"]["unique_graphs"] <= 6
    assert counters["graph_break"] == {}


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_compiled_runs_as_it_is():
    def broken(graph, inputs):
        raise RuntimeError("no compiler")

    import torch._dynamo

    fused.compiled(unchanged)  # which says that failures are to be passed over
    assert torch.compile(lambda x: x + 1, backend=broken)(torch.ones(2)).tolist() == [2, 2]
    torch._dynamo.reset()


def test_it_is_tried_where_a_gpu_can_be_compiled_for(tmp_path, monkeypatch):
    model = load_model(make_checkpoint(tmp_path, CONFIGS["legacy"]))
    assert "fused" not in model.modes()
    cuda = torch.device("cuda", 0)
    monkeypatch.setattr(fused.importlib.util, "find_spec", lambda _: "triton")
    monkeypatch.setenv("CC", "gcc")
    assert fused.can_fuse(cuda)
    assert not fused.can_fuse(torch.device("cpu"))
    monkeypatch.delenv("CC")
    monkeypatch.setattr(fused.shutil, "which", lambda _: None)
    assert not fused.can_fuse(cuda)
    for module_name in ("has_bfloat16", "can_fuse"):
        monkeypatch.setattr(gpn, module_name, lambda _: True)
    assert model.modes() == ("float32", "winograd", "bfloat16", "fused")
