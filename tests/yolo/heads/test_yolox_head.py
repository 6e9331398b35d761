"""YOLOX's head: which places belong to objects, and what they learn."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from tests.yolo.heads.small import CLASSES, SIZES, STRIDES, build, features, some_truth
from tests.yolo.heads.test_contracts import yolox
from visuite.cv.ops import bbox_overlaps
from visuite.det.assign import SimOTAAssigner
from visuite.engine.structures import InstanceData

#: Level, row and column of each place, as they stand in a row.
PLACES = [(level, row, column) for level, (h, w) in enumerate(SIZES) for row in range(h) for column in range(w)]


def head_of() -> Any:
    head = build(yolox(CLASSES))
    for convs in (head.head_module.multi_level_conv_reg, head.head_module.multi_level_conv_obj):
        for conv in convs:
            torch.nn.init.normal_(conv.weight, std=0.3)
    return head.train()


def box_at(written: torch.Tensor, place: tuple[int, int, int]) -> torch.Tensor:
    level, row, column = place
    stride = STRIDES[level]
    x, y = (written[0] + column) * stride, (written[1] + row) * stride
    w, h = written[2:].exp() * stride
    return torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2])


def plain_losses(maps: Any, truth: Any) -> dict[str, torch.Tensor]:
    """Sums over all images, divided by the number of places that belong to objects."""
    sums = {name: torch.zeros(()) for name in ("loss_cls", "loss_bbox", "loss_obj", "loss_bbox_aux")}
    count = 0
    for image in range(len(truth.valid)):
        rows = [[kind[level][image, :, row, column] for kind in maps] for level, row, column in PLACES]
        boxes = torch.stack([box_at(row[1], place) for row, place in zip(rows, PLACES, strict=True)])
        scores = torch.stack([(row[0].sigmoid() * row[2].sigmoid()).sqrt() for row in rows])
        middle = [[(c + 0.5) * STRIDES[lv], (r + 0.5) * STRIDES[lv], STRIDES[lv], STRIDES[lv]] for lv, r, c in PLACES]
        valid = truth.valid[image]
        objects = InstanceData(bboxes=truth.boxes[image][valid], labels=truth.labels[image][valid])
        some = InstanceData(priors=torch.tensor(middle), bboxes=boxes.detach(), scores=scores.detach())
        owners = SimOTAAssigner(center_radius=2.5).assign(some, objects).gt_inds.tolist()
        for owner, row, place, box in zip(owners, rows, PLACES, boxes, strict=True):
            target = torch.tensor([float(owner > 0)])
            sums["loss_obj"] += F.binary_cross_entropy_with_logits(row[2], target, reduction="sum")
            if owner == 0:
                continue
            count += 1
            goal, stride = objects.bboxes[owner - 1], STRIDES[place[0]]
            overlap = bbox_overlaps(box[None], goal[None], is_aligned=True, eps=1e-16)[0]
            sums["loss_bbox"] += 5 * (1 - overlap**2)
            classes = F.one_hot(objects.labels[owner - 1], CLASSES) * overlap.detach()
            sums["loss_cls"] += F.binary_cross_entropy_with_logits(row[0], classes, reduction="sum")
            centre, size = (goal[:2] + goal[2:]) / 2, goal[2:] - goal[:2]
            codes = [centre[0] / stride - place[2], centre[1] / stride - place[1]]
            codes += [math.log(edge / stride) for edge in size.tolist()]
            sums["loss_bbox_aux"] += (row[1] - torch.tensor(codes)).abs().sum()
    return {name: loss / max(count, 1) for name, loss in sums.items()}


@pytest.mark.parametrize("counts", [[3, 2], [4, 0], [0]])
def test_losses_by_plain_loops(counts: list[int]) -> None:
    head, truth = head_of(), some_truth(counts)
    maps = head(features(len(counts)))
    told = plain_losses(maps, truth)
    found = head.loss_by_feat(*maps, truth=truth)
    assert set(found) == {"loss_cls", "loss_bbox", "loss_obj"}
    head.use_bbox_aux = True
    more = head.loss_by_feat(*maps, truth=truth)
    assert set(more) == set(told)
    for name, loss in more.items():
        torch.testing.assert_close(loss, told[name], rtol=1e-4, atol=1e-5)
        if name in found:
            assert torch.equal(found[name], loss)


def test_boxes_and_scores_are_those_of_the_place() -> None:
    head = head_of().eval()
    with torch.no_grad():
        maps = head(features())
    outputs = head.read(*maps)
    found = head.decode_boxes(outputs.priors, outputs.boxes)
    for number, (level, row, column) in enumerate(PLACES):
        score, written, objectness = (kind[level][1, :, row, column] for kind in maps)
        torch.testing.assert_close(found[1, number], box_at(written, PLACES[number]), rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(outputs.scores[1, number], score.sigmoid())
        torch.testing.assert_close(outputs.factors[1, number], objectness.sigmoid()[0])


def test_all_that_suppression_leaves_is_kept() -> None:
    head = head_of().eval()
    settings = {"nms": {"type": "nms", "iou_threshold": 0.65}, "score_thr": 0.0, "max_per_img": 3}
    metas = [{"img_shape": (48, 80), "ori_shape": (48, 80)}] * 2
    plain = head.predict_by_feat(*head(features()), batch_img_metas=metas, cfg=settings)
    styled = head.predict_by_feat(*head(features()), batch_img_metas=metas, cfg={**settings, "yolox_style": True})
    for few, many in zip(plain, styled, strict=True):
        assert len(few) == 3
        assert len(many) > 3
        assert torch.equal(few.scores, many.scores[:3])


def test_channels_are_widened() -> None:
    cfg = yolox(CLASSES)["head_module"] | {"in_channels": 256, "feat_channels": 256, "widen_factor": 0.25}
    module = build(cfg)
    assert module.in_channels == [64, 64]
    assert module.multi_level_conv_cls[1].weight.shape == (CLASSES, 64, 1, 1)
    depthwise = build({**cfg, "use_depthwise": True})
    assert "multi_level_cls_convs.0.0.depthwise_conv.conv.weight" in depthwise.state_dict()
    with pytest.raises(ValueError, match="one point"):
        build({**cfg, "num_base_priors": 3})
