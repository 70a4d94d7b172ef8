"""Linear layers by oneDNN and by torch: the same sums."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from varlm.models.networks import products


@pytest.fixture(params=[True, False])
def onednn(request, monkeypatch):
    if request.param and not products._ONEDNN:
        pytest.skip("this build of torch lacks oneDNN")
    monkeypatch.setattr(products, "_ONEDNN", request.param)


@pytest.mark.parametrize("shape", [(7, 12), (2, 3, 12), (0, 12), (1, 12)])
def test_linear(onednn, shape):
    x, weight, bias = torch.randn(shape), torch.randn(5, 12), torch.randn(5)
    expected = F.linear(x.double(), weight.double(), bias.double())
    torch.testing.assert_close(products.linear(x, weight, bias), expected.float())
    torch.testing.assert_close(
        products.linear(x, weight), F.linear(x.double(), weight.double()).float()
    )


def test_linear_of_a_transposed_view(onednn):
    x, weight = torch.randn(12, 7).t(), torch.randn(5, 12)
    torch.testing.assert_close(products.linear(x, weight), x @ weight.t())


def test_gelu_is_the_one_with_the_hyperbolic_tangent(onednn):
    x, weight, bias = torch.linspace(-6, 6, 1001)[:, None], torch.ones(1, 1), torch.zeros(1)
    expected = F.gelu(x.double(), approximate="tanh")
    assert (products.linear_gelu(x, weight, bias) - expected).abs().max() < 2e-6
    # The other GELU differs by 5e-4.
    assert (expected - F.gelu(x.double())).abs().max() > 1e-4


def test_other_types_are_torchs(onednn):
    x, weight, bias = (torch.randn(shape).double() for shape in ((3, 4), (2, 4), (2,)))
    torch.testing.assert_close(products.linear(x, weight, bias), F.linear(x, weight, bias))


class _Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def test_a_networks_linear_layers_are_taken_over(onednn, monkeypatch):
    network = nn.ModuleDict({"a": nn.Linear(12, 12), "b": nn.Linear(12, 12, bias=False)})
    network["b"].weight = network["a"].weight
    network["c"] = _Doubled(12, 5)
    names, x = list(network.state_dict()), torch.randn(7, 12)
    expected = [layer(x) for layer in network.values()]
    products.take_over(network)
    for layer, answer in zip(network.values(), expected, strict=True):
        torch.testing.assert_close(layer(x), answer)
    assert list(network.state_dict()) == names
    assert network["b"].weight is network["a"].weight
    monkeypatch.setattr(products, "linear", lambda *arguments: len(arguments))
    assert [network[name](x) for name in "ab"] == [3, 3]
    assert isinstance(network["c"](x), torch.Tensor)
