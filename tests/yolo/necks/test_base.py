"""How levels are joined, by a neck whose layers do next to nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from visuite.yolo.necks import CSPPAFPN, YOLONeck, fit


class Sums(YOLONeck):
    """Joins by weighted sums: what is joined first counts once, the other ten times."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__((8, 8, 8), 8, **kwargs)
        self.build_layers()

    def build_reduce_layer(self, index: int) -> nn.Module:
        return nn.Identity()

    def build_top_down_layer(self, index: int) -> nn.Module:
        return Weighted(1.0)

    def build_downsample_layer(self, index: int) -> nn.Module:
        return nn.AvgPool2d(2)

    def build_bottom_up_layer(self, index: int) -> nn.Module:
        return Weighted(100.0)


class Weighted(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = x.chunk(2, dim=1)
        return self.factor * first + 10 * self.factor * second


@pytest.mark.parametrize("coarse_first", [True, False])
def test_down_then_up(coarse_first: bool) -> None:
    fine, middle, coarse = 1.0, 2.0, 3.0
    maps = [torch.full((1, 8, side, side), value) for side, value in ((8, fine), (4, middle), (2, coarse))]
    a, b = (1, 10) if coarse_first else (10, 1)
    down1 = a * coarse + b * middle
    down0 = a * down1 + b * fine
    up1 = 100 * (down0 + 10 * down1)
    up2 = 100 * (up1 + 10 * coarse)
    got = Sums(upsample_feats_cat_first=coarse_first)(maps)
    for one, side, value in zip(got, (8, 4, 2), (down0, up1, up2), strict=True):
        torch.testing.assert_close(one, torch.full((1, 8, side, side), value))


def test_a_doubled_map_is_cut_at_the_far_edges() -> None:
    x = torch.arange(4.0).view(1, 1, 2, 2)
    doubled = nn.functional.interpolate(x, scale_factor=2)
    got = fit(doubled, torch.zeros(1, 5, 3, 3))
    assert got.tolist() == [[[[0, 0, 1], [0, 0, 1], [2, 2, 3]]]]


def test_channels_are_told_as_they_are_widened() -> None:
    neck = CSPPAFPN((256, 512, 1024), 256, widen_factor=0.375, out_kernel_size=1)
    assert neck.in_channels == (96, 192, 384)
    assert neck.out_channels == (96, 96, 96)
    assert neck.out_strides((8, 16, 32)) == (8, 16, 32)


def test_numbers_that_do_not_fit_are_told() -> None:
    with pytest.raises(ValueError, match=r"CSPPAFPN has 3 levels by in_channels \(8, 16, 32\), but 2 by out_channels"):
        CSPPAFPN((8, 16, 32), (8, 16))
    with pytest.raises(ValueError, match="without out layers"):
        CSPPAFPN((8, 16, 32), 8)


def test_a_neck_that_lacks_a_layer_says_which() -> None:
    class Half(Sums):
        build_bottom_up_layer = YOLONeck.build_bottom_up_layer

    with pytest.raises(NotImplementedError, match=r"Half needs build_bottom_up_layer\(index\)"):
        Half()
