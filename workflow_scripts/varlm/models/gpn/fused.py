"""bfloat16 on a GPU without the traffic between its products.

Two things keep a GPU from its matrix products: the rows that each output of a convolution reads,
written out side by side (nine times the activations), and a pass through memory for each of GELU,
LayerNorm, sum and cast. In the mode `fused` a convolution reads its inputs where they lie, and
torch.compile makes one kernel of what is between two products. The sums are those of `bfloat16`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from math import ceil
from typing import ParamSpec, TypeVar

import torch
import torch.nn.functional as F

P = ParamSpec("P")
T = TypeVar("T")


def can_fuse(device: torch.device) -> bool:
    """Whether this machine can compile for the device: Triton needs a C compiler, too."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    return (
        device.type == "cuda" and importlib.util.find_spec("triton") is not None and bool(compiler)
    )


def compiled(function: Callable[P, T]) -> Callable[P, T]:
    """Return the function, compiled when it is first called; as it is where that fails.

    Modules that it is called with count by their types, so that the layers of a network share
    what was compiled for the first.
    """
    import torch._dynamo

    # What cannot be compiled runs as it is, and is measured so: not chosen, and no run fails.
    torch._dynamo.config.suppress_errors = True
    result: Callable[P, T] = torch.compile(function)
    return result


def convolve_stretch(
    x: torch.Tensor, kernel: torch.Tensor, dilation: int, before: int, count: int
) -> torch.Tensor:
    """Convolve a whole stretch in one kernel, its sums in float32.

    With a dilation d, rows of d positions make a picture whose columns are convolved without one,
    by the kernels that GPUs are best at; in memory that picture is the stretch as it lies.

    Parameters
    ----------
    x : shape (batch, positions, channels in)
        Zero outside.
    kernel : shape (channels out, channels in, taps, 1), channels last
    dilation : int
    before : int
        How far the first output's first tap lies before x's first position (negative: behind it).
    count : int
        Number of neighbouring outputs.

    Returns
    -------
    shape (batch, count, channels out), of the kernel's type
    """
    rows, taps = ceil(count / dilation), kernel.shape[2]
    after = (rows + taps - 1) * dilation - before - x.shape[1]
    x, padding = x.to(kernel.dtype), before // dilation
    if before < 0 or before != after or before % dilation:  # else the kernel itself pads
        x, padding = F.pad(x, (0, 0, before, after)), 0
    picture = x.view(len(x), -1, dilation, x.shape[2]).permute(0, 3, 1, 2)
    y = F.conv2d(picture, kernel, padding=(padding, 0)).permute(0, 2, 3, 1)
    return y.reshape(len(x), rows * dilation, -1)[:, :count]
