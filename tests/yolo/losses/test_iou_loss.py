"""IoULoss against torchvision's losses and the papers' formulas."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import complete_box_iou_loss, generalized_box_iou_loss

from tests.cv.ops.checks import random_boxes, random_tensor
from tests.cv.ops.test_bbox_overlaps import plain_overlap
from visuite.cv.ops import bbox_xyxy_to_cxcywh
from visuite.yolo.losses import IoULoss
from visuite.yolo.registry import MODELS

PRED = torch.cat((random_boxes(20), random_boxes(20, seed=5)))
TARGET = torch.cat((random_boxes(20) + 3 * random_tensor(20, 4), random_boxes(20, seed=6)))


@pytest.mark.parametrize(
    ("mode", "theirs"), [("giou", generalized_box_iou_loss), ("ciou", complete_box_iou_loss)], ids=["giou", "ciou"]
)
def test_against_torchvision(mode, theirs):
    loss = IoULoss(iou_mode=mode, bbox_format="xyxy", reduction="none", return_iou=False)
    torch.testing.assert_close(loss(PRED, TARGET), theirs(PRED, TARGET), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["iou", "giou", "diou", "ciou", "siou"])
def test_by_the_papers(mode):
    loss, overlaps = IoULoss(iou_mode=mode, bbox_format="xyxy", reduction="none")(PRED, TARGET)
    told = [plain_overlap(a, b, mode, -1) for a, b in zip(PRED.tolist(), TARGET.tolist(), strict=True)]
    torch.testing.assert_close(overlaps, torch.tensor(told), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss, 1 - overlaps)


def test_centres_and_sizes():
    corners, middles = IoULoss(bbox_format="xyxy"), IoULoss(bbox_format="xywh")
    found = middles(bbox_xyxy_to_cxcywh(PRED), bbox_xyxy_to_cxcywh(TARGET))
    for one, other in zip(found, corners(PRED, TARGET), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_weights_and_reductions():
    weight = torch.rand(40)
    each = IoULoss(bbox_format="xyxy", reduction="none", return_iou=False)(PRED, TARGET)

    def loss(reduction, *more):
        return IoULoss(bbox_format="xyxy", reduction=reduction, loss_weight=2.5, return_iou=False)(PRED, TARGET, *more)

    torch.testing.assert_close(loss("mean"), 2.5 * each.mean())
    torch.testing.assert_close(loss("sum", weight), 2.5 * (each * weight).sum())
    torch.testing.assert_close(loss("mean", weight, 7.0), 2.5 * (each * weight).sum() / 7)
    torch.testing.assert_close(loss("mean", weight, None, "none"), 2.5 * each * weight)


@pytest.mark.parametrize("mode", ["giou", "ciou", "siou"])
def test_no_boxes_and_boxes_without_area(mode):
    loss = IoULoss(iou_mode=mode, bbox_format="xyxy", return_iou=False)
    for boxes in (torch.zeros(0, 4), torch.zeros(2, 4)):
        boxes.requires_grad_()
        loss(boxes, torch.zeros_like(boxes)).backward()
        assert boxes.grad.isfinite().all()


def test_bad_names():
    assert isinstance(MODELS.build({"type": "IoULoss", "iou_mode": "siou"}), IoULoss)
    with pytest.raises(ValueError, match=r"'siuo' is none of.*did you mean 'siou'"):
        IoULoss(iou_mode="siuo")
    with pytest.raises(ValueError, match="'cxcywh' is none of"):
        IoULoss(bbox_format="cxcywh")
