"""Small random checkpoints of DNABERT-2, and what they answer, by the definition, in float64."""

import json
import math
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

# On small tensors a second thread costs more than it gives, and much more on a busy machine.
torch.set_num_threads(1)

CONFIG = {
    "alibi_starting_size": 16,
    "attention_probs_dropout_prob": 0.0,
    "auto_map": {
        "AutoConfig": "configuration_bert.BertConfig",
        "AutoModelForMaskedLM": "bert_layers.BertForMaskedLM",
    },
    "hidden_act": "gelu",
    "hidden_size": 24,
    "intermediate_size": 20,
    "layer_norm_eps": 1e-12,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "type_vocab_size": 2,
}
# Some that overlap, so that one other base changes the segmentation around it.
MERGES = ("A A", "T G", "C A", "G A", "AA T", "TG C", "T T", "GA T", "GAT T", "CA G", "TT AA")
SPECIAL = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")

# A window: of the overlapping merges, unknown bases, and positions past a contig's end.
TEXT = "--GATTAACAGTGCAATNNNCAGATTGCAAATG"


def bytes_of(*texts: str) -> np.ndarray:
    """Windows as arrays, uint8 (n, W)."""
    return np.stack([np.frombuffer(text.encode(), np.uint8) for text in texts])


def tokenizer_json(first: int = 0, suffix: str | None = "[SEP]") -> dict:
    """A byte-pair encoding whose special tokens have the ids from `first`, letters before them.

    `suffix` is the special token after a sequence; None: there is none.
    """
    tokens = [*"ACGT", *(merge.replace(" ", "") for merge in MERGES)]
    tokens[first:first] = SPECIAL
    vocabulary = {token: number for number, token in enumerate(tokens)}
    around = ["[CLS]", *([suffix] if suffix else [])]
    pieces = [{"SpecialToken": {"id": name, "type_id": 0}} for name in around]
    pieces.insert(1, {"Sequence": {"id": "A", "type_id": 0}})
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": vocabulary[name], "content": name, "special": True, **flags} for name in SPECIAL
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": pieces,
            "pair": [*pieces, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {
                name: {"id": name, "ids": [vocabulary[name]], "tokens": [name]} for name in around
            },
        },
        "decoder": None,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "[UNK]",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "vocab": vocabulary,
            "merges": list(MERGES),
        },
    }


def tensors_of(config: dict, seed: int = 0) -> dict[str, np.ndarray]:
    """Random tensors under the names of the authors' class, float32."""
    hidden, inner, size = (
        config[name] for name in ("hidden_size", "intermediate_size", "vocab_size")
    )
    shapes = {
        "bert.embeddings.word_embeddings.weight": (size, hidden),
        "bert.embeddings.token_type_embeddings.weight": (config["type_vocab_size"], hidden),
        **_norm("bert.embeddings.LayerNorm", hidden),
        **_linear("cls.predictions.transform.dense", hidden, hidden),
        **_norm("cls.predictions.transform.LayerNorm", hidden),
        "cls.predictions.decoder.bias": (size,),
    }
    for number in range(config["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{number}"
        shapes |= _linear(f"{layer}.attention.self.Wqkv", hidden, 3 * hidden)
        shapes |= _linear(f"{layer}.attention.output.dense", hidden, hidden)
        shapes |= _norm(f"{layer}.attention.output.LayerNorm", hidden)
        shapes |= {f"{layer}.mlp.gated_layers.weight": (2 * inner, hidden)}
        shapes |= _linear(f"{layer}.mlp.wo", inner, hidden)
        shapes |= _norm(f"{layer}.mlp.layernorm", hidden)
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in sorted(shapes.items()):
        values = rng.standard_normal(shape)
        if "norm" in name.lower():
            values = values * 0.3 + name.endswith("weight")
        elif len(shape) == 2 and "embeddings" not in name:
            values *= math.sqrt(2 / shape[1])
        tensors[name] = values.astype(np.float32)
    decoder = tensors["bert.embeddings.word_embeddings.weight"]
    return {**tensors, "cls.predictions.decoder.weight": decoder}


def make_checkpoint(
    folder: Path, seed: int = 0, tokenizer: dict | None = None, **changes: object
) -> Path:
    """Write a checkpoint as the authors do, as safetensors; `changes` are of config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer or tokenizer_json()
    config = {**CONFIG, "vocab_size": len(tokenizer["model"]["vocab"]), **changes}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    save_file(tensors_of(config, seed), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def pickled(folder: Path, dtype: torch.dtype = torch.float32) -> Path:
    """Turn the checkpoint's safetensors into a pytorch_model.bin of another type."""
    path = folder / "model.safetensors"
    tensors = {name: torch.from_numpy(t).to(dtype) for name, t in load_file(path).items()}
    torch.save(tensors, folder / "pytorch_model.bin")
    path.unlink()
    return folder


def hidden(folder: Path, ids: list[int]) -> np.ndarray:
    """Last hidden states of one sequence, (T, C), float64."""
    config = json.loads((folder / "config.json").read_text())
    tensors = {
        name: values.astype(float)
        for name, values in load_file(folder / "model.safetensors").items()
    }
    states = tensors["bert.embeddings.word_embeddings.weight"][ids]
    states = states + tensors["bert.embeddings.token_type_embeddings.weight"][0]
    eps = config["layer_norm_eps"]
    states = _normed(states, tensors, "bert.embeddings.LayerNorm", eps)
    for number in range(config["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{number}"
        mixed = _attended(states, tensors, f"{layer}.attention.self", config["num_attention_heads"])
        mixed = _applied(mixed, tensors, f"{layer}.attention.output.dense")
        states = _normed(mixed + states, tensors, f"{layer}.attention.output.LayerNorm", eps)
        both = states @ tensors[f"{layer}.mlp.gated_layers.weight"].T
        gate, values = np.split(both, 2, axis=1)
        erf = torch.erf(torch.from_numpy(gate / math.sqrt(2))).numpy()
        mixed = gate * (1 + erf) / 2 * values
        mixed = _applied(mixed, tensors, f"{layer}.mlp.wo")
        states = _normed(mixed + states, tensors, f"{layer}.mlp.layernorm", eps)
    return states


def _attended(states, tensors, name: str, heads: int) -> np.ndarray:
    query, key, value = np.split(_applied(states, tensors, f"{name}.Wqkv"), 3, axis=1)
    tokens, hidden = states.shape
    width = hidden // heads
    distance = np.abs(np.subtract.outer(np.arange(tokens), np.arange(tokens)))
    out = np.zeros_like(states)
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        scores = query[:, own] @ key[:, own].T / math.sqrt(width)
        weights = np.exp(scores - SLOPES[heads][head] * distance)
        out[:, own] = weights / weights.sum(1, keepdims=True) @ value[:, own]
    return out


# Press, Smith & Lewis 2022; for numbers of heads that are no power of two, by their code.
SLOPES = {
    1: [2**-8],
    2: [2**-4, 2**-8],
    3: [2**-4, 2**-8, 2**-2],
    4: [2**-2, 2**-4, 2**-6, 2**-8],
    6: [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3],
    12: [
        *(2**-1, 2**-2, 2**-3, 2**-4, 2**-5, 2**-6, 2**-7, 2**-8),
        *(2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5),
    ],
}


def _applied(states, tensors, name: str) -> np.ndarray:
    return states @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]


def _normed(states, tensors, name: str, eps: float) -> np.ndarray:
    centred = states - states.mean(1, keepdims=True)
    centred /= np.sqrt((centred**2).mean(1, keepdims=True) + eps)
    return centred * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]


def _linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
