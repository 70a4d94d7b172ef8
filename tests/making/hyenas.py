"""Small random HyenaDNA checkpoints, and what they answer by the definition."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

# On small tensors a second thread costs more than it gives, and much more on a busy machine.
torch.set_num_threads(1)

CONFIG = {
    "model_type": "hyenadna",
    "architectures": ["HyenaDNAForCausalLM"],
    "vocab_size": 12,
    "pad_vocab_size_multiple": 8,
    "d_model": 12,
    "d_inner": 20,
    "n_layer": 3,
    "max_seq_len": 66,
    "emb_dim": 5,
    "filter_order": 10,
    "num_inner_mlps": 2,
    "short_filter_order": 3,
    "hyena_order": 2,
    "activation_freq": 2,
    "train_freq": True,
    "layer_norm_epsilon": 1e-5,
    "tie_word_embeddings": False,
}
TOKENS = {"characters": ["A", "C", "G", "T", "N"], "sep_token": "[SEP]"}


def make_hyena(folder: Path, seed: int = 0, tokens: dict | None = None, **changes) -> Path:
    """Write a random checkpoint; `changes` are of config.json."""
    config = CONFIG | changes
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokens or TOKENS))
    save_file(draw(config, seed), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def draw(config: dict, seed: int) -> dict[str, np.ndarray]:
    """Return the tensors of a checkpoint, all copies of `freq` among them."""
    width = config["d_model"]
    rng = np.random.default_rng(seed)
    columns = -(-config["vocab_size"] // config["pad_vocab_size_multiple"])
    columns *= config["pad_vocab_size_multiple"]
    tensors = {
        "hyena.backbone.embeddings.word_embeddings.weight": rng.normal(size=(columns, width))
    }

    def linear(name: str, outputs: int, inputs: int, bias: bool = True) -> None:
        tensors[f"{name}.weight"] = rng.normal(size=(outputs, inputs)) / np.sqrt(inputs)
        if bias:
            tensors[f"{name}.bias"] = 0.3 * rng.normal(size=outputs)

    def norm(name: str) -> None:
        tensors[f"{name}.weight"] = 1 + 0.2 * rng.normal(size=width)
        tensors[f"{name}.bias"] = 0.2 * rng.normal(size=width)

    for layer in range(config["n_layer"]):
        at = f"hyena.backbone.layers.{layer}"
        norm(f"{at}.norm1")
        norm(f"{at}.norm2")
        linear(f"{at}.mlp.fc1", config["d_inner"], width)
        linear(f"{at}.mlp.fc2", width, config["d_inner"])
        linear(f"{at}.mixer.in_proj", 3 * width, width)
        linear(f"{at}.mixer.out_proj", width, width)
        short = (3 * width, 1, config["short_filter_order"])
        tensors[f"{at}.mixer.short_filter.weight"] = rng.normal(size=short) / np.sqrt(3)
        tensors[f"{at}.mixer.short_filter.bias"] = 0.3 * rng.normal(size=3 * width)
        _draw_filter(f"{at}.mixer.filter_fn", config, rng, tensors, linear)
    norm("hyena.backbone.ln_f")
    linear("lm_head", columns, width, bias=False)
    if config["tie_word_embeddings"]:
        del tensors["lm_head.weight"]
    return {name: tensor.astype(np.float32) for name, tensor in tensors.items()}


def _draw_filter(at, config, rng, tensors, linear) -> None:
    width, order, longest = config["d_model"], config["filter_order"], config["max_seq_len"]
    tensors[f"{at}.bias"] = 0.5 * rng.normal(size=width)
    freq = config["activation_freq"] * (1 + 0.2 * rng.normal(size=(1, order)))
    sizes = [config["emb_dim"], *[order] * config["num_inner_mlps"]]
    for number, inputs in enumerate(sizes):
        linear(f"{at}.implicit_filter.{2 * number}", order, inputs)
        if config["train_freq"]:
            tensors[f"{at}.implicit_filter.{2 * number + 1}.freq"] = freq
    last = f"{at}.implicit_filter.{2 * len(sizes)}"
    linear(last, width, order, bias=False)
    tensors[f"{last}.weight"] *= 0.3
    # As a trained checkpoint's: near what the class begins with, but not that.
    bands = (config["emb_dim"] - 1) // 2
    t = np.linspace(0, 1, longest)
    angle = 2 * np.pi * np.arange(longest)[:, None] / longest * np.linspace(1e-4, bands - 1, bands)
    z = np.concatenate([t[:, None], np.cos(angle), -np.sin(angle)], 1)
    tensors[f"{at}.pos_emb.z"] = (z + 0.02 * rng.normal(size=z.shape))[None]
    tensors[f"{at}.pos_emb.t"] = t[None, :, None]
    tensors[f"{at}.modulation.deltas"] = np.linspace(-3, -15, width)[None, None]


def answer(folder: Path, ids: np.ndarray) -> np.ndarray:
    """Return the logits of a checkpoint in float64, by the definition: (n, T) → (n, T, V).

    The convolutions are sums over all pairs of positions (Poli et al. 2023, section 3), the rest
    as in modeling_hyena.py.
    """
    config = json.loads((folder / "config.json").read_text())
    stored = load_file(folder / "model.safetensors")
    tensors = {name: tensor.astype(np.float64) for name, tensor in stored.items()}
    words = tensors["hyena.backbone.embeddings.word_embeddings.weight"]
    x = words[ids]
    for layer in range(config["n_layer"]):
        part = _part(tensors, f"hyena.backbone.layers.{layer}.")
        x = x + _operator(part, config, _norm(part, "norm1", x, 1e-5))
        inner = _linear(part, "mlp.fc1", _norm(part, "norm2", x, 1e-5))
        gelu = inner / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (inner + 0.044715 * inner**3)))
        x = x + _linear(part, "mlp.fc2", gelu)
    x = _norm(_part(tensors, "hyena.backbone."), "ln_f", x, config["layer_norm_epsilon"])
    return x @ tensors.get("lm_head.weight", words).T


def _part(tensors: dict, prefix: str) -> dict:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _linear(part: dict, name: str, x: np.ndarray) -> np.ndarray:
    return x @ part[f"{name}.weight"].T + part.get(f"{name}.bias", 0)


def _norm(part: dict, name: str, x: np.ndarray, epsilon: float) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return scaled * part[f"{name}.weight"] + part[f"{name}.bias"]


def _operator(part: dict, config: dict, x: np.ndarray) -> np.ndarray:
    length = x.shape[1]
    projected = _linear(part, "mixer.in_proj", x)
    padded = np.pad(projected, ((0, 0), (2, 2), (0, 0)))
    taps = part["mixer.short_filter.weight"][:, 0]
    short = part["mixer.short_filter.bias"] + sum(
        padded[:, tap : tap + length] * taps[:, tap] for tap in range(taps.shape[1])
    )
    last, first, values = np.split(short, 3, -1)
    values = values * first
    weights = _filter(_part(part, "mixer.filter_fn."), config)
    convolved = values * part["mixer.filter_fn.bias"]
    for to in range(length):
        for start in range(to + 1):
            convolved[:, to] += values[:, start] * weights[to - start]
    return _linear(part, "mixer.out_proj", convolved * last)


def _filter(part: dict, config: dict) -> np.ndarray:
    """(longest, channels)."""
    x = part["pos_emb.z"][0]
    steps = config["num_inner_mlps"] + 1
    for step in range(steps):
        freq = part.get(f"implicit_filter.{2 * step + 1}.freq", config["activation_freq"])
        x = np.sin(freq * _linear(part, f"implicit_filter.{2 * step}", x))
    decay = np.exp(-part["pos_emb.t"][0] * np.abs(part["modulation.deltas"][0]))
    return _linear(part, f"implicit_filter.{2 * steps}", x) * (decay + 0.05)


def rewrite(folder: Path, change) -> None:
    """Store what a function makes of the dictionary of a checkpoint's tensors."""
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
