"""Caduceus: its authors' numbers, and a transcription of its formulas, a step at a time."""

import numpy as np
import polars as pl
import pytest
import torch
import torch.nn.functional as F

from making.caducei import (
    COMPLEMENTS,
    caduceus_config,
    caduceus_tensors,
    write_caduceus,
)
from varlm.errors import UserError
from varlm.genome.windows import reverse_complement
from varlm.models.loading import load_model

COMPLEMENT = torch.tensor([COMPLEMENTS[str(i)] for i in range(16)])


def scanned(tensors, name, x, ssm):
    """A Mamba of (n, T, channels), by the recurrence of mamba_ssm's selective_scan_ref."""
    states = ssm["d_state"]

    def tensor(part):
        return tensors.get(f"{name}.{part}")

    steps = x.shape[1]
    u, z = F.linear(x, tensor("in_proj.weight"), tensor("in_proj.bias")).mT.chunk(2, 1)
    weight = tensor("conv1d.weight")
    pad, groups = ssm["d_conv"] - 1, len(weight)
    u = F.conv1d(u, weight, tensor("conv1d.bias"), padding=pad, groups=groups)[..., :steps]
    u = F.silu(u)
    small = F.linear(u.mT, tensor("x_proj.weight"))
    dt, into, out_of = small.split([small.shape[-1] - 2 * states, states, states], -1)
    dt = F.softplus(F.linear(dt, tensor("dt_proj.weight"), tensor("dt_proj.bias")))
    decay = -tensor("A_log").exp()
    h, answers = torch.zeros(len(x), groups, states, dtype=x.dtype), []
    for t in range(steps):
        delta, now = dt[:, t, :, None], u[:, :, t, None]
        h = torch.exp(delta * decay) * h + delta * into[:, t, None] * now
        answers.append((h * out_of[:, t, None]).sum(-1) + tensor("D") * u[:, :, t])
    y = torch.stack(answers, 1) * F.silu(z).mT
    return F.linear(y, tensor("out_proj.weight"), tensor("out_proj.bias"))


def transcribed(tensors, config, ids):
    """Last hidden states and logits, in the layout of modeling_caduceus.py and modeling_rcps.py."""
    rcps, fused = config["rcps"], config["fused_add_norm"]
    backbone = "caduceus.backbone."

    def rc(x):
        return x.flip(-2, -1)

    def norm(x, name):
        name = backbone + name + (".submodule" if rcps and not fused else "")
        weight, shape, epsilon = tensors[f"{name}.weight"], x.shape[-1:], config["norm_epsilon"]
        if config["rms_norm"]:
            return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + epsilon) * weight
        return F.layer_norm(x, shape, weight, tensors[f"{name}.bias"], epsilon)

    def mixer(x, i):
        name = f"{backbone}layers.{i}.mixer{'.submodule' if rcps else ''}"
        out = scanned(tensors, f"{name}.mamba_fwd", x, config["ssm_cfg"])
        if not config["bidirectional"]:
            return out
        back = scanned(tensors, f"{name}.mamba_rev", x.flip(1), config["ssm_cfg"]).flip(1)
        return out + back if config["bidirectional_strategy"] == "add" else out * back

    def on_both(function, x):
        first, second = x.chunk(2, -1)
        return torch.cat([function(first), rc(function(rc(second)))], -1)

    words = backbone + "embeddings.word_embeddings"
    if not rcps:
        x = tensors[f"{words}.weight"][ids]
        residual = torch.zeros_like(x)
        for i in range(config["n_layer"]):
            residual = residual + x
            x = mixer(norm(residual, f"layers.{i}.norm"), i)
        hidden = norm(residual + x, "norm_f")
        return hidden, hidden @ tensors["lm_head.weight"].T
    table = tensors[f"{words}.embedding.weight"]
    x = torch.cat([table[ids], rc(table[COMPLEMENT[ids.flip(-1)]])], -1)
    residual = torch.zeros_like(x)
    for i in range(config["n_layer"]):
        residual = residual + x
        if fused:  # the halves change places, as in RCPSMambaBlock
            residual = torch.cat(residual.chunk(2, -1)[::-1], -1)
        normed = on_both(lambda half, i=i: norm(half, f"layers.{i}.norm"), residual)
        x = on_both(lambda half, i=i: mixer(half, i), normed)
    hidden = on_both(lambda half: norm(half, "norm_f"), residual + x)
    first, second = hidden.chunk(2, -1)
    head = tensors["lm_head.lm_head.weight"]
    return hidden, first @ head.T + second.flip(-1) @ head[COMPLEMENT].T


def assert_near(values, expected):
    """Within 1e-5 of the largest."""
    assert (values - expected).abs().max() < 1e-5 * expected.abs().max()


def random_ids(rows, width, suffix=(1,)):
    letters = np.random.default_rng(width).choice([3, 7, 8, 9, 10, 11], (rows, width))
    return torch.from_numpy(np.concatenate([letters, np.tile(suffix, (rows, 1))], 1).astype(int))


CONFIGS = {
    "ph": caduceus_config(),
    "ph_layer_norm": caduceus_config(rms_norm=False, fused_add_norm=False),
    "ph_untied": caduceus_config(bidirectional_weight_tie=False, tie_word_embeddings=False),
    "ph_product": caduceus_config(bidirectional_strategy="ew_multiply"),
    "ph_one_way": caduceus_config(bidirectional=False),
    "ph_biases": caduceus_config({"bias": True, "conv_bias": False, "d_conv": 2, "dt_rank": 3}),
    "ph_untied_biases": caduceus_config(
        {"bias": True, "expand": 1.5}, bidirectional_weight_tie=False
    ),
    "ps": caduceus_config(rcps=True),
    "ps_even_layers": caduceus_config(rcps=True, n_layer=2, rms_norm=False),
    "ps_unfused": caduceus_config(rcps=True, fused_add_norm=False, rms_norm=False),
    "ps_unfused_rms": caduceus_config(rcps=True, fused_add_norm=False),
    "ps_untied": caduceus_config(
        rcps=True, bidirectional_weight_tie=False, tie_word_embeddings=False
    ),
    "ps_product": caduceus_config(rcps=True, bidirectional_strategy="ew_multiply"),
}


@pytest.mark.parametrize("width", [1, 2, 40, 41])
@pytest.mark.parametrize("name", CONFIGS)
def test_equals_the_formulas_a_step_at_a_time(tmp_path, name, width):
    config = CONFIGS[name]
    tensors = caduceus_tensors(config, seed=width)
    model = load_model(write_caduceus(tmp_path / name, config, tensors))
    ids = random_ids(3, width)
    exact = {name: tensor.double() for name, tensor in tensors.items()}
    hidden, logits = transcribed(exact, config, ids)
    assert_near(model.hidden(ids), hidden)
    assert_near(model.logits(ids), logits)
    at = [width, 0, width // 2]
    assert_near(model.hidden(ids, at), hidden[:, at])
    assert_near(model.logits(ids, at), logits[:, at])


@pytest.mark.parametrize("width", [1, 24, 25])
@pytest.mark.parametrize("name", [name for name in CONFIGS if name.startswith("ps")])
def test_ps_treats_both_strands_alike(tmp_path, name, width):
    model = load_model(write_caduceus(tmp_path / name, CONFIGS[name]))
    ids = random_ids(2, width, suffix=())
    other = model.logits(COMPLEMENT[ids.flip(1)])
    assert_near(model.logits(ids), other.flip(1)[..., COMPLEMENT])


def test_ph_does_not(tmp_path):
    model = load_model(write_caduceus(tmp_path / "ph", CONFIGS["ph"]))
    ids = random_ids(2, 24, suffix=())
    other = model.logits(COMPLEMENT[ids.flip(1)]).flip(1)[..., COMPLEMENT]
    assert (model.logits(ids) - other).abs().max() > 0.1


@pytest.mark.parametrize("name", ["ph", "ps"])
def test_windows_of_a_batch_do_not_mix(tmp_path, name):
    model = load_model(write_caduceus(tmp_path / name, CONFIGS[name]))
    ids = random_ids(5, 33)
    apart = torch.cat([model.logits(row[None]) for row in ids])
    assert_near(model.logits(ids), apart)


@pytest.mark.parametrize("name", ["ph", "ps"])
@pytest.mark.parametrize(("mode", "tolerance"), [("bfloat16", 0.1), ("float16", 0.02)])
def test_half_precision_is_close(tmp_path, name, mode, tolerance):
    model = load_model(write_caduceus(tmp_path / name, CONFIGS[name]))
    ids = random_ids(3, 30)
    exact = model.logits(ids)
    model.set_mode(mode)
    rounded = model.logits(ids)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).norm() < tolerance * exact.norm()
    model.set_mode("float32")
    assert model.logits(ids).equal(exact)


def test_copies_may_be_left_out_or_be_half_precision(tmp_path):
    config = CONFIGS["ps"]
    tensors = caduceus_tensors(config)
    halves = {
        name: tensor.half().float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    full = load_model(write_caduceus(tmp_path / "full", config, halves))
    few = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
        if not name.startswith("lm_head")
        and not name.endswith(("mamba_rev.in_proj.weight", "mamba_rev.out_proj.weight"))
    }
    spare = write_caduceus(tmp_path / "few", config, few)
    torch.save(few, spare / "pytorch_model.bin")
    (spare / "model.safetensors").unlink()
    ids = random_ids(2, 20)
    assert load_model(spare).logits(ids).equal(full.logits(ids))


def test_copies_that_differ_are_refused(tmp_path):
    tensors = caduceus_tensors(CONFIGS["ph"])
    tensors["caduceus.backbone.layers.1.mixer.mamba_rev.in_proj.weight"][0, 0] += 1
    folder = write_caduceus(tmp_path / "m", CONFIGS["ph"], tensors)
    with pytest.raises(UserError, match=r"mamba_rev.in_proj.weight differ"):
        load_model(folder)


@pytest.fixture
def families(shared_data):
    return shared_data.parent / "families"


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["caduceus_ph", "caduceus_ps"])
def test_logits_are_the_authors(families, name):
    model = load_model(families / name)
    with np.load(families / name / "logits.npz") as answers:
        for i in range(len(answers.files) // 3):
            letters = str(answers[f"seq_{i}"]).upper()
            ids = model.encode(np.frombuffer(letters.encode(), np.uint8)[None])
            assert ids[0].tolist() == answers[f"ids_{i}"].tolist()
            logits = model.logits(torch.from_numpy(ids))[0]
            expected = torch.from_numpy(answers[f"logits_{i}"])
            torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["caduceus_ph", "caduceus_ps"])
def test_scores_are_the_authors(families, name):
    model = load_model(families / name)
    sites = pl.read_csv(families / name / "scores.tsv", separator="\t")
    genome = {
        text.split(maxsplit=1)[0]: "".join(text.split("\n")[1:]).upper()
        for text in (families / "genome.fa").read_text().split(">")[1:]
    }

    def window(chrom, start, end):
        text = genome[chrom]
        inside = text[max(start, 0) : end]
        return ("-" * max(-start, 0) + inside).ljust(end - start, "-")

    def scores(width, before, strand):
        texts = [
            window(chrom, pos - 1 - before, pos - 1 - before + width)
            for chrom, pos in sites.select("chrom", "pos").iter_rows()
        ]
        windows = np.frombuffer("".join(texts).encode(), np.uint8).reshape(-1, width)
        index = before
        if strand == "rev":
            windows, index = reverse_complement(windows), width - 1 - before
        logits = model.site_logits(torch.from_numpy(model.encode(windows)), index)
        order = "ACGT" if strand == "fwd" else "TGCA"
        ref, alt = (
            logits[range(len(sites)), [order.index(base) for base in sites[allele]]].numpy()
            for allele in ("ref", "alt")
        )
        return alt - ref

    fwd, rev = scores(127, 63, "fwd"), scores(127, 63, "rev")
    for column, values in {
        "fwd": fwd,
        "rev": rev,
        "mean": (fwd + rev) / 2,
        "plantcad": scores(128, 63, "fwd"),
    }.items():
        np.testing.assert_allclose(values, sites[column].to_numpy(), rtol=0, atol=1e-4)
    if name == "caduceus_ps":
        assert np.abs(fwd - rev).max() < 1e-4
