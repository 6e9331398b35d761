"""Coders: papers' formulas by plain arithmetic, torchvision's, and there and back."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models.detection._utils import BoxCoder

from tests.cv.ops.checks import random_boxes, random_tensor
from visuite.det.boxes import (
    DeltaXYWHBBoxCoder,
    DistancePointBBoxCoder,
    LegacyDeltaXYWHBBoxCoder,
    PseudoBBoxCoder,
    TBLRBBoxCoder,
    YOLOBBoxCoder,
    bbox2delta,
    bbox2distance,
    clip_boxes,
    delta2bbox,
    distance2bbox,
)
from visuite.det.registry import TASK_UTILS

SEEDS = st.integers(0, 10**6)


def fat_boxes(count, seed=0):
    """Boxes whose edges are 4 pixels at least."""
    boxes = random_boxes(count, seed=seed, dtype=torch.float64)
    return boxes + torch.tensor([0, 0, 4, 4])


def centres(boxes):
    return (boxes[..., :2] + boxes[..., 2:]) / 2


@given(seed=SEEDS)
def test_deltas_agree_with_torchvision(seed):
    priors, boxes = fat_boxes(5, seed), fat_boxes(5, seed + 1)
    stds = (0.1, 0.1, 0.2, 0.2)
    theirs = BoxCoder(tuple(1 / std for std in stds))
    deltas = bbox2delta(priors, boxes, stds=stds)
    torch.testing.assert_close(deltas, theirs.encode_single(boxes, priors), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(delta2bbox(priors, deltas, stds=stds), theirs.decode_single(deltas, priors))


@pytest.mark.parametrize("shape", [(6,), (2, 3)])
@pytest.mark.parametrize(
    "coder",
    [
        DeltaXYWHBBoxCoder(target_means=(0.1, 0, 0.2, 0), target_stds=(0.1, 0.2, 0.3, 0.4)),
        LegacyDeltaXYWHBBoxCoder(target_stds=(0.1, 0.1, 0.2, 0.2)),
        TBLRBBoxCoder(normalizer=4.0),
        TBLRBBoxCoder(normalizer=[1.0, 2.0, 3.0, 4.0]),
        PseudoBBoxCoder(),
    ],
    ids=lambda coder: type(coder).__name__,
)
@given(seed=SEEDS)
def test_there_and_back(coder, shape, seed):
    priors, boxes = fat_boxes(6, seed).reshape(*shape, 4), fat_boxes(6, seed + 1).reshape(*shape, 4)
    written = coder.encode(priors, boxes)
    assert written.shape == (*shape, coder.encode_size)
    torch.testing.assert_close(coder.decode(priors, written), boxes)


@given(seed=SEEDS)
def test_distances_there_and_back(seed):
    boxes = fat_boxes(6, seed)
    points = centres(boxes) + torch.rand(6, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    coder = DistancePointBBoxCoder()
    distances = coder.encode(points, boxes)
    for (x, y), box, found in zip(points.tolist(), boxes.tolist(), distances.tolist(), strict=True):
        assert found == pytest.approx([x - box[0], y - box[1], box[2] - x, box[3] - y])
    torch.testing.assert_close(coder.decode(points, distances), boxes)


@given(seed=SEEDS)
def test_yolo_there_and_back(seed):
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randint(8, (6, 2), generator=generator)
    stride = torch.tensor([8, 8, 16, 16, 32, 32])
    middles = (cells + 0.5) * stride[:, None]
    sizes = torch.rand(6, 2, generator=generator) * 50 + 4
    goals = middles + (torch.rand(6, 2, generator=generator) - 0.5) * 0.99 * stride[:, None]
    goal_sizes = torch.rand(6, 2, generator=generator) * 50 + 4
    anchors, boxes = (torch.cat((c - s / 2, c + s / 2), 1) for c, s in ((middles, sizes), (goals, goal_sizes)))
    coder = YOLOBBoxCoder()
    written = coder.encode(anchors, boxes, stride)
    torch.testing.assert_close(written[:, :2], goals / stride[:, None] - cells, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(written[:, 2:], (goal_sizes / sizes).log(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(coder.decode(anchors, written, stride), boxes, rtol=1e-4, atol=1e-3)
    batch = coder.decode(anchors, written.expand(2, 6, 4), stride)
    torch.testing.assert_close(batch[1], boxes, rtol=1e-4, atol=1e-3)


def test_places_of_yolo_stay_between_0_and_1():
    coder = YOLOBBoxCoder(eps=1e-3)
    written = coder.encode(torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([[90.0, -90, 90, -90]]), 8)
    assert written[0].tolist() == pytest.approx([1 - 1e-3, 1e-3, math.log(1e-3), math.log(1e-3)])


def test_tblr_by_plain_arithmetic():
    written = TBLRBBoxCoder(normalizer=2.0).encode(torch.tensor([[0.0, 0, 4, 8]]), torch.tensor([[1.0, 2, 7, 20]]))
    assert written[0].tolist() == pytest.approx([(4 - 2) / 8 / 2, (20 - 4) / 8 / 2, (2 - 1) / 4 / 2, (7 - 2) / 4 / 2])


def test_legacy_boxes_include_their_last_pixel():
    priors, boxes = torch.tensor([[0.0, 0, 9, 19]]), torch.tensor([[5.0, 5, 24, 14]])
    written = LegacyDeltaXYWHBBoxCoder().encode(priors, boxes)
    assert written[0].tolist() == pytest.approx([10 / 10, 0, math.log(20 / 10), math.log(10 / 20)], abs=1e-6)
    clipped = LegacyDeltaXYWHBBoxCoder().decode(priors, written, max_shape=(12, 20))
    assert clipped[0].tolist() == pytest.approx([5, 5, 19, 11])


def test_growth_is_bounded_and_yolof_bounds_the_shift():
    prior = torch.tensor([[0.0, 0, 10, 10]])
    wild = torch.tensor([[9.0, -9.0, 50.0, -50.0]])
    most = 1000 / 16
    wide = delta2bbox(prior, wild)[0].tolist()
    assert wide == pytest.approx([95 - 5 * most, -85 - 5 / most, 95 + 5 * most, -85 + 5 / most])
    coder = DeltaXYWHBBoxCoder(add_ctr_clamp=True, ctr_clamp=32)
    held = coder.decode(prior, wild)[0].tolist()
    assert held == pytest.approx([37 - 5 * most, -27, 37 + 5 * most, -27], abs=1e-3)  # shrinking is free


def test_each_class_has_its_deltas():
    priors, deltas = fat_boxes(5), random_tensor(5, 12, dtype=torch.float64)
    found = delta2bbox(priors, deltas, stds=(0.1, 0.1, 0.2, 0.2), max_shape=(60, 70))
    want = [delta2bbox(priors, part, stds=(0.1, 0.1, 0.2, 0.2), max_shape=(60, 70)) for part in deltas.split(4, dim=1)]
    torch.testing.assert_close(found, torch.cat(want, dim=1))


def test_a_batch_may_have_an_image_size_each():
    priors, deltas = fat_boxes(6).reshape(2, 3, 4), random_tensor(2, 3, 8, dtype=torch.float64)
    shapes = [(40, 50, 3), (90, 20, 3)]
    want = torch.stack([delta2bbox(p, d, max_shape=s) for p, d, s in zip(priors, deltas, shapes, strict=True)])
    torch.testing.assert_close(delta2bbox(priors, deltas, max_shape=shapes), want)
    torch.testing.assert_close(delta2bbox(priors, deltas, max_shape=torch.tensor([s[:2] for s in shapes])), want)
    shared = delta2bbox(priors[0], deltas, max_shape=(40, 50))
    torch.testing.assert_close(shared[1], delta2bbox(priors[0], deltas[1], max_shape=(40, 50)))


def test_borders():
    boxes = torch.tensor([[-5.0, 3, 200, 50], [7, -9, 8, 400]])
    want = torch.tensor([[0.0, 3, 60, 40], [7, 0, 8, 40]])
    assert torch.equal(clip_boxes(boxes, (40, 60, 3)), want)
    assert torch.equal(clip_boxes(boxes, torch.tensor([40, 60])), want)
    points = torch.zeros(2, 2)
    distances = bbox2distance(points, boxes)
    assert torch.equal(distance2bbox(points, distances, (40, 60)), want)
    assert torch.equal(DistancePointBBoxCoder(clip_border=False).decode(points, distances, (40, 60)), boxes)
    far = DeltaXYWHBBoxCoder(clip_border=False)
    assert far.decode(boxes, torch.zeros(2, 4), (40, 60)).tolist() == boxes.tolist()
    with pytest.raises(ValueError, match="3 image shapes"):
        clip_boxes(boxes, [(1, 1)] * 3)


def test_distances_are_bounded_for_bins():
    found = bbox2distance(torch.tensor([[5.0, 5]]), torch.tensor([[7.0, 0, 30, 6]]), max_dis=16, eps=0.01)
    assert found[0].tolist() == pytest.approx([0, 5, 15.99, 1])


@pytest.mark.parametrize("name", ["DeltaXYWHBBoxCoder", "LegacyDeltaXYWHBBoxCoder", "TBLRBBoxCoder", "PseudoBBoxCoder"])
def test_empty(name):
    coder = TASK_UTILS.build({"type": name})
    none = torch.zeros(0, 4)
    assert coder.encode(none, none).shape == (0, 4)
    assert coder.decode(none, none, max_shape=(3, 4)).shape == (0, 4)
    assert delta2bbox(none, torch.zeros(0, 12), max_shape=(3, 4)).shape == (0, 12)
    assert distance2bbox(none, none, (3, 4)).shape == (0, 4)
    assert YOLOBBoxCoder().encode(none, none, torch.zeros(0)).shape == (0, 4)


def test_boxes_without_area_have_finite_deltas():
    boxes = torch.tensor([[5.0, 5, 5, 5], [0, 0, 10, 10]])
    assert bbox2delta(boxes, boxes.flip(0)).isfinite().all()


def test_half_precision_is_decoded_in_full():
    priors, deltas = fat_boxes(4).float() * 20, random_tensor(4, 4)
    found = delta2bbox(priors, deltas.half())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, delta2bbox(priors, deltas.half().float()))
    assert distance2bbox(priors[:, :2].half(), deltas.half()).dtype == torch.float32


def test_decoding_has_a_gradient():
    priors = fat_boxes(3)
    deltas = random_tensor(3, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda d: delta2bbox(priors, d), deltas)
    assert torch.autograd.gradcheck(lambda d: distance2bbox(priors[:, :2], d), deltas)


def test_shapes_that_do_not_match():
    with pytest.raises(ValueError, match=r"\(2, 4\) and \(3, 4\)"):
        bbox2delta(torch.zeros(2, 4), torch.zeros(3, 4))
    with pytest.raises(ValueError, match=r"\(2, 4\) and \(2, 5\)"):
        delta2bbox(torch.zeros(2, 4), torch.zeros(2, 5))
