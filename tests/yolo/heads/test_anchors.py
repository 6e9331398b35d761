"""Losses and predictions of heads over anchors, by plain loops over pairs and places."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.yolo.heads.small import ANCHORS, CLASSES, META, SIZES, STRIDES, build, config, features, some_truth
from visuite.cv.ops import bbox_overlaps
from visuite.det.structures import DetDataSample
from visuite.engine.structures import InstanceData
from visuite.yolo.assign.ratio import Matches, match_by_ratio
from visuite.yolo.heads.anchors import in_regions, last_of_anchors
from visuite.yolo.heads.truth import batch_truth

#: Places and the anchors of each, as they stand in a row.
PLACES = [
    (level, row, column, anchor)
    for level, (h, w) in enumerate(SIZES)
    for row in range(h)
    for column in range(w)
    for anchor in range(2)
]


def said_at(maps: Any, image: int, place: tuple[int, int, int, int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits of classes (K,), box (4,) and objectness () of one anchor, read from the maps."""
    level, row, column, anchor = place
    scores, boxes, objects = (kind[level][image, :, row, column] for kind in maps[:3])
    return scores.reshape(2, -1)[anchor], boxes.reshape(2, 4)[anchor], objects[anchor]


def box_at(written: torch.Tensor, place: tuple[int, int, int, int]) -> torch.Tensor:
    """`xyxy` of the logits (4,): a centre up to a cell from its own, up to four times the anchor."""
    level, row, column, anchor = place
    x, y, w, h = written.sigmoid()
    wide, high = ANCHORS[level][anchor]
    x, y = (2 * x - 0.5 + column) * STRIDES[level], (2 * y - 0.5 + row) * STRIDES[level]
    w, h = (2 * w) ** 2 * wide, (2 * h) ** 2 * high
    return torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2])


def plain_losses(maps: Any, truth: Any, matches: Matches) -> dict[str, torch.Tensor]:
    """Means of each level, summed, times the images; pairs come in the order of `matches`."""
    images, zero = len(truth.valid), maps[0][0].new_zeros(())
    cls, box, wanted = [[], []], [[], []], {}
    for image, prior, number, level in zip(
        *(getattr(matches, name).tolist() for name in ("images", "priors", "objects", "levels")), strict=True
    ):
        scores, written, _ = said_at(maps, image, PLACES[prior])
        goal, label = truth.rows[number, 2:], int(truth.rows[number, 1])
        pair = box_at(written, PLACES[prior])[None], goal[None]
        overlap = bbox_overlaps(*pair, "ciou", is_aligned=True, eps=1e-7, aspect_always=True)[0]
        box[level].append(1 - overlap)
        wanted[image, prior] = max(overlap.item(), 0.0)
        target = F.one_hot(torch.tensor(label), CLASSES).float()
        cls[level].append(F.binary_cross_entropy_with_logits(scores, target))
    obj = [[], []]
    for image in range(images):
        for prior, place in enumerate(PLACES):
            level, row, column, anchor = place
            sign = maps[2][level][image, anchor, row, column]
            target = wanted.get((image, prior), 0.0)
            obj[level].append(F.softplus(sign) - target * sign)

    def total(levels: list[list[torch.Tensor]], weights: tuple[float, float]) -> torch.Tensor:
        means = [torch.stack(one).mean() * weight if one else zero for one, weight in zip(levels, weights, strict=True)]
        return sum(means, zero) * images

    return {
        "loss_cls": 0.5 * total(cls, (1, 1)),
        "loss_obj": total(obj, (4, 1)),
        "loss_bbox": 0.05 * total(box, (1, 1)),
    }


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=3))
def test_yolov5_losses_by_plain_loops(counts: list[int]) -> None:
    head, truth = build(config("YOLOv5Head")), some_truth(counts)
    maps = head(features(len(counts)))
    matches = match_by_ratio(truth.rows, head.prior_generator, SIZES)
    told = plain_losses(maps, truth, matches)
    found = head.loss_by_feat(*maps, truth=truth)
    assert set(found) == set(told)
    for name, loss in told.items():
        torch.testing.assert_close(found[name], loss, rtol=1e-4, atol=1e-6)


def test_the_overlap_learned_is_a_constant() -> None:
    """Objectness does not teach boxes: the gradient of `loss_obj` is that of its own logits alone."""
    head, truth = build(config("YOLOv5Head")), some_truth([5, 2])
    maps = [[one.detach().requires_grad_() for one in kind] for kind in head(features())]
    head.loss_by_feat(*maps, truth=truth)["loss_obj"].backward()
    assert all(one.grad is None for kind in maps[:2] for one in kind)
    assert all(one.grad.abs().sum() > 0 for one in maps[2])


def test_of_several_pairs_the_last_counts() -> None:
    zeros = torch.zeros(6, dtype=torch.long)
    matches = Matches(torch.tensor([0, 1, 0, 0, 1, 0]), torch.tensor([2, 2, 0, 2, 1, 2]), zeros, zeros)
    values = torch.tensor([0.1, 0.2, 0.3, 0.9, 0.4, 0.5])
    found = last_of_anchors(matches, values, torch.zeros(2, 3))
    torch.testing.assert_close(found, torch.tensor([[0.3, 0, 0.5], [0, 0.4, 0.2]]))
    nothing = matches[torch.zeros(6, dtype=torch.bool)]
    assert last_of_anchors(nothing, values[:0], torch.zeros(2, 3)).eq(0).all()


# ---------------------------------------------------------------------- regions that do not count


def test_boxes_in_regions_by_plain_loops() -> None:
    random = torch.Generator().manual_seed(0)
    corners = torch.rand(2, 30, 2, generator=random) * 40
    boxes = torch.cat([corners, corners + torch.rand(2, 30, 2, generator=random) * 30], dim=2)
    regions = torch.tensor([[[0.0, 0, 30, 30], [40, 20, 70, 60]], [[10, 10, 40, 50], [0, 0, 0, 0]]])
    found = in_regions(boxes, regions, 0.5)
    for image in range(2):
        for place, (x1, y1, x2, y2) in enumerate(boxes[image].tolist()):
            shares = [
                max(min(x2, r[2]) - max(x1, r[0]), 0) * max(min(y2, r[3]) - max(y1, r[1]), 0) / ((x2 - x1) * (y2 - y1))
                for r in regions[image].tolist()
            ]
            assert bool(found[image, place]) == (max(shares) > 0.5)
    assert 0 < found.sum() < found.numel()


def test_what_is_predicted_in_a_region_is_not_background() -> None:
    """Everything lies in the region: only anchors with objects learn objectness, and they do so as before."""
    head = build(config("YOLOv5Head", ignore_iof_thr=0.5))
    everything = InstanceData(bboxes=torch.tensor([[-500.0, -500, 900, 900]]), labels=torch.tensor([0]))
    objects = InstanceData(bboxes=torch.tensor([[20.0, 10, 40, 30]]), labels=torch.tensor([1]))
    maps = head(features(1))
    rows = {}
    for name, ignored in (("none", everything[:0]), ("all", everything)):
        sample = DetDataSample(metainfo=META, gt_instances=objects, ignored_instances=ignored)
        truth = batch_truth([sample], torch.device("cpu"))
        given = [[one.detach().requires_grad_() for one in kind] for kind in maps]
        head.loss_by_feat(*given, truth=truth)["loss_obj"].backward()
        rows[name] = torch.cat([one.grad.permute(0, 2, 3, 1).flatten() for one in given[2]])
    matched = match_by_ratio(truth.rows, head.prior_generator, SIZES).priors
    learning = torch.zeros(len(PLACES), dtype=torch.bool)
    learning[matched] = True
    assert rows["none"].ne(0).all()
    assert torch.equal(rows["all"].ne(0), learning)
    assert torch.equal(rows["all"][learning], rows["none"][learning])


def test_regions_do_not_matter_unless_asked_for() -> None:
    head = build(config("YOLOv5Head"))
    region = InstanceData(bboxes=torch.tensor([[-500.0, -500, 900, 900]]), labels=torch.tensor([0]))
    sample = DetDataSample(metainfo=META, gt_instances=region[:0], ignored_instances=region)
    bare = DetDataSample(metainfo=META, gt_instances=region[:0])
    with_region, without = (head.loss(features(1), [one])["loss_obj"] for one in (sample, bare))
    assert torch.equal(with_region, without)


# ---------------------------------------------------------------------- predictions


def test_candidates_by_plain_loops() -> None:
    head = build(config("YOLOv5Head"))
    with torch.no_grad():
        for conv in head.head_module.convs_pred:
            nn.init.normal_(conv.bias, std=1.0)
        maps = head(features())
    outputs = head.read(*maps)
    for image in range(2):
        told = []
        for place in PLACES:
            scores, written, objectness = said_at(maps, image, place)
            for label, score in enumerate((scores.sigmoid() * objectness.sigmoid()).tolist()):
                if score > 0.2:
                    told.append((score, label, *box_at(written, place).tolist()))
        found = head.candidates(outputs, image, META, {"score_thr": 0.2})
        rows = torch.cat([found.scores[:, None], found.labels[:, None], found.bboxes], dim=1)
        wanted = torch.tensor(sorted(told))
        assert 5 < len(wanted) < len(PLACES) * CLASSES
        torch.testing.assert_close(rows[rows[:, 0].argsort()], wanted, rtol=1e-4, atol=1e-3)
        one_class = head.candidates(outputs, image, META, {"score_thr": 0.2, "multi_label": False})
        best: dict[tuple[float, ...], float] = {}
        for score, _, *box in told:
            best[tuple(box)] = max(best.get(tuple(box), 0.0), score)
        assert sorted(one_class.scores.tolist()) == pytest.approx(sorted(best.values()), rel=1e-4)


@pytest.mark.parametrize("stride", STRIDES)
def test_at_the_start_there_are_eight_objects(stride: int) -> None:
    """Whatever features say, sigmoids of biases add up to 8 objects in 640 x 640 places, and to 0.6 classes."""
    head = build(config("YOLOv5Head", classes=80))
    conv = head.head_module.convs_pred[STRIDES.index(stride)]
    bias = conv.bias.detach().view(2, 85).sigmoid()
    places = (640 / stride) ** 2
    torch.testing.assert_close(bias[:, 4] * places, torch.full((2,), 8.0), rtol=0.01, atol=0)
    torch.testing.assert_close(bias[:, 5:], torch.full((2, 80), 0.6 / (80 - 0.99)), rtol=0.01, atol=0)
    one = build(config("YOLOv5Head", classes=1))
    assert one.head_module.convs_pred[0].bias.view(2, 6)[0, 5].item() == pytest.approx(math.log(60), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"obj_level_weights": [4.0, 1.0, 0.4]}, "obj_level_weights .* for 2 levels"),
        ({"head_module": {"num_base_priors": 3}}, "num_base_priors=3, but prior_generator has anchors"),
        ({"loss_bbox": {"type": "IoULoss", "return_iou": False}}, "return_iou=True"),
    ],
)
def test_parts_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(config("YOLOv5Head", **options))
