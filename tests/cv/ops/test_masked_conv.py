from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.cv.ops.checks import random_tensor
from visuite.cv.ops import masked_conv2d
from visuite.engine.registry import MODELS


def layer(**kwargs):
    return MODELS.get("MaskedConv2d")(3, 4, 3, **kwargs)


def mask_of(*shape):
    return (torch.rand(shape, generator=torch.Generator().manual_seed(0)) > 0.5).float()


@pytest.mark.parametrize(("stride", "padding"), [(1, 1), (1, 0), (2, (1, 2))])
def test_is_the_convolution_under_the_mask(stride, padding):
    module = layer(stride=stride, padding=padding).double()
    x = random_tensor(2, 3, 6, 7, dtype=torch.float64)
    whole = module(x)
    assert torch.equal(whole, F.conv2d(x, module.weight, module.bias, stride, padding))
    mask = mask_of(2, *whole.shape[2:])
    torch.testing.assert_close(module(x, mask), whole * mask[:, None])


def test_gradients():
    x, weight = (random_tensor(*shape, dtype=torch.float64) for shape in ((1, 2, 3, 3), (2, 2, 3, 3)))
    bias, mask = random_tensor(2, dtype=torch.float64), mask_of(1, 3, 3)
    inputs = tuple(t.requires_grad_() for t in (x, weight, bias))
    assert torch.autograd.gradcheck(lambda x, w, b: masked_conv2d(x, mask, w, b, 1), inputs)


def test_nothing_kept_and_no_images():
    module, x = layer(padding=1), random_tensor(1, 3, 5, 5).requires_grad_()
    out = module(x, torch.zeros(1, 5, 5))
    assert not out.any()
    out.sum().backward()
    assert not module.weight.grad.any()
    assert module(torch.zeros(0, 3, 5, 5), torch.zeros(0, 5, 5)).shape == (0, 4, 5, 5)


def test_half_precision():
    module, x, mask = layer(padding=1), random_tensor(2, 3, 5, 5), mask_of(2, 5, 5)
    told = module(x, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(module(x, mask).float(), told, rtol=0.05, atol=0.05)
    half = module.bfloat16()(x.bfloat16(), mask)
    assert half.dtype == torch.bfloat16


def test_bad_input():
    with pytest.raises(ValueError, match=r"the mask has shape \(1, 3, 3\), not \(1, 5, 5\)"):
        layer()(torch.zeros(1, 3, 5, 5), torch.zeros(1, 5, 5))
    with pytest.raises(ValueError, match="neither dilated nor grouped"):
        layer(dilation=2, padding=2)(torch.zeros(1, 3, 5, 5), torch.zeros(1, 5, 5))
