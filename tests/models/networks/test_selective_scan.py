"""The scan in blocks of rows and steps against the recurrence, and the calls of the kernels."""

import sys
import types

import pytest
import torch
import torch.nn.functional as F

from making.caducei import caduceus_config, write_caduceus
from varlm.models.loading import load_model
from varlm.models.networks import selective_scan
from varlm.models.networks.selective_scan import causal_convolution


def recurrence(u, delta, A, B, C, D, z=None, delta_bias=None, delta_softplus=False):
    """As mamba_ssm's `selective_scan_fn`: u and delta (n, D, T), A (D, N), B and C (n, G, N, T)."""
    assert z is None
    assert delta_softplus
    delta = F.softplus(delta + delta_bias[:, None])
    B, C = (part.repeat_interleave(u.shape[1] // part.shape[1], 1) for part in (B, C))
    h, answers = torch.zeros(*u.shape[:2], A.shape[1], dtype=u.dtype), []
    for t in range(u.shape[2]):
        step = delta[:, :, t, None]
        h = torch.exp(step * A) * h + step * B[..., t] * u[:, :, t, None]
        answers.append((h * C[..., t]).sum(-1))
    return (torch.stack(answers, 2) + u * D[:, None]).to(u.dtype)


def random_inputs(groups=2, rows=3, steps=37, channels=6, states=4, size=1.0):
    torch.manual_seed(rows * steps)
    return (
        torch.randn(groups, rows, steps, channels),
        size * torch.randn(groups, rows, steps, channels),
        torch.randn(groups, channels),
        -torch.exp(torch.randn(groups, states, channels) * 2),
        torch.randn(groups, rows, steps, states),
        torch.randn(groups, rows, steps, states),
        torch.randn(groups, channels),
    )


def expected(x, dt, bias, decay, into, out_of, skip):
    groups = [
        recurrence(
            x[g].mT.double(),
            dt[g].mT.double(),
            decay[g].T.double(),
            into[g].mT[:, None].double(),
            out_of[g].mT[:, None].double(),
            skip[g].double(),
            delta_bias=bias[g].double(),
            delta_softplus=True,
        ).mT
        for g in range(len(x))
    ]
    return torch.stack(groups).float()


# Of 2 groups of 4 states of 6 channels: a step of a row at a time, several steps of two rows and
# a rest of either, all rows and a rest of steps, and everything.
@pytest.mark.parametrize("held", [1, 2 * 4 * 6 * 2 * 5, 2 * 4 * 6 * 3 * 10, 1 << 20])
@pytest.mark.parametrize("steps", [1, 2, 37])
def test_blocks_equal_the_recurrence(monkeypatch, held, steps):
    monkeypatch.setitem(selective_scan._HELD, "cpu", held)
    inputs = random_inputs(steps=steps)
    torch.testing.assert_close(
        selective_scan.selective_scan(*inputs), expected(*inputs), rtol=1e-5, atol=1e-5
    )


def test_large_steps_forget_without_overflow():
    inputs = random_inputs(size=1e3)
    y = selective_scan.selective_scan(*inputs)
    assert y.isfinite().all()
    torch.testing.assert_close(y, expected(*inputs), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("steps", [1, 2, 3, 9])
@pytest.mark.parametrize("width", [1, 2, 4, 5])
def test_convolution_looks_back(steps, width):
    torch.manual_seed(width)
    x, weight = torch.randn(2, 3, steps, 4), torch.randn(2, 4, width)
    for bias in (torch.randn(2, 4), None):
        for g in range(2):
            own = None if bias is None else bias[g]
            out = F.conv1d(x[g].mT, weight[g, :, None], own, padding=width - 1, groups=4)
            torch.testing.assert_close(
                causal_convolution(x, weight, bias)[g], F.silu(out[..., :steps]).mT
            )


def random_ids(rows, width):
    return torch.randint(7, 12, (rows, width), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def kernels(monkeypatch):
    """Packages whose kernels are the formulas; yields the calls."""
    calls = []

    def scan(u, delta, A, B, C, D=None, **more):
        calls.append(("scan", u, delta, A, B, C, D, more))
        return recurrence(u, delta, A, B, C, D, **more)

    def convolution(x, weight, bias=None, activation=None):
        calls.append(("convolution", x, weight, bias, activation))
        out = F.conv1d(x, weight[:, None], bias, padding=weight.shape[1] - 1, groups=len(weight))
        return F.silu(out[..., : x.shape[2]])

    for name, content in {
        "mamba_ssm": {},
        "mamba_ssm.ops": {},
        "mamba_ssm.ops.selective_scan_interface": {"selective_scan_fn": scan},
        "causal_conv1d": {"causal_conv1d_fn": convolution},
    }.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    selective_scan._kernel.cache_clear()
    yield calls
    selective_scan._kernel.cache_clear()


@pytest.mark.parametrize("rcps", [False, True])
@pytest.mark.parametrize(("mode", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.1)])
def test_kernels_compute_where_they_run(tmp_path, monkeypatch, kernels, rcps, mode, tolerance):
    config = caduceus_config(rcps=rcps)
    model = load_model(write_caduceus(tmp_path / "m", config))
    ids = random_ids(3, 20)
    plain = model.logits(ids)
    model.set_mode(mode)
    model.logits(ids)
    assert not kernels  # not on a CPU
    monkeypatch.setattr(selective_scan, "_KERNELS_ON", ("cpu",))
    selective_scan._kernel.cache_clear()
    assert (model.logits(ids) - plain).norm() < tolerance * plain.norm()
    names = [call[0] for call in kernels]
    assert names == ["convolution", "scan"] * config["n_layer"]
    rows, channels = 3 * (1 + rcps), 2 * 2 * config["d_model"]  # both directions'
    _, x, weight, bias, activation = kernels[0]
    assert x.shape == (rows, channels, 20)
    assert (weight.shape, bias.shape, activation) == ((channels, 4), (channels,), "silu")
    _, u, delta, A, B, C, D, more = kernels[1]
    assert u.shape == delta.shape == (rows, channels, 20)
    assert (A.shape, D.shape) == ((channels, 5), (channels,))
    assert B.shape == C.shape == (rows, 2, 5, 20)
    assert more["delta_softplus"] is True
    assert more["delta_bias"].shape == (channels,)
    # What the kernels ask of types and of how tensors lie.
    assert {part.dtype for part in (x, u, delta, B, C)} == {getattr(torch, mode)}
    assert {part.dtype for part in (A, D, more["delta_bias"])} == {torch.float32}
    assert all(part.stride(-1) == 1 for part in (u, delta, B, C, D))


def test_a_wide_convolution_has_no_kernel(tmp_path, monkeypatch, kernels):
    model = load_model(write_caduceus(tmp_path / "m", caduceus_config({"d_conv": 5})))
    ids = random_ids(2, 9)
    plain = model.logits(ids)
    monkeypatch.setattr(selective_scan, "_KERNELS_ON", ("cpu",))
    selective_scan._kernel.cache_clear()
    assert (model.logits(ids) - plain).norm() < 1e-5 * plain.norm()
    assert {call[0] for call in kernels} == {"scan"}


def test_without_the_packages_torch_computes(monkeypatch):
    monkeypatch.setattr(selective_scan, "_KERNELS_ON", ("cpu",))
    for name in ("mamba_ssm", "causal_conv1d"):
        monkeypatch.setitem(sys.modules, name, None)
    selective_scan._kernel.cache_clear()
    assert selective_scan.scan_kernel("cpu") is None
    assert selective_scan.convolution_kernel("cpu") is None
    selective_scan._kernel.cache_clear()
