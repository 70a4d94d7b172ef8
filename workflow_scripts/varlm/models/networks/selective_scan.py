"""The selective scan of Mamba (Gu & Dao 2023, arXiv:2312.00752, algorithm 2) and its convolution.

With Δ = softplus(dt + bias), for each channel d, state n and step t:

    h[t, n, d] = exp(Δ[t, d] A[n, d]) h[t − 1, n, d] + Δ[t, d] B[t, n] x[t, d],   h[−1] = 0
    y[t, d] = Σ_n C[t, n] h[t, n, d] + D[d] x[t, d]

Groups are scans of weights of their own, such as the two directions. On CUDA the kernels of the
package mamba_ssm compute it, where they are installed; else torch does, a step of all rows at a
time, in float32. The convolution before it is that of the package causal_conv1d, likewise.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F

_KERNELS_ON = ("cuda",)
_KERNEL_WIDTHS = range(2, 5)  # of causal_conv1d

# Values of h that are held at once. On a CPU they should stay in the second-level cache: within
# 10 % of the best of 2^15 … 2^21 for 512 channels of 16 states (AMD EPYC, 1 MiB a core).
_HELD = {"cpu": 1 << 18}
_HELD_ELSEWHERE = 1 << 26

Kernel = Callable[..., torch.Tensor]


def causal_convolution(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """Convolve each channel with itself up to the step, then SiLU; steps before the first are 0.

    Parameters
    ----------
    x : shape (g, n, T, d)
    weight : shape (g, d, k)
        The last one is the step's own.
    bias : shape (g, d), or None

    Returns
    -------
    shape (g, n, T, d)
    """
    width = weight.shape[2]
    kernel = convolution_kernel(x.device.type)
    if kernel is not None and width in _KERNEL_WIDTHS:
        shifts = None if bias is None else bias.flatten()
        y = kernel(_channels_first(x), weight.flatten(0, 1), shifts, activation="silu")
        return _channels_last(y, x)
    taps = weight[:, None, None].unbind(-1)
    out = x * taps[-1]
    for back in range(1, min(width, x.shape[2])):
        out[:, :, back:].addcmul_(x[:, :, :-back], taps[-1 - back])
    if bias is not None:
        out += bias[:, None, None]
    return F.silu(out, inplace=True)


def selective_scan(
    x: torch.Tensor,
    dt: torch.Tensor,
    bias: torch.Tensor,
    decay: torch.Tensor,
    into: torch.Tensor,
    out_of: torch.Tensor,
    skip: torch.Tensor,
) -> torch.Tensor:
    """Scan g groups of n sequences of T steps, from the first step to the last.

    Parameters
    ----------
    x, dt : shape (g, n, T, d)
        What goes in, and the size of the step before bias and softplus.
    bias : float32, shape (g, d)
        Of dt.
    decay : float32, shape (g, N, d)
        A: negative.
    into, out_of : shape (g, n, T, N)
        B and C.
    skip : float32, shape (g, d)
        D.

    Returns
    -------
    shape (g, n, T, d), of x's type
    """
    kernel = scan_kernel(x.device.type)
    if kernel is not None:
        return _by_kernel(kernel, x, dt, bias, decay, into, out_of, skip)
    x32 = x.float()
    dt = F.softplus(dt.float() + bias[:, None, None])
    y = _by_steps(dt, dt * x32, decay, into.float(), out_of.float())
    return y.addcmul_(skip[:, None, None], x32).to(x.dtype)


def scan_kernel(device: str) -> Kernel | None:
    """Return `selective_scan_fn` of mamba_ssm, where it is installed and runs on the device."""
    return _kernel("mamba_ssm.ops.selective_scan_interface", "selective_scan_fn", device)


def convolution_kernel(device: str) -> Kernel | None:
    """Return `causal_conv1d_fn`, where the package is installed and runs on the device."""
    return _kernel("causal_conv1d", "causal_conv1d_fn", device)


@cache
def _kernel(module: str, name: str, device: str) -> Kernel | None:
    if device not in _KERNELS_ON:
        return None
    try:
        kernel: Kernel = getattr(importlib.import_module(module), name)
    except ImportError:
        return None
    return kernel


def _by_kernel(
    kernel: Kernel,
    x: torch.Tensor,
    dt: torch.Tensor,
    bias: torch.Tensor,
    decay: torch.Tensor,
    into: torch.Tensor,
    out_of: torch.Tensor,
    skip: torch.Tensor,
) -> torch.Tensor:
    """Scan all groups in one call: to the kernel they are groups of channels."""
    y = kernel(
        _channels_first(x),
        _channels_first(dt),
        decay.mT.flatten(0, 1).contiguous(),
        into.permute(1, 0, 3, 2).contiguous(),
        out_of.permute(1, 0, 3, 2).contiguous(),
        skip.flatten(),
        delta_bias=bias.flatten(),
        delta_softplus=True,
    )
    return _channels_last(y, x)


def _channels_first(x: torch.Tensor) -> torch.Tensor:
    """(g, n, T, d) → (n, g·d, T)."""
    return x.permute(1, 0, 3, 2).flatten(1, 2).contiguous()


def _channels_last(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(n, g·d, T) → the shape of x, (g, n, T, d)."""
    groups, rows, steps, channels = x.shape
    return y.reshape(rows, groups, channels, steps).permute(1, 0, 3, 2)


def _by_steps(
    dt: torch.Tensor,
    x: torch.Tensor,
    decay: torch.Tensor,
    into: torch.Tensor,
    out_of: torch.Tensor,
) -> torch.Tensor:
    """Scan in float32, without D: `dt` is Δ and `x` is Δ x.

    As many rows and steps at once as `_HELD` allows. The exponentials of several steps are taken
    together, and each step turns those of its own into h, in place; channels lie innermost, so that
    nothing is broadcast along vectors. Exponents are negative: nothing can overflow.
    """
    groups, rows, steps, channels = x.shape
    states = decay.shape[1]
    held = _HELD.get(x.device.type, _HELD_ELSEWHERE)
    some = min(rows, max(1, held // (groups * states * channels)))
    size = min(steps, max(1, held // (groups * some * states * channels)))
    y = torch.empty_like(x)
    buffer = x.new_empty((size, groups, some, states, channels))
    for first in range(0, rows, some):
        part = slice(first, first + some)
        h = x.new_zeros((groups, len(range(*part.indices(rows))), states, channels))
        for start in range(0, steps, size):
            piece = (slice(None), part, slice(start, start + size))
            # One step each: (g, rows, 1, d), and (g, rows, N, 1).
            deltas = dt[piece].permute(2, 0, 1, 3).unsqueeze(3)
            gains = x[piece].permute(2, 0, 1, 3).unsqueeze(3)
            targets = into[piece].permute(2, 0, 1, 3).unsqueeze(4)
            hs = buffer[: len(deltas), :, : h.shape[1]]
            torch.mul(deltas, decay[:, None], out=hs).exp_()
            for now, gain, target in zip(
                hs.unbind(0), gains.unbind(0), targets.unbind(0), strict=True
            ):
                h = now.mul_(h).addcmul_(gain, target)
            h = h.clone()  # the buffer's next values go over it
            answers = out_of[piece].permute(2, 0, 1, 3).unsqueeze(3) @ hs
            y[piece] = answers.squeeze(3).permute(1, 2, 0, 3)
    return y
