"""Norms over channels."""

from __future__ import annotations

import torch
from torch import nn

from visuite.cv.layers import GRN, LayerNorm2d, build_norm_layer


def test_layer_norm_of_each_pixel() -> None:
    name, layer = build_norm_layer({"type": "LN2d", "eps": 1e-3}, 6)
    assert (name, type(layer), layer.eps) == ("ln", LayerNorm2d, 1e-3)
    nn.init.uniform_(layer.weight)
    nn.init.uniform_(layer.bias)
    x = torch.randn(2, 6, 3, 5)
    mean, var = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
    expected = (x - mean) / (var + 1e-3).sqrt() * layer.weight[:, None, None] + layer.bias[:, None, None]
    torch.testing.assert_close(layer(x), expected)


def test_global_response_norm() -> None:
    layer, x = GRN(5), torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(layer(x), x)  # it starts as the identity
    nn.init.uniform_(layer.gamma)
    nn.init.uniform_(layer.beta)
    norms = torch.tensor([[one[..., channel].norm() for channel in range(5)] for one in x])
    share = (norms / (norms.mean(1, keepdim=True) + 1e-6))[:, None, None]
    torch.testing.assert_close(layer(x), layer.gamma * (x * share) + layer.beta + x)


def test_global_response_norm_of_nothing_has_gradients() -> None:
    layer, x = GRN(5), torch.zeros(2, 3, 4, 5, requires_grad=True)
    nn.init.ones_(layer.gamma)
    layer(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
