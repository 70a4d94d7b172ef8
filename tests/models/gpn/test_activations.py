"""Activation functions against those of transformers."""

import pytest
import torch

from varlm.models.gpn.activations import FUNCTIONS, activation

ACTIVATIONS = sorted([*FUNCTIONS, "prelu"])


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_activations_are_those_of_transformers(act):
    from transformers.activations import ACT2FN

    x = torch.linspace(-12, 12, 2001)
    own, expected = activation(act), ACT2FN[act]
    if act == "prelu":
        own.load_state_dict(expected.state_dict(), assign=True)
    torch.testing.assert_close(own(x), expected(x), atol=2e-6, rtol=0)


def test_one_activation_is_not_there():
    from transformers.activations import ACT2FN

    assert ACT2FN.keys() - set(ACTIVATIONS) == {"xielu"}
