"""Match costs, pair by pair, against the losses that they stand for."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import generalized_box_iou, sigmoid_focal_loss

from tests.cv.ops.checks import random_boxes, random_tensor
from tests.det.assign.instances import CLASSES, objects
from visuite.det.registry import TASK_UTILS
from visuite.engine.structures import InstanceData

META = {"img_shape": (48, 64)}
P, G = 5, 3


def asked(seed=0):
    return InstanceData(
        bboxes=random_boxes(P, size=64, seed=seed),
        scores=random_tensor(P, CLASSES, seed=seed),
        masks=random_tensor(P, 6, 7, seed=seed),
    )


def wanted(seed=1, count=G):
    truth = objects(count, seed)
    generator = torch.Generator().manual_seed(seed)
    truth.masks = torch.randint(2, (count, 6, 7), generator=generator)
    truth.positive_maps = torch.rand(count, CLASSES, generator=generator).round()
    truth.text_token_mask = (torch.arange(CLASSES) != 1).expand(count, -1)
    return truth


def cost(config, *, queries=None, truth=None, meta=META):
    return TASK_UTILS.build(config)(queries or asked(), wanted() if truth is None else truth, meta)


def pairs(function):
    """The matrix of a function of the numbers of a query and an object."""
    return torch.tensor([[float(function(p, g)) for g in range(G)] for p in range(P)])


def test_boxes_in_parts_of_the_image():
    boxes, goals = asked().bboxes, wanted().bboxes
    sides = torch.tensor([64.0, 48, 64, 48])
    want = pairs(lambda p, g: ((boxes[p] - goals[g]) / sides).abs().sum())
    torch.testing.assert_close(cost({"type": "BBoxL1Cost", "weight": 5.0}), 5 * want)

    def middle(box):
        return torch.stack(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1])) / sides

    want = pairs(lambda p, g: (middle(boxes[p]) - middle(goals[g])).abs().sum())
    torch.testing.assert_close(cost({"type": "BBoxL1Cost", "box_format": "xywh"}), want)
    with pytest.raises(ValueError, match="img_shape"):
        cost({"type": "BBoxL1Cost"}, meta=None)
    with pytest.raises(ValueError, match="'cxcywh'"):
        TASK_UTILS.build({"type": "BBoxL1Cost", "box_format": "cxcywh"})


def test_overlaps():
    want = -2 * generalized_box_iou(asked().bboxes, wanted().bboxes)
    torch.testing.assert_close(cost({"type": "IoUCost", "weight": 2.0}), want)


def test_probabilities():
    scores, labels = asked().scores.softmax(-1), wanted().labels
    torch.testing.assert_close(
        cost({"type": "ClassificationCost", "weight": 2.0}), pairs(lambda p, g: -2 * scores[p, labels[g]])
    )


def test_focal_loss_of_the_class_as_target_or_not():
    scores, labels = asked().scores, wanted().labels

    def more(p, g):
        one = scores[p, labels[g]]
        on, off = (sigmoid_focal_loss(one, torch.full_like(one, value), 0.3, 1.5) for value in (1.0, 0.0))
        return on - off

    torch.testing.assert_close(cost({"type": "FocalLossCost", "alpha": 0.3, "gamma": 1.5}), pairs(more))


def test_focal_loss_of_masks_and_of_tokens():
    masks, targets = asked().masks, wanted().masks.float()
    want = pairs(lambda p, g: sigmoid_focal_loss(masks[p], targets[g], reduction="mean"))
    torch.testing.assert_close(cost({"type": "FocalLossCost", "binary_input": True, "weight": 20.0}), 20 * want)
    scores, maps, there = asked().scores, wanted().positive_maps, [0, 2, 3]
    want = pairs(lambda p, g: sigmoid_focal_loss(scores[p, there], maps[g, there], reduction="sum"))
    torch.testing.assert_close(cost({"type": "BinaryFocalLossCost", "weight": 2.0}), 2 * want)


def test_cross_entropy_of_masks():
    masks, targets = asked().masks, wanted().masks.float()
    want = pairs(lambda p, g: F.binary_cross_entropy_with_logits(masks[p], targets[g]))
    torch.testing.assert_close(cost({"type": "CrossEntropyLossCost", "weight": 5.0}), 5 * want)
    with pytest.raises(ValueError, match="use_sigmoid"):
        TASK_UTILS.build({"type": "CrossEntropyLossCost", "use_sigmoid": False})


@pytest.mark.parametrize("naive", [True, False])
def test_dice(naive):
    masks, targets = asked().masks.sigmoid(), wanted().masks.float()

    def dice(p, g):
        a, b = masks[p], targets[g]
        whole = a.sum() + b.sum() if naive else (a * a).sum() + (b * b).sum()
        return 1 - (2 * (a * b).sum() + 1.0) / (whole + 1.0)

    config = {"type": "DiceCost", "pred_act": True, "eps": 1.0, "naive_dice": naive}
    torch.testing.assert_close(cost(config), pairs(dice))
    sure = asked()
    sure.masks = masks
    torch.testing.assert_close(cost({**config, "pred_act": False}, queries=sure), pairs(dice))


every = pytest.mark.parametrize(
    "name",
    [
        "BBoxL1Cost",
        "IoUCost",
        "ClassificationCost",
        "FocalLossCost",
        "BinaryFocalLossCost",
        "DiceCost",
        "CrossEntropyLossCost",
    ],
)


@every
def test_no_objects(name):
    assert cost({"type": name}, truth=wanted(count=0)).shape == (P, 0)


def test_extreme_logits_cost_finite_amounts():
    sure = asked()
    sure.scores = torch.tensor([[1e4, -1e4, 0, 1]]).expand(P, -1)
    sure.masks = torch.full((P, 6, 7), 1e4)
    for name in ("FocalLossCost", "BinaryFocalLossCost", "ClassificationCost", "CrossEntropyLossCost", "DiceCost"):
        assert cost({"type": name}, queries=sure).isfinite().all()


@every
def test_mixed_precision_leaves_costs_in_full(name):
    with torch.autocast("cpu", torch.bfloat16):
        mixed = cost({"type": name})
    assert torch.equal(mixed, cost({"type": name}))
    half = asked()
    half.bboxes, half.scores, half.masks = half.bboxes.half(), half.scores.half(), half.masks.half()
    assert cost({"type": name}, queries=half).dtype == torch.float32
