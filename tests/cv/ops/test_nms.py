from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.cv.ops.checks import plain_iou, random_boxes
from visuite.cv.ops import nms, nms_match


def plain_nms(boxes, scores, threshold, offset=0):
    """Groups of indices, each the kept box and what it drops, by falling score."""
    order = sorted(range(len(boxes)), key=lambda i: -scores[i])
    groups = []
    while order:
        best = order[0]
        covered = [i for i in order[1:] if plain_iou(boxes[best], boxes[i], offset) > threshold]
        groups.append([best, *covered])
        order = [i for i in order[1:] if i not in covered]
    return groups


@given(st.integers(0, 30), st.integers(0, 10**6), st.sampled_from([0.1, 0.33, 0.7]), st.sampled_from([0, 1]))
def test_against_a_loop(count, seed, threshold, offset):
    boxes = random_boxes(count, seed=seed, dtype=torch.float64)
    scores = torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    dets, kept = nms(boxes, scores, threshold, offset)
    groups = plain_nms(boxes.tolist(), scores.tolist(), threshold, offset)
    assert kept.tolist() == [group[0] for group in groups]
    assert torch.equal(dets, torch.cat((boxes[kept], scores[kept, None]), dim=1))


@given(st.integers(0, 30), st.integers(0, 10**6), st.sampled_from([0.1, 0.33, 0.7]))
def test_match_against_a_loop(count, seed, threshold):
    boxes = random_boxes(count, seed=seed, dtype=torch.float64)
    scores = torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = nms_match(torch.cat((boxes, scores[:, None]), dim=1), threshold)
    assert [group.tolist() for group in found] == plain_nms(boxes.tolist(), scores.tolist(), threshold)


def test_match_with_ties_and_boxes_without_area():
    dets = torch.tensor([[0.0, 0, 0, 0, 0.5], [0, 0, 4, 4, 0.5], [0, 0, 4, 4, 0.5], [0, 0, 0, 0, 0.9]])
    assert [group.tolist() for group in nms_match(dets, 0.5)] == [[3], [0], [1, 2]]


def test_an_overlap_of_just_the_threshold_stays():
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 2]])  # IoU 0.5
    scores = torch.tensor([0.9, 0.8])
    assert nms(boxes, scores, 0.5)[1].tolist() == [0, 1]
    assert nms(boxes, scores, 0.49)[1].tolist() == [0]


def test_scores_below_the_threshold_take_no_part_and_the_number_is_limited():
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4], [20, 20, 30, 30], [50, 50, 60, 60]])
    scores = torch.tensor([0.05, 0.3, 0.2, 0.1])
    assert nms(boxes, scores, 0.5, score_threshold=0.05)[1].tolist() == [1, 2, 3]
    assert nms(boxes, scores, 0.5, score_threshold=0.15)[1].tolist() == [1, 2]
    assert nms(boxes, scores, 0.5, max_num=1)[1].tolist() == [1]


def test_arrays_in_arrays_out():
    boxes = random_boxes(10).numpy()
    scores = np.linspace(0, 1, 10, dtype=np.float32)
    dets, kept = nms(boxes, scores, 0.3)
    assert isinstance(dets, np.ndarray)
    assert dets.shape == (len(kept), 5)
    assert isinstance(nms_match(np.concatenate((boxes, scores[:, None]), 1), 0.3)[0], np.ndarray)


def test_empty():
    dets, kept = nms(torch.zeros(0, 4), torch.zeros(0), 0.5, score_threshold=0.1)
    assert dets.shape == (0, 5)
    assert kept.shape == (0,)
    assert kept.dtype == torch.long
    assert nms_match(torch.zeros(0, 5), 0.5) == []


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    boxes, scores = random_boxes(50, size=300).to(dtype), torch.linspace(0, 1, 50).to(dtype)
    dets, kept = nms(boxes, scores, 0.3)
    assert dets.dtype == dtype
    assert torch.equal(kept, nms(boxes.float(), scores.float(), 0.3)[1])
    assert len(nms_match(torch.cat((boxes, scores[:, None]), 1), 0.3)) == len(kept)


def test_gradients_flow_through_what_is_kept():
    boxes, scores = random_boxes(8).requires_grad_(), torch.rand(8).requires_grad_()
    dets, kept = nms(boxes, scores, 0.3)
    dets.sum().backward()
    told = torch.zeros(8)
    told[kept] = 1
    assert torch.equal(scores.grad, told)


def test_bad_input():
    with pytest.raises(ValueError, match=r"not \(3, 5\) and \(3,\)"):
        nms(torch.zeros(3, 5), torch.zeros(3), 0.5)
    with pytest.raises(ValueError, match="offset is 0 or 1, not 2"):
        nms(torch.zeros(3, 4), torch.zeros(3), 0.5, offset=2)
    with pytest.raises(ValueError, match=r"\(N, 5\)"):
        nms_match(torch.zeros(3, 4), 0.5)
