"""What every family gets from its tokens: embeddings of bases."""

import itertools

import numpy as np
import pytest
import torch

from making.toy_models import ToyModel
from varlm.models.language_model import TokenModel
from varlm.models.tokens import KmerTokeniser

WINDOW = "ACGTTGCANGTCATTGACCA"


class IdentityModel(TokenModel):
    """Its hidden states are the position and the id of each token."""

    def __init__(self, tokeniser: KmerTokeniser):
        self.tokeniser = tokeniser
        self.device = torch.device("cpu")
        self.mode = "float32"
        self.channels = 2

    def describe(self):
        return "identity"

    def logits(self, ids, at=None):
        raise AssertionError(f"an embedding needs no logits ({ids.shape}, {at})")

    def hidden(self, ids, at=None):
        states = torch.stack([torch.arange(ids.shape[1]).expand_as(ids), ids], -1).float()
        return states if at is None else states[:, at]


def tokeniser(k: int, stride: int, prefix: int) -> KmerTokeniser:
    kmers = ["".join(kmer) for kmer in itertools.product("ACGT", repeat=k)]
    ids = {kmer: 7 + number for number, kmer in enumerate(kmers)}
    return KmerTokeniser(
        k, stride, ids, unknown=1, size=7 + len(kmers), prefix=(2,) * prefix, suffix=(3,)
    )


def windows(text: str = WINDOW) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)[None]


@pytest.mark.parametrize("place", ["variant", "first"])
@pytest.mark.parametrize(("k", "stride", "prefix"), [(1, 1, 0), (1, 1, 2), (3, 3, 1), (3, 1, 2)])
def test_an_embedding_is_that_of_the_tokens_over_the_base(k, stride, prefix, place):
    tokens = tokeniser(k, stride, prefix)
    model = IdentityModel(tokens)
    ids = tokens.encode(windows())[0]
    for index in range(18):  # whole 3-mers hold the first 18 bases
        base = index if place == "variant" else 0
        starts = range(0, len(WINDOW) - k + 1, stride)
        over = [prefix + number for number, at in enumerate(starts) if at <= base < at + k]
        expected = [np.mean(over), np.mean(ids[over])]
        states = model.variant_embeddings(windows(), index, place)
        assert states.dtype == torch.float32
        np.testing.assert_allclose(states.numpy(), [expected], rtol=1e-6)


def test_a_model_without_hidden_states_says_so():
    with pytest.raises(ValueError, match="ToyModel has no embeddings"):
        ToyModel().variant_embeddings(windows(), 3, "variant")
