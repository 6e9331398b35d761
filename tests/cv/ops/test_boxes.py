from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import box_convert

from tests.cv.ops.checks import random_boxes
from visuite.cv import ops

CORNERS = torch.tensor([[2.0, 4.0, 10.0, 7.0]])
WRITTEN = {"xyxy": [2, 4, 10, 7], "xywh": [2, 4, 8, 3], "cxcywh": [6, 5.5, 8, 3]}


@pytest.mark.parametrize(("source", "target"), list(itertools.product(WRITTEN, WRITTEN)))
def test_one_box_in_all_formats(source, target):
    out = ops.convert_boxes(torch.tensor([WRITTEN[source]], dtype=torch.float32), source, target)
    assert out.tolist() == [WRITTEN[target]]


@given(st.integers(0, 20), st.integers(0, 1000))
def test_there_and_back(count, seed):
    boxes = random_boxes(count, seed=seed, dtype=torch.float64)
    torch.testing.assert_close(ops.bbox_cxcywh_to_xyxy(ops.bbox_xyxy_to_cxcywh(boxes)), boxes)
    torch.testing.assert_close(ops.bbox_xywh_to_xyxy(ops.bbox_xyxy_to_xywh(boxes)), boxes)


@pytest.mark.parametrize(("source", "target"), list(itertools.product(WRITTEN, WRITTEN)))
def test_equals_torchvision(source, target):
    boxes = random_boxes(30)
    out = ops.convert_boxes(boxes, source, target)
    torch.testing.assert_close(out, box_convert(boxes, source, target))
    assert out.data_ptr() != boxes.data_ptr()
    assert ops.convert_boxes(boxes[:0], source, target).shape == (0, 4)


def test_leading_dimensions_stay():
    boxes = random_boxes(6).reshape(2, 3, 4)
    assert ops.bbox_xyxy_to_cxcywh(boxes).shape == (2, 3, 4)
    assert ops.box_area(boxes).shape == (2, 3)


def test_area_is_of_float32_in_half_precision():
    big = torch.tensor([[0.0, 0.0, 1000.0, 1000.0]], dtype=torch.float16)
    assert ops.box_area(big).tolist() == [1e6]  # beyond float16
    assert ops.box_area(CORNERS).tolist() == [24.0]


def test_gradients():
    boxes = random_boxes(3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(ops.bbox_xyxy_to_cxcywh, boxes)
    assert torch.autograd.gradcheck(ops.box_area, boxes)


def test_bad_input():
    with pytest.raises(ValueError, match="'yxyx' is none of"):
        ops.convert_boxes(CORNERS, "xyxy", "yxyx")
    with pytest.raises(ValueError, match=r"\(\.\.\., 4\), not \(1, 3\)"):
        ops.convert_boxes(CORNERS[:, :3], "xyxy", "xywh")
