from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.cv.ops.checks import random_tensor
from visuite.engine.registry import MODELS


def layer(scale=None):
    module = MODELS.build(dict(type="CrissCrossAttention", in_channels=16))
    if scale is not None:
        nn.init.constant_(module.gamma["scale"], scale)
    return module


def plain_criss_cross(module, x):
    query, key, value = module.query_conv(x), module.key_conv(x), module.value_conv(x)
    out = x.clone()
    for b in range(x.shape[0]):
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                seen = [(k, j) for k in range(x.shape[2]) if k != i] + [(i, k) for k in range(x.shape[3])]
                scores = torch.stack([query[b, :, i, j] @ key[b, :, r, c] for r, c in seen]).softmax(0)
                gathered = sum(s * value[b, :, r, c] for s, (r, c) in zip(scores, seen, strict=True))
                out[b, :, i, j] = x[b, :, i, j] + module.gamma["scale"] * gathered
    return out


@pytest.mark.parametrize(("height", "width"), [(3, 4), (1, 5), (4, 1), (1, 1)])
def test_against_a_loop(height, width):
    module, x = layer(0.7).double(), random_tensor(2, 16, height, width, dtype=torch.float64)
    torch.testing.assert_close(module(x), plain_criss_cross(module, x))


def test_state_dict_and_start():
    module, x = layer(), random_tensor(2, 16, 3, 4)
    shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    assert shapes == {
        "query_conv.weight": (2, 16, 1, 1),
        "query_conv.bias": (2,),
        "key_conv.weight": (2, 16, 1, 1),
        "key_conv.bias": (2,),
        "value_conv.weight": (16, 16, 1, 1),
        "value_conv.bias": (16,),
        "gamma.scale": (),
    }
    assert torch.equal(module(x), x)


def test_gradients():
    module = layer(0.7).double()
    x = random_tensor(1, 16, 2, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(module, x)
    module(x).sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_no_images_and_half_precision():
    assert layer()(torch.zeros(0, 16, 3, 4)).shape == (0, 16, 3, 4)
    module, x = layer(0.7), random_tensor(2, 16, 3, 4)
    told = module(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(module(x).float(), told, rtol=0.05, atol=0.05)
    half = module.bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), told, rtol=0.05, atol=0.05)


def test_bad_input():
    with pytest.raises(ValueError, match="at least 8 channels, not 4"):
        MODELS.build(dict(type="CrissCrossAttention", in_channels=4))
