"""Small Caducei with random weights, in the layout of the published ones."""

import json
import math

import torch
from safetensors.torch import save_file

# Ids of CaduceusTokenizer: seven special tokens, then A, C, G, T, N.
COMPLEMENTS = {**{str(i): i for i in range(16)}, "7": 10, "8": 9, "9": 8, "10": 7}
TOKENISER = {"characters": ["A", "C", "G", "T", "N"], "tokenizer_class": "CaduceusTokenizer"}


def caduceus_config(ssm=None, **changes):
    """config.json of a PH; `ssm` changes its Mamba."""
    return {
        "model_type": "caduceus",
        "d_model": 12,
        "n_layer": 3,
        "vocab_size": 12,
        "pad_vocab_size_multiple": 8,
        "rms_norm": True,
        "fused_add_norm": True,
        "residual_in_fp32": False,
        "norm_epsilon": 1e-5,
        "bidirectional": True,
        "bidirectional_strategy": "add",
        "bidirectional_weight_tie": True,
        "rcps": False,
        "complement_map": COMPLEMENTS,
        "ssm_cfg": {"d_state": 5, "d_conv": 4, "expand": 2, "dt_rank": "auto", **(ssm or {})},
        **changes,
    }


def caduceus_tensors(config, rows=16, seed=0):
    """Tensors by name, all tied copies among them."""
    draw = torch.Generator().manual_seed(seed)

    def random(*shape, scale=1.0):
        return torch.randn(shape, generator=draw) * scale

    width, words = config["d_model"], "caduceus.backbone.embeddings.word_embeddings"
    table, head = (
        (f"{words}.embedding.weight", "lm_head.lm_head.weight")
        if config["rcps"]
        else (f"{words}.weight", "lm_head.weight")
    )
    tensors = {table: random(rows, width)}
    is_tied = config["rcps"] or config.get("tie_word_embeddings", True)
    tensors[head] = tensors[table].clone() if is_tied else random(rows, width)
    if config["rcps"]:
        pairs = torch.tensor([COMPLEMENTS[str(i)] for i in range(rows)])
        tensors |= {f"{words}.complement_map": pairs, "lm_head.complement_map": pairs.clone()}
    inside = ".submodule" if config["rcps"] and not config["fused_add_norm"] else ""
    norms = [f"layers.{i}.norm" for i in range(config["n_layer"])] + ["norm_f"]
    for norm in norms:
        tensors[f"caduceus.backbone.{norm}{inside}.weight"] = 1 + random(width, scale=0.2)
        if not config["rms_norm"]:
            tensors[f"caduceus.backbone.{norm}{inside}.bias"] = random(width, scale=0.2)
    for i in range(config["n_layer"]):
        part = ".submodule" if config["rcps"] else ""
        mixer = f"caduceus.backbone.layers.{i}.mixer{part}"
        tensors |= _mamba(f"{mixer}.mamba_fwd", config, random)
        if config["bidirectional"]:
            tensors |= _mamba(f"{mixer}.mamba_rev", config, random)
        if config["bidirectional"] and config["bidirectional_weight_tie"]:
            for name in [name for name in tensors if name.startswith(f"{mixer}.mamba_fwd.")]:
                if name.split(".")[-2] in ("in_proj", "out_proj"):
                    other = name.replace("mamba_fwd", "mamba_rev")
                    tensors[other] = tensors[name].clone()
    return tensors


def _mamba(name, config, random):
    ssm, width = config["ssm_cfg"], config["d_model"]
    inner, states = int(ssm["expand"] * width), ssm["d_state"]
    rank = math.ceil(width / 16) if ssm["dt_rank"] == "auto" else ssm["dt_rank"]
    tensors = {
        "A_log": random(inner, states),
        "D": random(inner),
        "in_proj.weight": random(2 * inner, width, scale=width**-0.5),
        "conv1d.weight": random(inner, 1, ssm["d_conv"], scale=0.5),
        "x_proj.weight": random(rank + 2 * states, inner, scale=inner**-0.5),
        "dt_proj.weight": random(inner, rank),
        "dt_proj.bias": random(inner) - 1,
        "out_proj.weight": random(width, inner, scale=inner**-0.5),
    }
    if ssm.get("conv_bias", True):
        tensors["conv1d.bias"] = random(inner)
    if ssm.get("bias", False):
        tensors |= {"in_proj.bias": random(2 * inner), "out_proj.bias": random(width)}
    return {f"{name}.{key}": tensor for key, tensor in tensors.items()}


def write_caduceus(folder, config, tensors=None, tokeniser=TOKENISER):
    """Write a checkpoint and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        caduceus_tensors(config) if tensors is None else tensors, folder / "model.safetensors"
    )
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokeniser))
    return folder
