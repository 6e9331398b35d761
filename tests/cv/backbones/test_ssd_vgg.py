"""SSD's VGG: VGG of torchvision within, and its maps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from visuite.cv.backbones import SSDVGG


def test_same_features_as_torchvision_from_its_weights() -> None:
    """The layers up to the last convolution of VGG-16, 28 in both, then those of SSD (arXiv:1512.02325, 3.1)."""
    torch.manual_seed(0)
    theirs = torchvision.models.vgg16(init_weights=False).features.eval()
    ours = SSDVGG(16, out_feature_indices=(22, 29, 34)).eval()
    assert not ours.features.load_state_dict(theirs.state_dict(), strict=False).unexpected_keys
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        fine, last, coarse = ours(images)
        torch.testing.assert_close(fine, theirs[:23](images))
        torch.testing.assert_close(last, theirs[:30](images))
        six, seven = ours.features[31], ours.features[33]
        pooled = F.max_pool2d(F.pad(last, (1, 1, 1, 1), value=-float("inf")), 3, stride=1)
        inside = F.conv2d(F.pad(pooled, (6,) * 4), six.weight, six.bias, dilation=6).relu()
        torch.testing.assert_close(coarse, F.conv2d(inside, seven.weight, seven.bias).relu())


def test_ssd300_sides() -> None:
    with torch.device("meta"):
        net = SSDVGG(16)
        maps = net(torch.zeros(1, 3, 300, 300))
    assert [tuple(one.shape) for one in maps] == [(1, 512, 38, 38), (1, 1024, 19, 19)]
    assert (net.out_channels, net.out_strides) == ((512, 1024), (8, 16))


def test_last_pool() -> None:
    with torch.device("meta"):
        net = SSDVGG(16, with_last_pool=True, out_feature_indices=(35,))
    assert isinstance(net.features[30], nn.MaxPool2d)
    assert (net.out_channels, net.out_strides) == ((1024,), (32,))


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"outside 0..34: \[35\]"), torch.device("meta"):
        SSDVGG(16, out_feature_indices=(22, 35))
