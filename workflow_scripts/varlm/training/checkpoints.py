"""Write a trained model as the checkpoint folder that varlm and, for a GPN, `gpn` load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from varlm.files.whole import atomic_path
from varlm.models.corruption import Corruption
from varlm.run.checkpoint_folders import CORRUPTION

# The vocabulary of GPN's published checkpoints.
TOKENS = ("[PAD]", "[MASK]", "[UNK]", "a", "c", "g", "t")


def write_checkpoint(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    window: int,
    hidden: Corruption | None = None,
) -> None:
    """Write config.json, tokenizer.json, tokenizer_config.json and model.safetensors.

    And corruption.json, of a model that was trained to predict hidden bases.

    Parameters
    ----------
    folder : Path
    config : mapping
        For config.json, `model_type` among it.
    tensors : name → tensor
    window : int
        Length of the windows that it was trained on, bp.
    hidden : Corruption, optional
        How the bases were hidden that it learnt to predict.
    """
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "config.json": {**config, "dtype": "float32"},
        "tokenizer.json": tokenizer(),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "pad_token": "[PAD]",
            "mask_token": "[MASK]",
            "unk_token": "[UNK]",
            "model_max_length": window,
        },
    }
    for name, content in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (folder / CORRUPTION).unlink(missing_ok=True)  # a training before may have written it
    if hidden is not None:
        hidden.write(folder / CORRUPTION)
    with atomic_path(folder / "model.safetensors") as temporary:
        # Not save_file, whose file nobody else may read.
        plain = {name: tensor.float().contiguous() for name, tensor in tensors.items()}
        temporary.write_bytes(save(plain, metadata={"format": "pt"}))


def tokenizer() -> dict[str, Any]:
    """Return tokenizer.json of GPN: lower case, one token a base, no special tokens added."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": i,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for i, token in enumerate(TOKENS[:3])
        ],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "[UNK]",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: i for i, token in enumerate(TOKENS)},
            "merges": [],
        },
    }
