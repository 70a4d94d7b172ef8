"""TF32: float32 products of which an NVIDIA GPU reads the operands with 10 bits of mantissa.

Sums and everything between the products stay float32. torch has one switch for the whole process,
off unless a model is in the mode `tf32`.
"""

from __future__ import annotations

import torch

from varlm.errors import UserError

_FIRST = (8, 0)  # compute capability of the first GPUs that have it (A100)


def has_tf32(device: torch.device) -> bool:
    """Whether the device multiplies in TF32."""
    return (
        device.type == "cuda"
        and torch.version.hip is None
        and torch.cuda.get_device_capability(device) >= _FIRST
    )


def allow(mode: str, device: torch.device) -> None:
    """Switch TF32 on if `mode` is tf32, else off: float32 means float32.

    Raises
    ------
    UserError
        If the mode is tf32 and the device has none.
    """
    on = mode == "tf32"
    if on and not has_tf32(device):
        raise UserError(
            f"scoring.precision: tf32 is not available on {device}; it needs an NVIDIA GPU of "
            "compute capability 8.0 or newer (A100, L4, H100 …); choose auto or float32"
        )
    torch.backends.cuda.matmul.allow_tf32 = on
    torch.backends.cudnn.allow_tf32 = on
