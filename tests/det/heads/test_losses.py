"""Losses and decoding of single heads, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torchvision.ops import generalized_box_iou

from visuite.det.boxes import bbox2yolox
from visuite.det.heads import DeformableDETRHead, DETRHead, GFLHead, Integral, SSDHead, YOLOXHead
from visuite.det.heads.deformable_detr_head import refined
from visuite.engine.structures import InstanceData

META = {"img_shape": (32, 48), "pad_shape": (32, 48)}


def truth(*boxes: list[float], labels: list[int] | None = None) -> InstanceData:
    return InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels if labels is not None else list(range(len(boxes))), dtype=torch.long),
    )


# ---------------------------------------------------------------------- GFL


def test_the_integral_is_the_mean_of_the_distribution() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 4 * 9)
    found = Integral(8)(logits)
    assert found.shape == (2, 5, 4)
    for image, row, side in ((0, 0, 0), (1, 4, 3), (1, 2, 1)):
        powers = [math.exp(x) for x in logits[image, row, side * 9 : side * 9 + 9].tolist()]
        wanted = sum(n * p for n, p in enumerate(powers)) / sum(powers)
        assert found[image, row, side].item() == pytest.approx(wanted, rel=1e-5)
    sure = torch.full((1, 36), -50.0)
    sure[0, [2, 9 + 8, 18, 27 + 5]] = 50
    torch.testing.assert_close(Integral(8)(sure), torch.tensor([[2.0, 8, 0, 5]]))


def test_gfl_has_one_anchor_at_each_place() -> None:
    with pytest.raises(ValueError, match="its anchor_generator makes 2"):
        GFLHead(3, 4, anchor_generator={"type": "AnchorGenerator", "scales": [1], "ratios": [1, 2], "strides": [8]})


# ---------------------------------------------------------------------- SSD


@pytest.mark.parametrize("ratio", [0, 1, 3, 1000])
def test_ssd_counts_the_hardest_background_of_each_image(ratio: int) -> None:
    assigner = {"type": "MaxIoUAssigner", "pos_iou_thr": 0.5, "neg_iou_thr": 0.5, "gt_max_assign_all": False}
    anchors = {"type": "AnchorGenerator", "strides": [16], "ratios": [1.0], "scales": [1]}
    train_cfg = {"assigner": assigner, "neg_pos_ratio": ratio, "smoothl1_beta": 1.0}
    head = SSDHead(2, (4,), anchor_generator=anchors, bbox_coder={"type": "DeltaXYWHBBoxCoder"}, train_cfg=train_cfg)
    torch.manual_seed(0)
    scores, offsets = torch.randn(2, 3, 2, 3), torch.randn(2, 4, 2, 3)
    # Anchors are the six squares of 16 pixels around (0, 0), (16, 0), ...: two of the first image are objects.
    objects = [truth([8, -8, 24, 8], [-8, 8, 8, 24], labels=[1, 0]), truth()]
    found = head.loss_by_feat([scores], [offsets], batch_gt_instances=objects, batch_img_metas=[META, META])
    rows = scores.permute(0, 2, 3, 1).reshape(2, 6, 3).log_softmax(dim=-1)
    costs = sorted((-rows[0, place, 2].item() for place in (0, 2, 4, 5)), reverse=True)
    wanted = -rows[0, 1, 1].item() - rows[0, 3, 0].item() + sum(costs[: 2 * ratio])
    count = 3  # two of the first image, and at least one of each
    assert found["loss_cls"].item() == pytest.approx(wanted / count, rel=1e-5)
    flat = offsets.permute(0, 2, 3, 1).reshape(2, 6, 4)
    smooth = [abs(x) - 0.5 if abs(x) >= 1 else x * x / 2 for x in flat[0, [1, 3]].flatten().tolist()]
    assert found["loss_bbox"].item() == pytest.approx(sum(smooth) / count, rel=1e-5)


# ---------------------------------------------------------------------- YOLOX


def yolox(**options: Any) -> YOLOXHead:
    return YOLOXHead(3, 4, feat_channels=4, stacked_convs=1, strides=[8, 16], **options)


def test_yolox_boxes_round_trip() -> None:
    head = yolox()
    priors = head._priors([torch.zeros(1, 3, 4, 6), torch.zeros(1, 3, 2, 3)])
    assert priors[0].tolist() == [0, 0, 8, 8]
    assert priors[25].tolist() == [16, 0, 16, 16]
    torch.manual_seed(0)
    start = torch.rand(30, 2) * 20
    boxes = torch.cat([start, start + 1 + torch.rand(30, 2) * 30], dim=1)
    written = bbox2yolox(priors[:, :2], boxes, priors[:, 2:])
    torch.testing.assert_close(head.decode_boxes(priors, written), boxes, rtol=1e-5, atol=1e-4)
    one = head.decode_boxes(torch.tensor([[8.0, 16, 8, 8]]), torch.tensor([[0.5, -0.25, math.log(2), 0.0]]))
    torch.testing.assert_close(one, torch.tensor([[12 - 8.0, 14 - 4, 12 + 8, 14 + 4]]))


def test_yolox_learns_offsets_while_it_is_told_to() -> None:
    head = yolox(train_cfg={"assigner": {"type": "SimOTAAssigner", "center_radius": 2.5}})
    torch.manual_seed(0)
    maps = [[torch.randn(2, d, 4, 6), torch.randn(2, d, 2, 3)] for d in (3, 4, 1)]
    objects = [truth([4, 4, 30, 28], [20, 2, 44, 20]), truth()]
    given: Any = {"batch_gt_instances": objects, "batch_img_metas": [META, META]}
    plain = head.loss_by_feat(*maps, **given)
    assert set(plain) == {"loss_cls", "loss_bbox", "loss_obj"}
    head.use_l1 = True
    both = head.loss_by_feat(*maps, **given)
    assert both["loss_l1"] > 0
    assert all(torch.equal(both[name], plain[name]) for name in plain)


def test_yolox_candidates() -> None:
    head = yolox()
    torch.manual_seed(0)
    maps = [[torch.randn(1, d, 4, 6), torch.randn(1, d, 2, 3)] for d in (3, 4, 1)]
    outputs = head.read(*maps)
    found = head.candidates(outputs, 0, META, {"score_thr": 0.3})
    wanted = []
    for place in range(30):
        score, label = max((outputs.scores[0, place, k].item(), k) for k in range(3))
        score *= outputs.factors[0, place].item()
        if score >= 0.3:
            wanted.append((pytest.approx(score), label))
    assert 0 < len(wanted) < 30
    assert list(zip(found.scores.tolist(), found.labels.tolist(), strict=True)) == wanted


# ---------------------------------------------------------------------- queries


def costs_of(*kinds: dict[str, Any]) -> dict[str, Any]:
    return {"assigner": {"type": "HungarianAssigner", "match_costs": list(kinds)}}


@pytest.mark.parametrize("background", [0.1, 1.0])
def test_losses_of_queries_by_hand(background: float) -> None:
    loss_cls = {"type": "CrossEntropyLoss", "bg_cls_weight": background, "class_weight": 1.0, "loss_weight": 1.0}
    match = costs_of(
        {"type": "ClassificationCost", "weight": 1.0},
        {"type": "BBoxL1Cost", "weight": 5.0},
        {"type": "IoUCost", "iou_mode": "giou", "weight": 2.0},
    )
    head = DETRHead(3, 8, loss_cls=loss_cls, train_cfg=match)
    torch.manual_seed(0)
    logits, boxes = torch.randn(2, 6, 4), torch.rand(2, 6, 4) * 0.4 + 0.2
    objects = [truth([4, 4, 30, 28], [20, 2, 44, 20], labels=[2, 0]), truth()]
    found = head.losses_of(logits, boxes, objects, [META, META])

    sides = torch.tensor([48.0, 32, 48, 32])
    corners = torch.cat([boxes[0, :, :2] - boxes[0, :, 2:] / 2, boxes[0, :, :2] + boxes[0, :, 2:] / 2], dim=1) * sides
    gt = objects[0].bboxes
    normal = torch.cat([(gt[:, :2] + gt[:, 2:]) / 2, gt[:, 2:] - gt[:, :2]], dim=1) / sides
    overlap = generalized_box_iou(corners, gt)
    cost = -logits[0].softmax(dim=1)[:, objects[0].labels] + 5 * torch.cdist(boxes[0], normal, p=1) - 2 * overlap
    rows, columns = linear_sum_assignment(cost.numpy())
    labels = torch.full((2, 6), 3)
    labels[0, rows] = objects[0].labels[columns]
    weights = torch.tensor([1.0, 1, 1, background])[labels.flatten()]
    each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    count = 2 + background * 10
    assert found["loss_cls"].item() == pytest.approx((each * weights).sum().item() / count, rel=1e-4)
    l1 = (boxes[0, rows] - normal[columns]).abs().sum().item()
    assert found["loss_bbox"].item() == pytest.approx(5 * l1 / 2, rel=1e-4)
    assert found["loss_iou"].item() == pytest.approx(2 * (1 - overlap[rows, columns]).sum().item() / 2, rel=1e-4)


def test_every_layer_has_branches_and_losses() -> None:
    match = costs_of({"type": "FocalLossCost"}, {"type": "BBoxL1Cost"})
    head = DeformableDETRHead(3, 8, num_pred_layer=3, share_pred_layer=False, train_cfg=match)
    assert head.cls_branches[0] is not head.cls_branches[1]
    found = head.losses_of(torch.randn(1, 4, 3), torch.rand(1, 4, 4), [truth()], [META])
    assert set(found) == {"loss_cls", "loss_bbox", "loss_iou"}
    shared = DeformableDETRHead(3, 8, num_pred_layer=3, share_pred_layer=True)
    assert shared.cls_branches[0] is shared.cls_branches[2]
    assert shared.reg_branches[0] is shared.reg_branches[2]


def test_references_are_moved_before_the_sigmoid() -> None:
    offsets = torch.tensor([[0.3, -0.2, 1.0, -1.0]])
    point, box = torch.tensor([[0.25, 0.5]]), torch.tensor([[0.25, 0.5, 0.1, 0.2]])
    start = torch.logit(box)
    torch.testing.assert_close(refined(offsets, box), (offsets + start).sigmoid())
    start[:, 2:] = 0
    torch.testing.assert_close(refined(offsets, point), (offsets + start).sigmoid())
    assert refined(offsets, torch.tensor([[0.0, 1.0]])).isfinite().all()
