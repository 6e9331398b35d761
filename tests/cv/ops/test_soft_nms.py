from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.cv.ops.checks import plain_iou, random_boxes
from visuite.cv.ops import nms, soft_nms


def plain_soft_nms(boxes, scores, threshold=0.3, sigma=0.5, min_score=1e-3, method="linear", offset=0):
    """The paper's loop: take the best, let the others decay; [(index, score), ...]."""
    left = {i: s for i, s in enumerate(scores) if s >= min_score}
    taken = []
    while left:
        best = max(left, key=lambda i: left[i])
        taken.append((best, left.pop(best)))
        for i in list(left):
            iou = plain_iou(boxes[best], boxes[i], offset)
            if method == "gaussian":
                left[i] *= math.exp(-(iou**2) / sigma)
            elif iou >= threshold:
                left[i] *= 1 - iou if method == "linear" else 0
            if left[i] < min_score:
                del left[i]
    return taken


@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
@given(count=st.integers(0, 30), seed=st.integers(0, 10**6), offset=st.sampled_from([0, 1]))
def test_against_a_loop(method, count, seed, offset):
    boxes = random_boxes(count, size=40, seed=seed, dtype=torch.float64)
    scores = torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    dets, kept = soft_nms(boxes, scores, 0.2, 0.4, 0.05, method, offset)
    told = plain_soft_nms(boxes.tolist(), scores.tolist(), 0.2, 0.4, 0.05, method, offset)
    assert kept.tolist() == [index for index, _ in told]
    torch.testing.assert_close(dets[:, 4], torch.tensor([s for _, s in told], dtype=torch.float64).reshape(-1))
    assert torch.equal(dets[:, :4], boxes[kept])


def test_naive_is_plain_suppression():
    boxes, scores = random_boxes(100), torch.rand(100, generator=torch.Generator().manual_seed(0)) + 0.01
    assert torch.equal(soft_nms(boxes, scores, 0.5, method="naive")[1], nms(boxes, scores, 0.5)[1])


def test_equal_scores_are_taken_in_order():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60], [50, 50, 60, 60]])
    dets, kept = soft_nms(boxes, torch.full((4,), 0.8), method="gaussian")
    assert kept.tolist() == [0, 2, 1, 3]
    torch.testing.assert_close(dets[:, 4], 0.8 * torch.tensor([1, 1, math.exp(-2), math.exp(-2)]))


def test_more_boxes_than_are_compared_at_a_time():
    boxes = random_boxes(1100, size=3000)
    scores = torch.rand(1100, generator=torch.Generator().manual_seed(0))
    _, kept = soft_nms(boxes, scores, max_num=50)
    told = plain_soft_nms(boxes.tolist(), scores.tolist())[:50]
    assert kept.tolist() == [index for index, _ in told]


def test_empty_and_arrays():
    dets, kept = soft_nms(torch.zeros(0, 4), torch.zeros(0))
    assert dets.shape == (0, 5)
    assert kept.dtype == torch.long
    dets, kept = soft_nms(np.zeros((1, 4), np.float32), np.ones(1, np.float32))
    assert isinstance(dets, np.ndarray)
    assert dets.tolist() == [[0, 0, 0, 0, 1]]


def test_scores_of_the_caller_stay_as_they_are():
    boxes, scores = random_boxes(10, size=10), torch.ones(10)
    soft_nms(boxes, scores)
    assert torch.equal(scores, torch.ones(10))


def test_bad_input():
    with pytest.raises(ValueError, match="'cubic' is none of"):
        soft_nms(torch.zeros(1, 4), torch.zeros(1), method="cubic")
    with pytest.raises(ValueError, match="offset is 0 or 1"):
        soft_nms(torch.zeros(1, 4), torch.zeros(1), offset=3)
