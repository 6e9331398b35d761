"""Stems and ends of the backbones, against other ways to compute them."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tests.yolo.backbones.variants import THIN
from visuite.yolo.backbones import YOLOv5CSPDarknet, YOLOXCSPDarknet


def test_the_stem_of_yolov5_can_do_what_that_of_yolox_does() -> None:
    """A convolution 3x3 over squares of 2x2 pixels as channels is one of 6x6 pixels with stride 2."""
    torch.manual_seed(0)
    folded, plain = YOLOXCSPDarknet(**THIN).stem.conv.eval(), YOLOv5CSPDarknet(**THIN).stem.eval()
    kernel = torch.zeros_like(plain.conv.weight)
    for part, (row, column) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
        kernel[:, :, row::2, column::2] = folded.conv.weight.detach()[:, 3 * part : 3 * part + 3]
    plain.load_state_dict({**folded.state_dict(), "conv.weight": kernel})
    x = torch.randn(2, 3, 16, 24)
    with torch.no_grad():
        expected = folded(torch.cat([x[..., row::2, column::2] for column in (0, 1) for row in (0, 1)], dim=1))
        torch.testing.assert_close(plain(x), expected)


def test_the_end_of_yolov5_pools_over_5_9_and_13_pixels() -> None:
    torch.manual_seed(0)
    pool = YOLOv5CSPDarknet(**THIN).stage4[-1].eval()
    x = torch.randn(1, 128, 20, 17)
    with torch.no_grad():
        narrow = pool.conv1(x)
        pooled = [F.max_pool2d(narrow, size, stride=1, padding=size // 2) for size in (5, 9, 13)]
        torch.testing.assert_close(pool(x), pool.conv2(torch.cat([narrow, *pooled], dim=1)))
        twice = F.max_pool2d(F.max_pool2d(narrow, 5, stride=1, padding=2), 5, stride=1, padding=2)
        assert torch.equal(twice, pooled[1])
