"""GPN: convnet, bytenet and roformer encoders, and the legacy ConvNet (songlab-cal/gpn).

The classes of `gpn==0.9.0a1` give the shapes and names that a checkpoint's tensors must have;
`load` fills them, checks them, and hands their modules to networks of our own that compute the
same function faster (`convolutional`, `roformer`).
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from varlm.errors import UserError
from varlm.models import checkpoint, weights
from varlm.models.base import MODES, MaskedModel
from varlm.models.convolutional import ConvolutionalNetwork, Layer
from varlm.models.roformer import RoFormerNetwork
from varlm.models.tokeniser import Tokens, read_tokens

log = logging.getLogger(__name__)

_POSITIONS = "model.encoder.embed_positions.weight"


class GPN(MaskedModel):
    """A loaded GPN.

    Parameters
    ----------
    module : nn.Module
        `gpn`'s class with the checkpoint's tensors, in float32 on the CPU; the reference.
    tokens : Tokens
    device : torch.device
    """

    def __init__(self, module: Any, tokens: Tokens, device: torch.device):
        self.module = module
        self.config: Any = module.config  # a transformers configuration
        self.tokens = tokens
        self.device = device
        self.channels = int(self.config.hidden_size)
        self.max_window = int(self.config.max_position_embeddings) if self._is_roformer() else None
        self._table = tokens.table()
        self._bases = torch.tensor(tokens.bases, device=device)
        self.set_mode("float32")

    def describe(self) -> str:
        """Return the family, the encoder and the number of parameters."""
        count = sum(parameter.numel() for parameter in self.module.parameters())
        encoder = getattr(self.config, "encoder", None)
        name = self.config.model_type + (f" {encoder}" if encoder else "")
        return f"{name}, {count / 1e6:.3g} M parameters"

    def encode(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """ASCII windows (batch, length) → token ids, uint8, the same shape."""
        return np.take(self._table, windows)

    @torch.inference_mode()
    def site_logits(self, ids: torch.Tensor, index: int) -> torch.Tensor:
        """Mask the base at `index` and return its logits: see `MaskedModel`."""
        ids = ids.long()  # a copy: uint8 comes in
        ids[:, index] = self.tokens.mask
        return self.network(ids, index)[:, 0, self._bases]

    @torch.inference_mode()
    def base_logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits at every base, nothing masked: see `MaskedModel`."""
        return self.network(ids.long(), None)[:, :, self._bases]

    def modes(self) -> tuple[str, ...]:
        """Modes worth trying here: bfloat16 only where the processor computes in it."""
        convolutions = not self._is_roformer() and not getattr(self.config, "depthwise", False)
        return (
            "float32",
            *(("winograd",) if convolutions else ()),
            *(("bfloat16",) if has_bfloat16(self.device) else ()),
        )

    def set_mode(self, mode: str) -> None:
        """Lay the weights out for `mode`; the layout before is freed."""
        if mode not in MODES or (mode == "winograd" and self._is_roformer()):
            raise ValueError(f"a {self.config.model_type} has no mode {mode!r}")
        self.mode = mode
        self.network = self._network(mode)

    def _is_roformer(self) -> bool:
        return getattr(self.config, "encoder", self.config.model_type) in (
            "roformer",
            "GPNRoFormer",
        )

    def _network(self, mode: str) -> ConvolutionalNetwork | RoFormerNetwork:
        module: Any = self.module
        embedding = getattr(module.model, "embeddings", None)
        words = None if embedding is None else embedding.word_embeddings
        if words is None:
            table = torch.eye(self.config.vocab_size, self.config.hidden_size)
        else:
            table = words.weight.detach()
        if self._is_roformer():
            dtype = torch.float32 if mode == "float32" else getattr(torch, mode)
            return RoFormerNetwork(table, module.model.encoder, self._head(), dtype, self.device)
        return ConvolutionalNetwork(table, list(self._layers()), self._head(), mode, self.device)

    def _head(self) -> list[nn.Module]:
        module: Any = self.module
        if self.config.model_type == "ConvNet":
            return list(module.cls.decoder)
        if self.config.model_type == "GPNRoFormer":
            head = module.cls.predictions
            act = head.transform.transform_act_fn
            return [head.transform.dense, act, head.transform.LayerNorm, head.decoder]
        transform = module.cls.transform
        steps = list(transform) if isinstance(transform, nn.Sequential) else []
        return [module.model.ln_f, *steps, module.cls.decoder]

    def _layers(self) -> Iterable[Layer]:
        module: Any = self.module
        encoder = module.model.encoder
        for layer in encoder if self.config.model_type == "ConvNet" else encoder.layer:
            steps = [
                step
                for step in (layer.layer if hasattr(layer, "layer") else layer.conv)
                if type(step).__name__ != "TransposeLayer"
            ]
            at = next(i for i, step in enumerate(steps) if isinstance(step, nn.Conv1d))
            conv = steps[at]
            assert isinstance(conv, nn.Conv1d)
            yield Layer(
                pre=tuple(steps[:at]),
                conv=conv,
                post=tuple(steps[at + 1 :]),
                ffn=tuple(layer.ffn) if hasattr(layer, "ffn") else (),
            )


def load(folder: Path, device: torch.device) -> GPN:
    """Load the checkpoint in `folder`.

    Raises
    ------
    UserError
        If a file is missing or damaged, or the tensors are not exactly those that config.json
        asks for.
    """
    config = checkpoint.read_config(folder)
    tokens = read_tokens(folder)
    module = build(config, folder)
    if module.config.vocab_size < tokens.size:
        raise UserError(
            f"{folder}: tokenizer.json has ids up to {tokens.size - 1}, but the model knows only "
            f"{module.config.vocab_size}; one of the files belongs to another model"
        )
    tensors = weights.read_tensors(folder)
    weights.fill(module, tensors, folder, _derived(module, tensors))
    return GPN(module, tokens, device)


def build(config: dict[str, Any], folder: Path) -> Any:
    """Return `gpn`'s masked language model of `config` on the meta device: shapes, no values.

    Raises
    ------
    UserError
        If the config does not make a model, or needs input besides the sequence.
    """
    from gpn import legacy, model
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    classes = {
        "GPN": (model.GPNConfig, model.GPNForMaskedLM),
        "ConvNet": (legacy.ConvNetConfig, legacy.ConvNetForMaskedLM),
        "GPNRoFormer": (legacy.GPNRoFormerConfig, legacy.GPNRoFormerForMaskedLM),
    }
    config_class, model_class = classes[config["model_type"]]
    where = folder / "config.json"
    try:
        # gpn prints the dilations while it builds.
        with contextlib.redirect_stdout(io.StringIO()), torch.device("meta"):
            parsed = config_class.from_dict(config)
            built = model_class(parsed)
    except Exception as error:
        raise UserError(f"{where}: does not describe a {config['model_type']} ({error})") from error
    if getattr(parsed, "n_aux_features", 0):
        raise UserError(
            f"{where}: n_aux_features is {parsed.n_aux_features}: the model reads more than the "
            "sequence (an alignment, for instance); varlm scores single-sequence models"
        )
    return built


def _derived(module: Any, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors that a complete checkpoint may leave out."""
    derived = {}
    config = module.config
    if _POSITIONS in module.state_dict():
        # Fixed, so that some versions of transformers do not store it. gpn's class under
        # transformers 5 leaves it random when a file lacks it, without a word.
        derived[_POSITIONS] = sinusoids(
            config.max_position_embeddings, config.hidden_size // config.num_attention_heads
        )
        stored = tensors.get(_POSITIONS)
        if (
            stored is not None
            and stored.shape == derived[_POSITIONS].shape
            and not torch.allclose(stored.float(), derived[_POSITIONS], atol=1e-3)
        ):
            log.warning(
                "the checkpoint's position table is not sinusoidal (a model made by gpn under "
                "transformers 5?); it is used as stored, as the model was trained"
            )
    aliases = [("cls.predictions.bias", "cls.predictions.decoder.bias")]
    if getattr(config, "tie_word_embeddings", False):
        aliases.append(("model.embeddings.word_embeddings.weight", "cls.decoder.weight"))
    names = module.state_dict().keys()
    for pair in aliases:
        for name, other in (pair, pair[::-1]):
            if name in names and name not in tensors and other in tensors:
                derived[name] = tensors[other]
    return derived


def sinusoids(positions: int, width: int) -> torch.Tensor:
    """Return the position table of RoFormer, float32, shape (positions, width).

    Entry (p, j) is sin(p / 10000^(2j / width)) in the left half, the cosine in the right.
    """
    angle = np.arange(positions)[:, None] / np.power(10000, 2 * np.arange(width // 2) / width)
    table = np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
    return torch.from_numpy(table.astype(np.float32))


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 natively; emulated it is 100 times slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        capability = torch.backends.cpu.get_cpu_capability()
        native = capability == "AVX512" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        return bool(native and _cpu_flags() & {"avx512_bf16", "amx_bf16"})
    return False


def _cpu_flags() -> set[str]:
    """Return the instruction sets that Linux lists for the processor; empty elsewhere."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return set()
    for line in path.read_text().splitlines():
        if line.startswith("flags"):
            return set(line.split(":")[1].split())
    return set()
