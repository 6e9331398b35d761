"""Coders by plain arithmetic, and there and back."""

from __future__ import annotations

import math

import pytest
import torch

from tests.cv.ops.checks import random_boxes, random_tensor
from visuite.yolo.boxes import DistancePointBBoxCoder, YOLOv5BBoxCoder, YOLOXBBoxCoder
from visuite.yolo.registry import TASK_UTILS

STRIDE = torch.tensor([8.0, 16, 32])


def fat_boxes(count, seed=0):
    return random_boxes(count, seed=seed, dtype=torch.float64) + torch.tensor([0, 0, 4, 4])


def test_distances():
    coder = TASK_UTILS.build({"type": "DistancePointBBoxCoder"})
    assert isinstance(coder, DistancePointBBoxCoder)
    found = coder.decode(torch.tensor([[20.0, 12]]), torch.tensor([[1.0, 0.5, 2, 3]]), torch.tensor([8.0]))
    assert found.tolist() == [[12, 8, 36, 36]]
    assert coder.decode(torch.tensor([[20.0, 12]]), torch.ones(1, 4), 16.0, (24, 32)).tolist() == [[4, 0, 32, 24]]
    loose = DistancePointBBoxCoder(clip_border=False)
    assert loose.decode(torch.tensor([[20.0, 12]]), torch.ones(1, 4), 16.0, (24, 32)).tolist() == [[4, -4, 36, 28]]


def test_distances_are_bound_when_they_are_written():
    coder, points = DistancePointBBoxCoder(), torch.tensor([[5.0, 5.0]])
    written = coder.encode(points, torch.tensor([[6.0, 2, 8, 30]]), max_dis=15, eps=0.01)
    torch.testing.assert_close(written, torch.tensor([[0, 3, 3, 14.99]]))
    assert coder.encode(points, torch.tensor([[6.0, 2, 8, 30]]), max_dis=None).tolist() == [[-1, 3, 3, 25]]


def test_yolov5():
    anchor = torch.tensor([[4.0 - 5, 12 - 10, 4 + 5, 12 + 10]])  # in the middle of a cell of 8 pixels, 10 by 20
    codes = torch.tensor([[0.75, 0.5, 1.0, 0.5]])
    found = YOLOv5BBoxCoder().decode(anchor, codes, torch.tensor([8.0]))
    # the centre moves by (2 * 0.75 - 1) strides; sizes are (2 * 1)^2 and (2 * 0.5)^2 times the anchor's
    torch.testing.assert_close(found, torch.tensor([[8.0 - 20, 12 - 10, 8 + 20, 12 + 10]]))
    assert YOLOv5BBoxCoder().decode(anchor, codes, 8.0, (20, 24)).tolist() == [[0, 2, 24, 20]]


def test_yolox():
    found = YOLOXBBoxCoder().decode(torch.tensor([[16.0, 8]]), torch.tensor([[0.5, -0.25, math.log(2), 0]]), 8.0)
    torch.testing.assert_close(found, torch.tensor([[20.0 - 8, 6 - 4, 20 + 8, 6 + 4]]))


@pytest.mark.parametrize("stride", [STRIDE, 8.0], ids=["each", "one"])
@pytest.mark.parametrize("coder", [YOLOv5BBoxCoder(), YOLOXBBoxCoder()])
def test_there_and_back(coder, stride):
    anchors, boxes = fat_boxes(3), fat_boxes(6, seed=1).reshape(2, 3, 4)
    priors = anchors.expand(2, -1, -1)
    if isinstance(coder, YOLOXBBoxCoder):
        priors = priors[..., :2]
    torch.testing.assert_close(coder.decode(priors, coder.encode(priors, boxes, stride), stride), boxes)


def test_distances_there_and_back():
    points, distances = random_tensor(2, 3, 2, dtype=torch.float64), random_tensor(2, 3, 4, dtype=torch.float64).abs()
    coder = DistancePointBBoxCoder()
    boxes = coder.decode(points, distances, STRIDE.double())
    back = coder.encode(points / STRIDE[:, None], boxes / STRIDE[:, None], max_dis=None)
    torch.testing.assert_close(back, distances)
