"""Small random BERTs over nucleotides on disk, in the layouts that are published."""

import itertools
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForMaskedLM

# On small tensors a second thread costs more than it gives, and much more on a busy machine.
torch.set_num_threads(1)

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SPECIES = ("homo_sapiens", "drosophila_melanogaster", "saccharomyces_cerevisiae")
SETTINGS = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 48,
}


def kmers(k: int, letters: str = "ATCG") -> list[str]:
    """Return the k-mers in an order that is not that of A, C, G, T."""
    return ["".join(kmer) for kmer in itertools.product(letters, repeat=k)]


def species_lm(folder: Path, k: int = 2, seed: int = 0, **settings) -> BertForMaskedLM:
    """Write a SpeciesLM, its species in added_tokens.json; return it as transformers'."""
    tokens = [*SPECIALS, *kmers(k)]
    write_vocabulary(folder, tokens)
    added = {name: len(tokens) + place for place, name in enumerate(SPECIES)}
    (folder / "added_tokens.json").write_text(json.dumps(added))
    return write_model(folder, len(tokens) + len(SPECIES), seed, **settings)


def splicebert(folder: Path, k: int = 1, seed: int = 0, **settings) -> BertForMaskedLM:
    """Write a SpliceBERT: one token a base and one for N; return it as transformers'."""
    tokens = [*SPECIALS, "N", *kmers(k, "ACGT")]
    write_vocabulary(folder, tokens)
    return write_model(folder, len(tokens), seed, **settings)


def write_vocabulary(folder: Path, tokens: list[str]) -> None:
    """Write vocab.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens))


def write_model(folder: Path, size: int, seed: int, **settings) -> BertForMaskedLM:
    """Write config.json and model.safetensors of a seeded model with large, varied weights."""
    config = {"vocab_size": size, **SETTINGS, **settings}
    torch.manual_seed(seed)
    model = BertForMaskedLM(BertConfig(**config, attn_implementation="eager")).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    model.requires_grad_(False)
    stored = {"model_type": "bert", "architectures": ["BertForMaskedLM"], **config}
    (folder / "config.json").write_text(json.dumps(stored))
    save_file(tensors(model), folder / "model.safetensors")
    return model


def tensors(model: BertForMaskedLM) -> dict[str, torch.Tensor]:
    """Return the tensors without the copies of tied ones, as safetensors files hold them."""
    state = model.state_dict()
    if model.config.tie_word_embeddings:
        state = {name: t for name, t in state.items() if "predictions.decoder" not in name}
    return {name: tensor.clone() for name, tensor in state.items()}


def pretraining_tensors(model: BertForMaskedLM) -> dict[str, torch.Tensor]:
    """Return what a pytorch_model.bin of 2022 of a BertForPreTraining holds, each tied copy too."""
    width = model.config.hidden_size
    return {
        **{name: tensor.clone() for name, tensor in model.state_dict().items()},
        "bert.embeddings.position_ids": torch.arange(model.config.max_position_embeddings)[None],
        "bert.pooler.dense.weight": torch.randn(width, width),
        "bert.pooler.dense.bias": torch.randn(width),
        "cls.seq_relationship.weight": torch.randn(2, width),
        "cls.seq_relationship.bias": torch.randn(2),
    }
