"""The Hyena operator (Poli et al. 2023), of order 2: a long convolution between two gates.

Its filter, as long as the sequence, is what a small network makes of the position. In here
sequences lie as (channels, rows, length): a convolution runs along what is contiguous. A sequence
can be read in two parts: what the first part adds to later positions is a convolution too, and is
the same whatever follows.

Names of modules are those of the tensors of a checkpoint (HyenaDNA's modeling_hyena.py).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from varlm.models.gpn.skeleton import Part
from varlm.models.networks.products import linear

_META = torch.device("meta")
_SHIFT = 0.05  # what is left of a filter at its far end, of modeling_hyena.py
_LAG = 2  # the short filter reads from two positions before: its padding in modeling_hyena.py
_KEPT = 1 << 25  # bytes of spectra that a filter keeps: a few window lengths of 1 kb


class Read(NamedTuple):
    """What a layer needs of the first part of sequences.

    Attributes
    ----------
    end : shape (3·channels, rows, 2)
        Its last two positions, of what goes into the short filter.
    values : shape (channels, rows, length)
        Input of the long convolution.
    """

    end: torch.Tensor
    values: torch.Tensor


class Sine(nn.Module):
    """sin(freq · x), shape of freq (1, width); one for all layers of a filter."""

    def __init__(self, width: int, freq: float | None):
        super().__init__()
        if freq is None:
            self.freq = nn.Parameter(torch.empty(1, width, device=_META))
        else:  # not trained, and in no file
            self.register_buffer("freq", torch.full((1, width), float(freq)), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return torch.sin(self.freq * x)


class LongFilter(nn.Module):
    """An implicit filter: a network of sines over position, times an exponential decay.

    Parameters
    ----------
    channels, width, embedding : int
        Of the filter, its network, and its network's input.
    layers : int
        Hidden layers of the network, after the first.
    length : int
        The most positions.
    freq : float, optional
        Of all sines, where it is not trained.
    """

    bias: nn.Parameter

    def __init__(
        self,
        *,
        channels: int,
        width: int,
        embedding: int,
        layers: int,
        length: int,
        freq: float | None,
    ):
        super().__init__()
        self.bias = nn.Parameter(torch.empty(channels, device=_META))
        sine = Sine(width, freq)
        hidden = [embedding, *[width] * layers]
        steps = [step for size in hidden for step in (nn.Linear(size, width, device=_META), sine)]
        last = nn.Linear(width, channels, bias=False, device=_META)
        self.implicit_filter = nn.Sequential(*steps, last)
        self.modulation = _buffers(deltas=(1, 1, channels))
        self.pos_emb = _buffers(z=(1, length, embedding), t=(1, length, 1))
        self._spectra: dict[tuple[int, int], torch.Tensor] = {}

    def taps(self, length: int) -> torch.Tensor:
        """Return the first `length` values of the filter: (channels, length).

        Step by step as modeling_hyena.py has it: three sines of ten times their input make a
        thousand times more of a rounding error, so that another order would be another filter.
        """
        z = self.pos_emb.get_buffer("z")[0, :length]
        t = self.pos_emb.get_buffer("t")[0, :length]
        decay = torch.exp(-t * self.modulation.get_buffer("deltas")[0].abs())
        taps: torch.Tensor = self.implicit_filter(z).mul_(decay + _SHIFT)
        return taps.t().contiguous()

    def spectrum(self, taps: int, size: int) -> torch.Tensor:
        """Return the Fourier transform, of `size` points, of the first `taps` values.

        They depend on the weights alone: kept for the next batch, (channels, 1, size/2 + 1).
        """
        key = (taps, size)
        if key not in self._spectra:
            spectrum: torch.Tensor = torch.fft.rfft(self.taps(taps), n=size)[:, None]
            self._spectra[key] = spectrum
            while sum(kept.nbytes for kept in self._spectra.values()) > _KEPT:
                del self._spectra[next(iter(self._spectra))]
            return spectrum
        return self._spectra[key]

    def convolve(self, values: torch.Tensor) -> torch.Tensor:
        """Return the causal convolution along the last axis: (channels, rows, length)."""
        length = values.shape[-1]
        size = fast_size(2 * length)
        # Half of the circle is filter and half is values, so that nothing comes round.
        return self._circular(values, size // 2, size)[..., :length]

    def carry(self, values: torch.Tensor, length: int) -> torch.Tensor:
        """Return what values add to the `length` positions after them: (channels, rows, length)."""
        before = values.shape[-1]
        size = fast_size(before + length)
        # What comes round falls on the values' own positions, which are not asked for.
        return self._circular(values, size, size)[..., before : before + length]

    def _circular(self, values: torch.Tensor, taps: int, size: int) -> torch.Tensor:
        product = torch.fft.rfft(values, n=size).mul_(self.spectrum(taps, size))
        result: torch.Tensor = torch.fft.irfft(product, n=size)
        return result


class Operator(nn.Module):
    """The operator: (rows, length, channels) → the same.

    Parameters
    ----------
    channels : int
    short : int
        Length of the short filter, at most 3.
    filter_fn : LongFilter
    """

    def __init__(self, channels: int, short: int, filter_fn: LongFilter):
        super().__init__()
        self.in_proj = nn.Linear(channels, 3 * channels, device=_META)
        self.out_proj = nn.Linear(channels, channels, device=_META)
        self.short_filter = nn.Conv1d(
            3 * channels, 3 * channels, short, groups=3 * channels, device=_META
        )
        self.filter_fn = filter_fn

    def begin(self, x: torch.Tensor) -> tuple[torch.Tensor, Read]:
        """Read sequences from their first position on, and keep what more of them will need."""
        projected = self._projected(x)
        # Zeros come before a sequence, and the bias is added afterwards.
        nothing = -self.in_proj.bias[:, None, None].expand(-1, len(x), _LAG)
        mixed, values = self._mixed(self._short(projected, nothing), None)
        end = torch.cat([nothing, projected[..., -_LAG:]], -1)[..., -_LAG:]
        return mixed, Read(end.clone(), values)

    def resume(self, x: torch.Tensor, before: Read) -> torch.Tensor:
        """Read what comes after, in several ways.

        Parameters
        ----------
        x : shape (rows · ways, length, channels)
        before : Read
            Of `rows` rows.
        """
        ways = len(x) // before.end.shape[1]
        gates = self._short(self._projected(x), before.end.repeat_interleave(ways, 1))
        carried = self.filter_fn.carry(before.values, x.shape[1])
        return self._mixed(gates, carried)[0]

    def _projected(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, length, channels) → (3·channels, rows, length), without the bias."""
        # The other way round: the channels come first.
        return linear(self.in_proj.weight, x.flatten(0, 1)).view(-1, *x.shape[:2])

    def _short(self, x: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
        """Convolve with the short filter: x of `_projected`, and the two positions before it."""
        weight = nn.functional.pad(self.short_filter.weight[:, 0], (0, _LAG))[:, : _LAG + 1]
        bias = self.short_filter.get_parameter("bias") + self.in_proj.bias * weight.sum(1)
        taps = weight.t()[:, :, None, None]
        out = torch.addcmul(bias[:, None, None], x, taps[_LAG])
        length = x.shape[-1]
        for tap in range(_LAG):
            lag = _LAG - tap
            out[..., lag:].addcmul_(x[..., : max(length - lag, 0)], taps[tap])
            reach = min(lag, length)
            out[..., :reach].addcmul_(end[..., tap : tap + reach], taps[tap])
        return out

    def _mixed(
        self, gates: torch.Tensor, carried: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Gate, convolve, gate; return that, (rows, length, channels), and what was convolved."""
        last, first, values = gates.chunk(3)
        values = values * first
        long = self.filter_fn.convolve(values)
        long.addcmul_(values, self.filter_fn.bias[:, None, None])
        if carried is not None:
            ways = long.shape[1] // carried.shape[1]
            for way in range(ways):
                long[:, way::ways].add_(carried)
        long = long * last
        mixed = linear(long.flatten(1).t(), self.out_proj.weight, self.out_proj.bias)
        return mixed.view(*long.shape[1:], -1), values


def fast_size(size: int) -> int:
    """Return the smallest even product of 2, 3 and 5 that is not less.

    A Fourier transform of 1026 points takes twice the time of one of 1080, of 2050 four times.
    """
    best = 1 << max(size - 1, 1).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            two = three * 2
            while two < size:
                two *= 2
            best = min(best, two)
            three *= 3
        five *= 5
    return best


def _buffers(**shapes: tuple[int, ...]) -> Part:
    """Return a part with buffers of these names."""
    part = Part()
    for name, shape in shapes.items():
        part.register_buffer(name, torch.empty(shape, device=_META))
    return part
