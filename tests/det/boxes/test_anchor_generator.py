"""Anchors against plain loops and torchvision's."""

from __future__ import annotations

import math

import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator as TorchvisionAnchors
from torchvision.models.detection.image_list import ImageList

from visuite.det.boxes import (
    AnchorGenerator,
    LegacyAnchorGenerator,
    LegacySSDAnchorGenerator,
    SSDAnchorGenerator,
    YOLOAnchorGenerator,
)
from visuite.det.registry import TASK_UTILS

RATIOS = [0.5, 1.0, 2.0]


def told(rows):
    return torch.tensor(rows, dtype=torch.float32)


def box_about(x, y, w, h):
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


@pytest.mark.parametrize("scale_major", [True, False])
def test_sizes_by_plain_loops(scale_major):
    generator = AnchorGenerator([8, (16, 32)], RATIOS, scales=[4, 6], scale_major=scale_major)
    for base, edge in zip(generator.base_anchors, (8, 16), strict=True):
        pairs = [(r, s) for r in RATIOS for s in (4, 6)] if scale_major else [(r, s) for s in (4, 6) for r in RATIOS]
        want = [box_about(0, 0, edge * s / math.sqrt(r), edge * s * math.sqrt(r)) for r, s in pairs]
        torch.testing.assert_close(base, told(want))
        assert (base[:, 2:] - base[:, :2]).prod(1).tolist() == pytest.approx([(edge * s) ** 2 for _, s in pairs])


def test_grid_by_plain_loops():
    generator = AnchorGenerator([(8, 4)], [1.0, 2.0], scales=[2], center_offset=0.5)
    (found,) = generator.grid_priors([(3, 2)])
    want = [
        [a + b for a, b in zip(base, (8 * column, 4 * row) * 2, strict=True)]
        for row in range(3)
        for column in range(2)
        for base in generator.base_anchors[0].tolist()
    ]
    torch.testing.assert_close(found, told(want))
    assert generator.num_base_priors == generator.num_base_anchors == [2]
    torch.testing.assert_close(generator.base_anchors[0].reshape(-1, 2, 2).mean(1), told([[2, 2]] * 2))


def test_agrees_with_torchvision():
    sizes, shapes = (32, 64, 128), [(16, 12), (8, 6), (4, 3)]
    theirs = TorchvisionAnchors(tuple((size,) for size in sizes), (tuple(RATIOS),) * 3)
    images = ImageList(torch.zeros(1, 3, 128, 96), [(128, 96)])
    (want,) = theirs(images, [torch.zeros(1, 1, *shape) for shape in shapes])
    ours = AnchorGenerator([8, 16, 32], RATIOS, scales=[4]).grid_priors(shapes)
    torch.testing.assert_close(torch.cat(ours), want, atol=0.5, rtol=0)  # theirs are rounded


def test_octaves_are_equal_steps():
    octave = AnchorGenerator([8], RATIOS, octave_base_scale=4, scales_per_octave=3)
    listed = AnchorGenerator([8], RATIOS, scales=[4, 4 * 2 ** (1 / 3), 4 * 2 ** (2 / 3)])
    assert torch.equal(octave.base_anchors[0], listed.base_anchors[0])
    assert octave.num_base_priors == [9]


def test_centres_and_base_sizes():
    generator = AnchorGenerator([8, 16], [1.0], scales=[1], base_sizes=[9, 5], centers=[(3, 4), (1, 2)])
    torch.testing.assert_close(torch.cat(generator.base_anchors), told([box_about(3, 4, 9, 9), box_about(1, 2, 5, 5)]))


def test_legacy_anchors_are_whole_pixels_that_include_the_last():
    generator = LegacyAnchorGenerator([4, 8], RATIOS, scales=[8], center_offset=0.5)
    for base, edge in zip(generator.base_anchors, (4, 8), strict=True):
        middle = 0.5 * (edge - 1)
        want = []
        for ratio in RATIOS:
            w, h = edge * 8 / math.sqrt(ratio), edge * 8 * math.sqrt(ratio)
            want.append([round(corner) for corner in box_about(middle, middle, w - 1, h - 1)])
        assert base.tolist() == want


def test_ssd_has_the_papers_sizes():
    ratios = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
    generator = SSDAnchorGenerator([8, 16, 32, 64, 100, 300], ratios, basesize_ratio_range=(0.2, 0.9))
    assert generator.min_sizes == [30, 60, 111, 162, 213, 264]  # the authors' configuration for VOC
    assert generator.max_sizes == [60, 111, 162, 213, 264, 315]
    assert generator.num_base_priors == [4, 6, 6, 6, 4, 4]
    assert (
        sum(len(level) for level in generator.grid_priors([(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)]))
        == 8732
    )
    long, short = math.sqrt(3), 1 / math.sqrt(3)
    sizes = [(60, 60), (math.sqrt(60 * 111),) * 2]
    sizes += [(60 * a, 60 * b) for a, b in ((2**0.5, 0.5**0.5), (0.5**0.5, 2**0.5), (long, short), (short, long))]
    torch.testing.assert_close(generator.base_anchors[1], told([box_about(8, 8, w, h) for w, h in sizes]))


def test_ssd_sizes_of_other_inputs_and_given_ones():
    seven = [[2]] * 7
    strides = [8, 16, 32, 64, 128, 256, 512]
    large = SSDAnchorGenerator(strides, seven, input_size=512, basesize_ratio_range=(0.15, 0.9))
    assert large.min_sizes == [35, 76, 153, 230, 307, 384, 460]
    assert large.max_sizes == [76, 153, 230, 307, 384, 460, 537]
    given = SSDAnchorGenerator([16, 32], [[2], [3]], min_sizes=[48, 100], max_sizes=[100, 150])
    assert given.base_anchors[0][0].tolist() == box_about(8, 8, 48, 48)
    with pytest.raises(ValueError, match=r"320.*min_sizes"):
        SSDAnchorGenerator(strides, seven, input_size=320)
    with pytest.raises(ValueError, match="together"):
        SSDAnchorGenerator(strides, seven, min_sizes=[1] * 7)


def test_legacy_ssd():
    generator = LegacySSDAnchorGenerator([8, 16], [[2], [2]], min_sizes=[21, 45], max_sizes=[45, 99])
    assert generator.base_anchors[0][0].tolist() == [round(3.5 - 10), round(3.5 - 10), round(3.5 + 10), round(3.5 + 10)]


def test_yolo_anchors_stand_in_the_middle():
    generator = YOLOAnchorGenerator([32, 16], [[(116, 90), (156, 198)], [(30, 61)]])
    assert generator.num_base_priors == [2, 1]
    assert generator.base_anchors[0].tolist() == [box_about(16, 16, 116, 90), box_about(16, 16, 156, 198)]
    assert generator.grid_priors([(1, 2), (1, 1)])[0][2].tolist() == box_about(48, 16, 116, 90)


def test_responsible_flags_by_plain_loops():
    generator = YOLOAnchorGenerator([32, 16], [[(116, 90), (156, 198)], [(30, 61)]])
    boxes = torch.tensor([[0.0, 0, 20, 30], [30, 40, 60, 60], [96, 64, 96, 64]])
    for flags, stride, (rows, columns), count in zip(
        generator.responsible_flags([(2, 3), (4, 6)], boxes), (32, 16), ((2, 3), (4, 6)), (2, 1), strict=True
    ):
        want = torch.zeros(rows, columns, count, dtype=torch.bool)
        for x1, y1, x2, y2 in boxes.tolist():
            column, row = int((x1 + x2) / 2 // stride), int((y1 + y2) / 2 // stride)
            want[min(row, rows - 1), min(column, columns - 1)] = True  # a centre on the far border is in the last cell
        assert torch.equal(flags, want.flatten())
    assert not torch.cat(generator.responsible_flags([(2, 3), (4, 6)], torch.zeros(0, 4))).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "how large anchors are"),
        ({"scales": [1], "octave_base_scale": 4, "scales_per_octave": 3}, "how large anchors are"),
        ({"octave_base_scale": 4}, "how large anchors are"),
        ({"scales": [1], "centers": [(0, 0)], "center_offset": 0.5}, "exclude"),
        ({"scales": [1], "centers": [(0, 0), (1, 1)]}, "2 centers for 1 strides"),
        ({"scales": [1], "base_sizes": [1, 2]}, "2 base_sizes for 1 strides"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        AnchorGenerator([8], [1.0], **arguments)


def test_levels_are_counted():
    generator = AnchorGenerator([8, 16], [1.0], scales=[1])
    with pytest.raises(ValueError, match=r"2 levels.*3 feature maps"):
        generator.grid_priors([(1, 1)] * 3)
    with pytest.raises(ValueError, match="1 levels for 2 strides"):
        YOLOAnchorGenerator([8, 16], [[(1, 2)]])


def test_configs_build_them():
    built = TASK_UTILS.build({"type": "mmdet.AnchorGenerator", "strides": [8], "ratios": [1.0], "scales": [1]})
    assert isinstance(built, AnchorGenerator)
