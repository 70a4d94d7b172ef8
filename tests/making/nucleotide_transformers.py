"""Small random checkpoints of the Nucleotide Transformers, in the layouts of their authors."""

import itertools
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

import making.toy_models as toy_models  # noqa: F401  one thread
from varlm.models.networks import nucleotide_transformer

SPECIAL = {1: ["<unk>", "<pad>", "<mask>", "<cls>"]}
SPECIAL[2] = [*SPECIAL[1], "<eos>", "<bos>"]
# What version 2's files name instead of a model_type.
AUTO_MAP = {
    "AutoConfig": "esm_config.EsmConfig",
    "AutoModelForMaskedLM": "modeling_esm.EsmForMaskedLM",
}


def vocabulary(version: int = 1) -> list[str]:
    """Return the lines of vocab.txt: A, T, C, G is the authors' order."""
    kmers = ["".join(kmer) for kmer in itertools.product("ATCG", repeat=6)]
    return [*SPECIAL[version], *kmers, *"ATCGN"]


def configuration(version: int = 1, **changes) -> dict:
    """Return a config.json of version 1 (and AgroNT) or 2."""
    config = {
        "architectures": ["EsmForMaskedLM"],
        "attention_probs_dropout_prob": 0.0,
        "emb_layer_norm_before": False,
        "hidden_dropout_prob": 0.0,
        "hidden_size": 24,
        "intermediate_size": 40,
        "layer_norm_eps": 1e-12,
        "mask_token_id": 2,
        "max_position_embeddings": 50,
        "num_attention_heads": 3,
        "num_hidden_layers": 3,
        "pad_token_id": 1,
        "tie_word_embeddings": False,
        "token_dropout": False,
        "vocab_size": len(vocabulary(version)),
    }
    if version == 1:
        config |= {"model_type": "esm", "position_embedding_type": "absolute"}
    else:
        config |= {"auto_map": AUTO_MAP, "add_bias_fnn": False}
        config |= {"position_embedding_type": "rotary"}
    return config | changes


def make_checkpoint(folder: Path, version: int = 1, seed: int = 0, **changes) -> Path:
    """Write a random checkpoint; the same numbers each time.

    Parameters
    ----------
    version : 1 or 2
    changes
        Of config.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = configuration(version, **changes)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "vocab.txt").write_text("\n".join(vocabulary(version)))
    names = {"cls_token": "<cls>", "mask_token": "<mask>", "eos_token": None}
    (folder / "tokenizer_config.json").write_text(json.dumps(names) + "\n")
    save_file(tensors(config, folder, seed), folder / "model.safetensors")
    return folder


def tensors(config: dict, folder: Path, seed: int = 0) -> dict[str, torch.Tensor]:
    """Return what the authors' files hold, unread tensors too; of tied ones the embeddings."""
    network = nucleotide_transformer.build(config, folder)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    heads = config["num_hidden_layers"] * config["num_attention_heads"]
    shapes |= {"esm.contact_head.regression.weight": (1, heads)}
    shapes |= {"esm.contact_head.regression.bias": (1,)}
    positions = config["max_position_embeddings"]
    shapes |= {"esm.embeddings.position_embeddings.weight": (positions, config["hidden_size"])}
    if config["tie_word_embeddings"]:
        del shapes["lm_head.decoder.weight"]
    frequencies = shapes.pop("esm.rotary_embeddings.inv_freq", None)
    values = {
        name: _random(seed, number, name, shape)
        for number, (name, shape) in enumerate(sorted(shapes.items()))
    }
    values["esm.embeddings.position_ids"] = torch.arange(positions)[None]
    if frequencies is not None:
        width = 2 * frequencies[0]
        for layer in range(config["num_hidden_layers"]):
            name = f"esm.encoder.layer.{layer}.attention.self.rotary_embeddings.inv_freq"
            values[name] = 10000.0 ** -(torch.arange(0, width, 2) / width)
    return values


def _random(seed: int, number: int, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    values = np.random.default_rng([seed, number]).standard_normal(shape)
    if name.endswith("bias"):
        values *= 0.1
    elif len(shape) == 1:
        values = 1 + 0.1 * values
    elif "embeddings" not in name:
        values *= np.sqrt(2 / shape[1])
    return torch.from_numpy(values.astype(np.float32))
