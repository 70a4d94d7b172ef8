"""GPN: convnet, bytenet and roformer encoders, and the legacy ConvNet (songlab-cal/gpn).

`skeleton` has the names and shapes that a checkpoint's tensors must have, by its config.json;
`load` fills them, checks them, and hands the modules to networks that compute the same function
as `gpn` 0.9.0a1, faster (`convolutional`, `roformer`). Neither gpn nor transformers is imported:
that takes 5 s of processor time, in each of a genome's thousands of score jobs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.models import checkpoint, weights
from varlm.models.gpn import skeleton
from varlm.models.gpn.convolutional import ConvolutionalNetwork
from varlm.models.gpn.fused import can_fuse
from varlm.models.gpn.options import read_options
from varlm.models.gpn.pointwise import pointwise
from varlm.models.gpn.roformer import RoFormerNetwork
from varlm.models.gpn.skeleton import ConvolutionalSkeleton, RoFormerSkeleton
from varlm.models.language_model import MODES, LanguageModel
from varlm.models.tf32 import allow, has_tf32
from varlm.models.tokeniser import Tokens, read_tokens

log = logging.getLogger(__name__)

_POSITIONS = "model.encoder.embed_positions.weight"


class GPN(LanguageModel):
    """A loaded GPN.

    Parameters
    ----------
    module : ConvolutionalSkeleton or RoFormerSkeleton
        With the checkpoint's tensors, in float32 on the CPU; the reference.
    tokens : Tokens
    device : torch.device
    """

    def __init__(
        self,
        module: ConvolutionalSkeleton | RoFormerSkeleton,
        tokens: Tokens,
        device: torch.device,
    ):
        self.module = module
        self.tokens = tokens
        self.device = device
        self.channels = module.options.hidden_size
        if isinstance(module, RoFormerSkeleton):
            self.max_window = module.options.max_position_embeddings
        self._table = tokens.table()
        self._bases = torch.tensor(tokens.bases, device=device)
        norm = getattr(
            module.model, "ln_f", None
        )  # of the head, but the encoder's last hidden state
        final = [part for part in module.head if part is norm]
        self._final = pointwise(final, torch.float32, device)
        self.set_mode("float32")

    def describe(self) -> str:
        """Return the family, the encoder and the number of parameters."""
        count = sum(parameter.numel() for parameter in self.module.parameters())
        return f"{self.module.options.name}, {count / 1e6:.3g} M parameters"

    def encode(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """ASCII windows (batch, length) → token ids, uint8, the same shape."""
        return np.take(self._table, windows)

    @torch.inference_mode()
    def site_logits(self, ids: torch.Tensor, index: int) -> torch.Tensor:
        """Mask the base at `index` and return its logits: see `LanguageModel`."""
        ids = ids.long()  # a copy: uint8 comes in
        ids[:, index] = self.tokens.mask
        return self.network(ids, range(index, index + 1))[:, 0, self._bases]

    @torch.inference_mode()
    def base_logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits at every base, nothing masked: see `LanguageModel`."""
        return self.tile_logits(ids, 0, ids.shape[1])

    @torch.inference_mode()
    def tile_logits(self, ids: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Logits at bases, nothing masked: see `LanguageModel`."""
        return self.network(ids.long(), range(start, stop))[:, :, self._bases]

    @torch.inference_mode()
    def base_embeddings(self, windows: NDArray[np.uint8], start: int, stop: int) -> torch.Tensor:
        """Last hidden states of bases: see `LanguageModel`; after the encoder's norm, if any."""
        ids = torch.from_numpy(self.encode(windows)).to(self.device)
        hidden: torch.Tensor = self._final(self.network.encoded(ids.long(), range(start, stop)))
        return hidden

    def modes(self) -> tuple[str, ...]:
        """Modes worth trying here: types only where the device computes in them."""
        convolutions = isinstance(self.module, ConvolutionalSkeleton) and not getattr(
            self.module.options, "depthwise", False
        )
        return (
            "float32",
            *(("winograd",) if convolutions else ()),
            *(("tf32",) if has_tf32(self.device) else ()),
            *(("bfloat16",) if has_bfloat16(self.device) else ()),
            *(("fused",) if has_bfloat16(self.device) and can_fuse(self.device) else ()),
        )

    def set_mode(self, mode: str) -> None:
        """Lay the weights out for `mode`; the layout before is freed."""
        if mode not in MODES or (mode == "winograd" and isinstance(self.module, RoFormerSkeleton)):
            raise ValueError(f"a {self.module.options.name} has no mode {mode!r}")
        allow(mode, self.device)
        self.mode = mode
        self.network = self._network(mode)

    def _network(self, mode: str) -> ConvolutionalNetwork | RoFormerNetwork:
        module = self.module
        table = module.embedding()
        if isinstance(module, ConvolutionalSkeleton):
            return ConvolutionalNetwork(table, module.layers(), module.head, mode, self.device)
        return RoFormerNetwork(
            table, module.model.encoder, module.options, module.head, mode, self.device
        )


def load(folder: Path, device: torch.device, expected: Mapping[str, str] | None = None) -> GPN:
    """Load the checkpoint in `folder`, its weights checked against their `expected` SHA-256.

    Raises
    ------
    UserError
        If a file is missing or damaged, or the tensors are not exactly those that config.json
        asks for.
    """
    config = checkpoint.read_config(folder)
    tokens = read_tokens(folder)
    module = build(config, folder)
    known = module.options.vocab_size
    if known < tokens.size:
        raise UserError(
            f"{folder}: tokenizer.json has ids up to {tokens.size - 1}, but the model knows only "
            f"{known}; one of the files belongs to another model"
        )
    tensors = weights.read_tensors(folder, expected)
    weights.fill(module, tensors, folder, _derived(module, tensors))
    return GPN(module, tokens, device)


def build(config: dict[str, Any], folder: Path) -> ConvolutionalSkeleton | RoFormerSkeleton:
    """Return the modules of the model of `config` on the meta device: shapes, no values.

    Raises
    ------
    UserError
        If the config does not make a model, or needs input besides the sequence.
    """
    where = folder / "config.json"
    try:
        options = read_options(config)
        built = skeleton.build(options)
    # RuntimeError: torch, of shapes with more elements than it can count.
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{where}: does not describe a {config['model_type']} ({error})") from error
    if options.n_aux_features:
        raise UserError(
            f"{where}: n_aux_features is {options.n_aux_features}: the model reads more than the "
            "sequence (an alignment, for instance); varlm scores single-sequence models"
        )
    return built


def _derived(
    module: ConvolutionalSkeleton | RoFormerSkeleton, tensors: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Tensors that a complete checkpoint may leave out."""
    derived = {}
    options = module.options
    if isinstance(module, RoFormerSkeleton):
        # Fixed, so that some versions of transformers do not store it. gpn's class under
        # transformers 5 leaves it random when a file lacks it, without a word.
        derived[_POSITIONS] = sinusoids(
            module.options.max_position_embeddings, module.options.head_width
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
    if getattr(options, "tie_word_embeddings", False):
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
