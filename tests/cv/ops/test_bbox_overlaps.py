from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.cv.ops.checks import plain_iou, random_boxes
from visuite.cv.ops import bbox_overlaps
from visuite.cv.ops.bbox_overlaps import OVERLAP_MODES


def plain_overlap(a, b, mode, aspect_from=0.5):
    """The papers' definitions, for boxes of positive area."""
    iou = plain_iou(a, b)
    size_a, size_b = (a[2] - a[0], a[3] - a[1]), (b[2] - b[0], b[3] - b[1])
    shared = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    union = math.prod(size_a) + math.prod(size_b) - shared
    hull = max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])
    if mode == "iou":
        return iou
    if mode == "iof":
        return shared / math.prod(size_a)
    if mode == "giou":
        return iou - (math.prod(hull) - union) / math.prod(hull)
    apart = [abs((a[k] + a[k + 2]) / 2 - (b[k] + b[k + 2]) / 2) for k in (0, 1)]
    away = apart[0] ** 2 + apart[1] ** 2
    if mode == "siou":
        angle = 1 - 2 * math.sin(math.asin(min(1.0, apart[1] / math.sqrt(away))) - math.pi / 4) ** 2 if away else 0
        distance = sum(1 - math.exp(-(2 - angle) * (apart[k] / hull[k]) ** 2) for k in (0, 1))
        shape = sum((1 - math.exp(-abs(p - q) / max(p, q))) ** 4 for p, q in zip(size_a, size_b, strict=True))
        return iou - (distance + shape) / 2
    diou = iou - away / (hull[0] ** 2 + hull[1] ** 2)
    if mode == "diou" or iou <= aspect_from:
        return diou
    v = 4 / math.pi**2 * (math.atan(size_b[0] / size_b[1]) - math.atan(size_a[0] / size_a[1])) ** 2
    return diou - v / (1 - iou + v) * v


@pytest.mark.parametrize("mode", OVERLAP_MODES)
@given(seed=st.integers(0, 10**6))
def test_against_the_definition(mode, seed):
    a, b = random_boxes(5, seed=seed, dtype=torch.float64), random_boxes(4, seed=seed + 1, dtype=torch.float64)
    b[0] = a[0] + 0.5  # a pair that overlaps by more than half
    found = bbox_overlaps(a, b, mode, eps=1e-12)
    told = [[plain_overlap(p, q, mode) for q in b.tolist()] for p in a.tolist()]
    torch.testing.assert_close(found, torch.tensor(told, dtype=torch.float64), rtol=1e-6, atol=1e-8)


@given(seed=st.integers(0, 10**6))
def test_the_aspect_term_for_all_boxes(seed):
    a, b = random_boxes(5, seed=seed, dtype=torch.float64), random_boxes(4, seed=seed + 1, dtype=torch.float64)
    found = bbox_overlaps(a, b, "ciou", eps=1e-12, aspect_always=True)
    told = [[plain_overlap(p, q, "ciou", aspect_from=-1) for q in b.tolist()] for p in a.tolist()]
    torch.testing.assert_close(found, torch.tensor(told, dtype=torch.float64), rtol=1e-6, atol=1e-8)
    assert torch.equal(bbox_overlaps(a, b, "ciou", eps=1e-12, aspect_always=True, chunk=2), found)


@pytest.mark.parametrize("mode", OVERLAP_MODES)
def test_aligned_is_the_diagonal_and_chunks_change_nothing(mode):
    a, b = random_boxes(7), random_boxes(7, seed=1)
    pairs = bbox_overlaps(a, b, mode)
    torch.testing.assert_close(bbox_overlaps(a, b, mode, is_aligned=True), pairs.diagonal())
    assert torch.equal(bbox_overlaps(a, b, mode, chunk=3), pairs)


@pytest.mark.parametrize("mode", OVERLAP_MODES)
def test_a_box_with_itself_is_one(mode):
    boxes = random_boxes(5)
    torch.testing.assert_close(bbox_overlaps(boxes, boxes, mode, is_aligned=True), torch.ones(5))


def test_bounds():
    a, b = random_boxes(50), random_boxes(60, seed=1)
    iou, giou, diou = (bbox_overlaps(a, b, mode) for mode in ("iou", "giou", "diou"))
    assert iou.min() >= 0
    assert iou.max() <= 1
    for other in (giou, diou):
        assert (other <= iou + 1e-6).all()
        assert other.min() >= -1


@pytest.mark.parametrize("mode", OVERLAP_MODES)
@pytest.mark.parametrize(("m", "n"), [(0, 3), (3, 0), (0, 0)])
def test_empty(mode, m, n):
    assert bbox_overlaps(torch.zeros(m, 4), torch.zeros(n, 4), mode).shape == (m, n)
    assert bbox_overlaps(torch.zeros(m, 4), torch.zeros(m, 4), mode, is_aligned=True).shape == (m,)
    assert bbox_overlaps(torch.zeros(m, 4), torch.zeros(n, 4), mode, chunk=1).shape == (m, n)


@pytest.mark.parametrize("mode", OVERLAP_MODES)
def test_boxes_without_area_have_finite_overlaps_and_gradients(mode):
    a = torch.zeros(2, 4, requires_grad=True)
    overlaps = bbox_overlaps(a, torch.zeros(2, 4), mode)
    overlaps.sum().backward()
    assert overlaps.isfinite().all()
    assert a.grad.isfinite().all()


def test_batches():
    a, b = random_boxes(6).reshape(2, 3, 4), random_boxes(8, seed=1).reshape(2, 4, 4)
    told = torch.stack([bbox_overlaps(p, q) for p, q in zip(a, b, strict=True)])
    assert torch.equal(bbox_overlaps(a, b), told)
    assert torch.equal(bbox_overlaps(a, b, chunk=2), told)
    assert bbox_overlaps(a, a, is_aligned=True).shape == (2, 3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_boxes_are_compared_in_float32(dtype):
    a, b = random_boxes(5, size=2000).to(dtype), random_boxes(5, size=2000, seed=1).to(dtype)
    found = bbox_overlaps(a, b, "giou")
    assert found.dtype == torch.float32
    assert torch.equal(found, bbox_overlaps(a.float(), b.float(), "giou"))


@pytest.mark.parametrize("mode", ["iou", "iof", "giou", "diou", "siou"])
def test_gradients(mode):
    a = random_boxes(3, dtype=torch.float64).requires_grad_()
    b = random_boxes(2, seed=1, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda p, q: bbox_overlaps(p, q, mode), (a, b))


def test_gradient_of_ciou_takes_the_trade_off_for_a_constant():
    a = torch.tensor([[0.0, 0, 10, 8]], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([[1.0, 0, 11, 10]], dtype=torch.float64)
    (found,) = torch.autograd.grad(bbox_overlaps(a, b, "ciou").sum(), a)

    def angle(box):
        return torch.atan((box[:, 2] - box[:, 0]) / (box[:, 3] - box[:, 1] + 1e-6))

    v = 4 / math.pi**2 * (angle(b) - angle(a)) ** 2
    alpha = (v / (1 - bbox_overlaps(a, b)[0] + v)).item()
    assert alpha > 0.01
    (told,) = torch.autograd.grad((bbox_overlaps(a, b, "diou")[0] - alpha * v).sum(), a)
    torch.testing.assert_close(found, told)


@pytest.mark.parametrize(
    ("a", "b", "arguments", "message"),
    [
        ((2, 4), (2, 4), {"mode": "cious"}, "'cious' is none of"),
        ((2, 5), (2, 4), {}, r"\(2, 5\)"),
        ((2, 4), (3, 4), {"is_aligned": True}, "not 2 and 3"),
        ((2, 2, 4), (3, 2, 4), {}, "batch dimensions differ"),
    ],
)
def test_bad_input(a, b, arguments, message):
    with pytest.raises(ValueError, match=message):
        bbox_overlaps(torch.zeros(a), torch.zeros(b), **arguments)
