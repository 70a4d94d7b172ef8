"""Tokenisers of nucleotides as arrays: k-mers of a stride, between special tokens.

A base is a k-mer of one. No genome goes through a text tokeniser; the ids are read from a
checkpoint's files once. Windows are uint8 ASCII, upper case; `N` is an unknown base and `PAD` a
position past an end of the contig.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from varlm.genome.bases import BASES, CODES, UNKNOWN

PAD = ord("-")  # of windows: past the contig's end


@dataclass(frozen=True)
class KmerTokeniser:
    """Windows → token ids, an id for each k-mer.

    Attributes
    ----------
    k, stride : int
        Bases in a token, and from a token to the next: 1 and 1, 6 and 6, 6 and 1.
    ids : dict
        k-mer of A, C, G, T → id; all 4^k of them.
    unknown : int
        Id of a k-mer with any other letter.
    prefix, suffix : tuple of int
        Ids before and after the sequence's.
    mask : int or None
        Id of the mask token; None where there is none (causal models).
    size : int
        One more than the highest id of the vocabulary.
    pad : int or None
        Id of a k-mer that lies past the contig's end, where that is another than `unknown`
        (k = 1 only).
    """

    k: int
    stride: int
    ids: Mapping[str, int]
    unknown: int
    size: int
    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()
    mask: int | None = None
    pad: int | None = None

    @cached_property
    def kmer_ids(self) -> NDArray[np.int64]:
        """Ids of the 4^k k-mers in the order of their letters, A C G T, the first the highest."""
        return np.array(
            [self.ids["".join(kmer)] for kmer in itertools.product(BASES, repeat=self.k)]
        )

    @cached_property
    def _table(self) -> NDArray[np.int64]:
        """k-mer as a number to the base of 5, UNKNOWN being 4 → id."""
        table = np.full((UNKNOWN + 1,) * self.k, self.unknown)
        table[(slice(0, 4),) * self.k] = self.kmer_ids.reshape((4,) * self.k)
        return table.ravel()

    def tokens(self, width: int) -> int:
        """Return the number of tokens of a window of `width` bp, special ones included."""
        return len(self.prefix) + (width - self.k) // self.stride + 1 + len(self.suffix)

    def width(self, tokens: int) -> int:
        """Return the width in bp of windows of so many tokens, special ones included."""
        inner = tokens - len(self.prefix) - len(self.suffix)
        return (inner - 1) * self.stride + self.k

    def encode(self, windows: NDArray[np.uint8]) -> NDArray[np.int64]:
        """ASCII windows (n, W) → ids (n, T)."""
        codes = CODES[windows].astype(np.int64)
        number = np.zeros_like(codes[:, : codes.shape[1] - self.k + 1])
        for offset in range(self.k):
            number = number * (UNKNOWN + 1) + codes[:, offset : offset + number.shape[1]]
        ids = self._table[number[:, :: self.stride]]
        if self.pad is not None:
            ids[windows == PAD] = self.pad
        ends = [np.broadcast_to(part, (len(ids), len(part))) for part in (self.prefix, self.suffix)]
        return np.concatenate([ends[0], ids, ends[1]], axis=1).astype(np.int64)

    def cover(self, index: int, width: int) -> list[tuple[int, int]]:
        """Return the tokens that hold the base at `index`: (token's index, offset in its k-mer).

        Tokens count from the first of the ids, so that the prefix counts too.
        """
        first = max(0, -(-(index - self.k + 1) // self.stride))
        last = min(index, width - self.k) // self.stride
        return [
            (len(self.prefix) + token, index - token * self.stride)
            for token in range(first, last + 1)
        ]

    def over(self, start: int, stop: int, width: int) -> tuple[range, int]:
        """Return the tokens that hold any of the bases from `start` to before `stop`.

        They count as in `cover`. The second value is where the base at `start` is, in bp from the
        first base of the first of them.
        """
        first = max(-(-(start - self.k + 1) // self.stride), 0)
        last = min((stop - 1) // self.stride, (width - self.k) // self.stride)
        before = len(self.prefix)
        return range(first + before, last + 1 + before), start - first * self.stride

    def shares(self, tokens: int, begin: int, bases: int) -> NDArray[np.float32]:
        """Return what each token counts for each base, so that a product is the mean over tokens.

        Parameters
        ----------
        tokens : int
            Neighbouring ones, without prefix and suffix.
        begin : int
            The first base, in bp from the first of the first token.
        bases : int

        Returns
        -------
        float32, shape (bases, tokens)
            Rows add up to 1.
        """
        base = begin + np.arange(bases)[:, None]
        starts = self.stride * np.arange(tokens)
        holds = (starts <= base) & (base < starts + self.k)
        shares: NDArray[np.float32] = (holds / holds.sum(1, keepdims=True)).astype(np.float32)
        return shares

    def alternatives(
        self, windows: NDArray[np.uint8], index: int, offset: int
    ) -> NDArray[np.int64]:
        """Return the ids of the k-mer that holds the base at `index`, with each base there: (n, 4).

        Parameters
        ----------
        windows : uint8 ASCII, shape (n, W)
        index : int
            0-based in the windows.
        offset : int
            Of that base in the k-mer.
        """
        start = index - offset
        codes = np.repeat(
            CODES[windows[:, None, start : start + self.k]].astype(np.int64), 4, axis=1
        )
        codes[:, :, offset] = np.arange(4)
        number = codes @ (UNKNOWN + 1) ** np.arange(self.k - 1, -1, -1)
        ids: NDArray[np.int64] = self._table[number]
        return ids

    def mapping(self) -> dict[str, Any]:
        """Return what identifies it, as JSON values; part of the model key."""
        return {
            "k": self.k,
            "stride": self.stride,
            "kmers": hashlib.sha256(self.kmer_ids.astype("<i8").tobytes()).hexdigest(),
            "unknown": self.unknown,
            "size": self.size,
            "prefix": list(self.prefix),
            "suffix": list(self.suffix),
            "mask": self.mask,
            "pad": self.pad,
        }
