"""TF32 without a GPU: products whose operands lose the bits that a tensor core does not read."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "convolution"}
_DROPPED = ~((1 << 13) - 1)  # 23 bits of mantissa, of which 10 are left


def cut(values: torch.Tensor) -> torch.Tensor:
    """Cut the mantissa to 10 bits, towards zero: the least that any such GPU does."""
    return (values.view(torch.int32) & _DROPPED).view(torch.float32)


class EmulatedTF32(TorchDispatchMode):
    """Every product of float32 matrices, and every convolution, in TF32; the sums in float32.

    `count` says how many there were.
    """

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._overloadpacket.__name__
        if name not in _PRODUCTS:
            with self:
                inner = func.decompose(*args, **kwargs or {})
            return func(*args, **kwargs or {}) if inner is NotImplemented else inner
        self.count += 1
        first = 1 if name in ("addmm", "baddbmm") else 0
        args = list(args)
        for place in (first, first + 1):
            if args[place].dtype == torch.float32:
                args[place] = cut(args[place].contiguous())
        return func(*args, **kwargs or {})
