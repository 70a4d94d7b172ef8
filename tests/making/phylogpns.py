"""Small PhyloGPNs with random weights, in the layout of the published one."""

import json

import torch
from safetensors.torch import save_file

OPTIONS = {"outer_dim": 12, "inner_dim": 8, "kernel_size": 3, "stack_size": 2, "num_stacks": 2}
PREFIX = "_model."


def random_tensors(options=OPTIONS, seed=0):
    """Stored tensors by name, without the prefix."""
    draw = torch.Generator().manual_seed(seed)
    outer, inner = options["outer_dim"], options["inner_dim"]
    shapes = {"embedding.parametrizations.weight.original": (6, outer)}
    for block in range(options["stack_size"] * options["num_stacks"]):
        for number, (to, of, size) in enumerate(
            [(inner, outer, 1), (inner, inner, options["kernel_size"]), (outer, inner, 1)], 1
        ):
            conv, norm = f"blocks.{block}.conv{number}", f"blocks.{block}.layer_norm{number}"
            shapes[f"{conv}.parametrizations.weight.original"] = (to, of, size)
            shapes[f"{conv}.parametrizations.bias.original"] = (to,)
            shapes |= {f"{norm}.weight": (of,), f"{norm}.bias": (of,)}
    shapes |= {"output_layer_norm.weight": (outer,), "output_layer_norm.bias": (outer,)}
    shapes["output_conv.parametrizations.weight.original"] = (4, outer, 1)
    shapes["output_conv.parametrizations.bias.original"] = (4,)
    return {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}


def write_phylogpn(folder, tensors, options=OPTIONS, tokeniser=None):
    """Write a checkpoint and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {PREFIX + name: tensor for name, tensor in tensors.items()}, folder / "model.safetensors"
    )
    config = {"model_type": "phylogpn", **options}
    (folder / "config.json").write_text(json.dumps(config))
    text = tokeniser or {"pad_token": "-", "unk_token": "N"}
    (folder / "tokenizer_config.json").write_text(json.dumps(text))
    return folder
