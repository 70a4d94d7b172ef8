"""The device that a job takes, and the batch that fits into its free memory."""

from __future__ import annotations

import logging

import torch

from varlm.errors import UserError
from varlm.models import tf32
from varlm.models.language_model import LanguageModel
from varlm.run.devices import cuda_devices, lease
from varlm.run.memory import available_memory

log = logging.getLogger(__name__)

# Bytes of one layer's values of a batch, float32: see `default_batch`.
_CPU_BYTES = 8 << 20
_GPU_BYTES = 256 << 20

# Values of a batch that are in memory at once, in layers: at most 5 measured for convolutions,
# 15 for RoFormer (512 channels, 512 bp, both strands, CPU).
_LAYERS_HELD = 24


def choose_device(name: str = "auto") -> torch.device:
    """Return the device: `auto` is CUDA, else Apple's MPS, else the CPU.

    TF32 is switched off until a model is set to it: float32 means float32.

    Raises
    ------
    UserError
        If a device is asked for by name that is not there.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    elif not available.get(name.split(":")[0], False):
        present = ", ".join(kind for kind, there in available.items() if there)
        raise UserError(f"scoring.device: {name!r} is not available here; available: {present}")
    torch.set_float32_matmul_precision("highest")
    device = torch.device(name)
    tf32.allow("float32", device)
    return device


def default_batch(model: LanguageModel, window: int, *, everywhere: bool = False) -> int:
    """Windows a batch: a power of two that depends on nothing but the model and the device.

    Not measured: another batch size gives other roundings, and runs should repeat bit for bit.
    On a CPU one layer's values should stay in the cache (within 10 % of the best of 4 … 64 for
    64 and for 512 channels on Zen 3); a GPU wants to be filled. Where the positions of a window
    are answered `everywhere`, each layer is as large as the first: fewer windows fit.
    """
    per_window = 4 * window * model.channels
    if model.device.type == "cpu":
        wanted = min(_CPU_BYTES / per_window / (4 if everywhere else 1), 32)
    else:
        wanted = min(_GPU_BYTES / per_window, 4096)
    return 1 << max(int(wanted).bit_length() - 1, 0)


def free_memory(device: torch.device) -> int:
    """Return the bytes that a batch could take on a device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return available_memory()


def fitting_batch(model: LanguageModel, window: int, wanted: int) -> int:
    """Return `wanted`, halved as often as needed to take at most half of the memory at hand.

    An estimate: where it is wrong, `Scorer` halves again, or the job is started again
    (`varlm.run.supervision`).
    """
    free = free_memory(model.device)
    per_window = _LAYERS_HELD * 4 * window * model.channels
    batch_size = wanted
    while batch_size > 1 and batch_size * per_window > free / 2:
        batch_size //= 2
    if batch_size < wanted:
        log.warning(
            "%d MB of memory are free on %s: %d windows a batch instead of %d",
            free // 10**6,
            model.device,
            batch_size,
            wanted,
        )
    return batch_size


def take_device(name: str) -> torch.device:
    """Return the device to compute on; a CUDA device is this job's alone until it ends.

    Waits for a CUDA device that no other job has.

    Parameters
    ----------
    name : str
        auto, cpu, cuda, cuda:N or mps.

    Raises
    ------
    UserError
        If there is no such device here.
    """
    device = choose_device(name)
    if device.type != "cuda":
        return device
    return torch.device("cuda", lease(cuda_devices(), device.index).index)
