"""Small models whose answers are known: closed-form ones, and seeded checkpoints on disk."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from varlm.models.language_model import LanguageModel

# On small tensors a second thread costs more than it gives, and much more on a busy machine.
torch.set_num_threads(1)

# GPN's tokeniser, as the demo's checkpoint has it.
_DEMO = Path(__file__).resolve().parents[2] / "resources/demo/model"
TOKENIZER = json.loads((_DEMO / "tokenizer.json").read_text())
TOKENIZER_CONFIG = json.loads((_DEMO / "tokenizer_config.json").read_text())

# The four architectures, small, plus the options that change a code path.
CONFIGS = {
    "convnet": {
        "model_type": "GPN",
        "architectures": ["GPNForMaskedLM"],
        "encoder": "convnet",
        "num_hidden_layers": 5,
        "hidden_size": 24,
        "intermediate_size": 40,
        "dilation_cycle": 4,
    },
    "bytenet": {
        "model_type": "GPN",
        "architectures": ["GPNForMaskedLM"],
        "encoder": "bytenet",
        "num_hidden_layers": 4,
        "hidden_size": 24,
        "slim": True,
        "dilation_cycle": 3,
    },
    "roformer": {
        "model_type": "GPN",
        "architectures": ["GPNForMaskedLM"],
        "encoder": "roformer",
        "num_hidden_layers": 3,
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_attention_heads": 3,
        "max_position_embeddings": 96,
    },
    "legacy": {
        "model_type": "ConvNet",
        "architectures": ["ConvNetForMaskedLM"],
        "n_layers": 7,
        "hidden_size": 24,
        "kernel_size": 9,
        "dilation_max": 4,
        "dilation_cycle": 3,
    },
}
VARIANTS = {
    "convnet-bias-embedding": CONFIGS["convnet"]
    | {"bias": True, "embedding": "embedding", "mlm_head_transform": False},
    "convnet-depthwise": CONFIGS["convnet"] | {"depthwise": True, "hidden_size": 20},
    "bytenet-bias": CONFIGS["bytenet"] | {"bias": True, "slim": False},
    "roformer-rotary-value": CONFIGS["roformer"] | {"rotary_value": True},
    "GPNRoFormer": {
        "model_type": "GPNRoFormer",
        "architectures": ["GPNRoFormerForMaskedLM"],
        "vocab_size": 7,
        "num_hidden_layers": 2,
        "hidden_size": 24,
        "embedding_size": 24,
        "intermediate_size": 40,
        "num_attention_heads": 3,
        "max_position_embeddings": 96,
    },
}
LEGACY_66M = {
    "model_type": "ConvNet",
    "architectures": ["ConvNetForMaskedLM"],
    "n_layers": 25,
    "hidden_size": 512,
    "kernel_size": 9,
    "dilation_max": 32,
    "dilation_cycle": 6,
}


def make_checkpoint(folder: Path, config: dict, seed: int = 0) -> Path:
    """Write a random checkpoint of `config` in the Hugging Face layout; the same bytes each time.

    The weights are drawn by numpy, by name, with a scale that keeps the signal alive through
    the layers, so that LLRs are of the order of one.
    """
    from varlm.models.gpn import model as gpn

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(TOKENIZER_CONFIG) + "\n")
    state = gpn.build(config, folder).state_dict()
    tensors = {}
    for number, (name, tensor) in enumerate(sorted(state.items())):
        rng = np.random.default_rng([seed, number])
        shape = tuple(tensor.shape)
        if "embed_positions" in name:
            values = gpn.sinusoids(*shape).numpy()
        elif name.endswith("bias"):
            values = 0.1 * rng.standard_normal(shape)
        elif len(shape) == 1:
            values = 1 + 0.1 * rng.standard_normal(shape)
        elif "word_embeddings" in name:
            values = rng.standard_normal(shape)
        else:
            values = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        tensors[name] = values.astype(np.float32)
    if "cls.predictions.bias" in tensors:
        tensors["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


class ToyModel(LanguageModel):
    """A closed form: the logit of base b at i is the sum over offsets d of w[d, base(i + d), b].

    Offsets run from −2 to 2 but 0 is left out when a site is asked for, as a masked model
    cannot see it. `prefix` tokens go before the sequence, as some tokenisers do. N, and what
    lies outside, adds nothing. `answer` says in plain Python what the model answers.
    """

    offsets = (-2, -1, 1, 2)
    channels = 4

    def __init__(self, seed: int = 0, prefix: int = 0):
        self.device = torch.device("cpu")
        self.mode = "float32"
        self.prefix = prefix
        weights = np.random.default_rng(seed).standard_normal((len(self.offsets), 4, 4))
        self.weights = weights.astype(np.float32)
        self.own = 0.5  # what an unmasked base adds to its own logit
        self.batches: list[tuple[int, ...]] = []

    def describe(self) -> str:
        return "toy"

    def encode(self, windows):
        table = np.full(256, 9)
        table[list(b"ACGT")] = range(4)
        return np.pad(table[windows], ((0, 0), (self.prefix, 0)), constant_values=8)

    def site_logits(self, ids, index):
        ids = ids.clone()
        ids[:, index + self.prefix] = 7
        self.batches.append(tuple(ids.shape))
        return self._logits(ids)[:, index]

    def base_logits(self, ids):
        self.batches.append(tuple(ids.shape))
        return self._logits(ids)

    def _logits(self, ids):
        ids = ids[:, self.prefix :].numpy()
        known = np.where(ids < 4, ids, 4)
        table = np.concatenate([self.weights, np.zeros((len(self.offsets), 1, 4), np.float32)], 1)
        out = np.zeros((*ids.shape, 4), dtype=np.float32)
        for number, offset in enumerate(self.offsets):
            near = np.full_like(known, 4)
            if offset > 0:
                near[:, :-offset] = known[:, offset:]
            else:
                near[:, -offset:] = known[:, :offset]
            out += table[number][near]
        own = np.concatenate([self.own * np.eye(4), np.zeros((1, 4))]).astype(np.float32)
        return torch.from_numpy(out + own[known])

    def answer(self, text: str, index: int, *, masked: bool) -> list[float]:
        """Logits of A, C, G, T at `index` of `text`, by the definition."""
        logits = [0.0] * 4
        for number, offset in enumerate(self.offsets):
            at = index + offset
            if 0 <= at < len(text) and text[at] in "ACGT":
                for base in range(4):
                    logits[base] += float(self.weights[number, "ACGT".index(text[at]), base])
        if not masked and text[index] in "ACGT":
            logits["ACGT".index(text[index])] += self.own
        return logits
