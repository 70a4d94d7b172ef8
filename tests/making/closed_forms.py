"""Models over a vocabulary whose answers are a known function of the bases around a place.

The model sees token ids alone; the tests work out from the text what it must answer. A base is seen
where a token that is not masked holds it.
"""

from itertools import product
from math import exp, log

import numpy as np
import torch

from varlm.models.causal_model import CausalModel
from varlm.models.language_model import TokenModel
from varlm.models.tokens import KmerTokeniser

NEAR = (-3, -2, -1, 0, 1, 2, 3)
CHANNELS = 5


def tokeniser(k, stride, *, prefix=(), suffix=(), mask=True, seed=0, pad=False):
    """A tokeniser with ids in a random order."""
    kmers = ["".join(letters) for letters in product("ACGT", repeat=k)]
    size = len(kmers) + 8
    ids = np.random.default_rng(seed).permutation(size).tolist()
    special = iter(ids[len(kmers) :])
    return KmerTokeniser(
        k=k,
        stride=stride,
        ids=dict(zip(kmers, ids, strict=False)),
        unknown=next(special),
        size=size,
        mask=next(special) if mask else None,
        pad=next(special) if pad else None,
        prefix=tuple(next(special) for _ in prefix),
        suffix=tuple(next(special) for _ in suffix),
    )


class Formula:
    """What a base at a place, and what is around it, add to a logit or a hidden state."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.logit = rng.standard_normal((len(NEAR), 4, 4)).round(3)
        self.state = rng.standard_normal((len(NEAR), 4, CHANNELS)).round(3)

    def base_logit(self, seen, place, base):
        """Logit of a base at a place of a text in which "?" is not seen."""
        total = 0.0
        for number, offset in enumerate(NEAR):
            at = place + offset
            if 0 <= at < len(seen) and seen[at] in "ACGT":
                total += self.logit[number, "ACGT".index(seen[at]), "ACGT".index(base)]
        return total

    def kmer_logit(self, seen, start, kmer):
        return sum(self.base_logit(seen, start + j, base) for j, base in enumerate(kmer))

    def hidden(self, seen, start, k):
        total = np.zeros(CHANNELS)
        for number, offset in enumerate(NEAR):
            for at in range(start + offset, start + offset + k):
                if 0 <= at < len(seen) and seen[at] in "ACGT":
                    total += self.state[number, "ACGT".index(seen[at])]
        return total


class ClosedForm(TokenModel):
    """Answers by a `Formula`; the vocabulary's other tokens have the logit −1."""

    def __init__(self, tokens, seed=0):
        self.tokeniser, self.formula = tokens, Formula(seed)
        self.device, self.mode, self.channels = torch.device("cpu"), "float32", CHANNELS
        self.kmers = {number: kmer for kmer, number in tokens.ids.items()}

    def describe(self):
        return "closed form"

    def text(self, ids):
        """What the ids of one window show of it."""
        tokens = self.tokeniser
        inner = ids[len(tokens.prefix) : len(ids) - len(tokens.suffix)]
        seen = ["?"] * ((len(inner) - 1) * tokens.stride + tokens.k)
        for number, token in enumerate(inner):
            for j, base in enumerate(self.kmers.get(int(token), "")):
                seen[number * tokens.stride + j] = base
        return "".join(seen)

    def _places(self, ids, at):
        return range(ids.shape[1]) if at is None else list(at)

    def _start(self, token):
        return (token - len(self.tokeniser.prefix)) * self.tokeniser.stride

    def logits(self, ids, at=None):
        rows = []
        for row in ids.numpy():
            seen = self.text(row)
            answers = []
            for token in self._places(ids, at):
                logits = np.full(self.tokeniser.size, -1.0)
                for kmer, number in self.tokeniser.ids.items():
                    logits[number] = self.formula.kmer_logit(seen, self._start(token), kmer)
                answers.append(logits)
            rows.append(answers)
        return torch.tensor(np.array(rows), dtype=torch.float32)

    def hidden(self, ids, at=None):
        rows = [
            [
                self.formula.hidden(self.text(row), self._start(token), self.tokeniser.k)
                for token in self._places(ids, at)
            ]
            for row in ids.numpy()
        ]
        return torch.tensor(np.array(rows), dtype=torch.float32)


class CausalClosedForm(CausalModel):
    """Single bases; the next one's logits are a sum over the three tokens before it."""

    def __init__(self, tokens, counted="all", seed=0):
        self.tokeniser, self.counted = tokens, counted
        self.device, self.mode, self.channels = torch.device("cpu"), "float32", CHANNELS
        rng = np.random.default_rng(seed)
        self.weights = rng.standard_normal((3, tokens.size, tokens.size)).round(3)

    def describe(self):
        return "causal closed form"

    def next_logits(self, before):
        """Logits of the token after these ids."""
        total = np.zeros(self.tokeniser.size)
        for distance, token in enumerate(reversed(before[-3:])):
            total += self.weights[distance, int(token)]
        return total

    def logits(self, ids, at=None):
        places = range(ids.shape[1]) if at is None else list(at)
        rows = [[self.next_logits(row[: p + 1].tolist()) for p in places] for row in ids.numpy()]
        return torch.tensor(np.array(rows), dtype=torch.float32)

    def hidden(self, ids, at=None):
        raise NotImplementedError

    def prefix(self, ids):
        return ids, self.logits(ids, [ids.shape[1] - 1])[:, 0]

    def suffixes(self, state, ids):
        n, m, length = ids.shape
        whole = torch.cat([state[:, None].expand(n, m, -1), ids], -1).flatten(0, 1)
        start = state.shape[1]
        logits = self.logits(whole, range(start, start + length))
        return logits.reshape(n, m, length, -1)

    def likelihood(self, text):
        """Sum of log p of the tokens that count, of a window, and their number; in plain Python."""
        tokens = self.tokeniser
        ids = [*tokens.prefix, *(tokens.ids.get(b, tokens.unknown) for b in text), *tokens.suffix]
        total, count = 0.0, 0
        bases = {*tokens.ids.values(), tokens.unknown}
        for place in range(1, len(ids)):
            if self.counted == "nucleotides" and ids[place] not in bases:
                continue
            logits = self.next_logits(ids[:place])
            total += logits[ids[place]] - log(sum(map(exp, logits)))
            count += 1
        return total, count
