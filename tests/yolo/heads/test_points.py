"""Heads over points: what each point is to say, and the losses of it, place by place."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tests.cv.ops.test_bbox_overlaps import plain_overlap
from tests.yolo.assign.test_dynamic_soft_label import plain_soft_labels
from tests.yolo.assign.test_task_aligned import plain_task_aligned
from tests.yolo.heads.small import CHANNELS, CLASSES, SIZES, STRIDES, build, features, some_samples, some_truth
from visuite.engine.logging import MessageHub
from visuite.engine.structures import InstanceData
from visuite.yolo.assign import BatchATSSAssigner, BatchTaskAlignedAssigner

ALIGNED = {
    "type": "BatchTaskAlignedAssigner",
    "num_classes": CLASSES,
    "topk": 5,
    "alpha": 0.5,
    "beta": 6.0,
    "eps": 1e-9,
}
SOFT = {"type": "BatchDynamicSoftLabelAssigner", "num_classes": CLASSES, "topk": 5, "soft_center_radius": 2.0}


def points(
    name: str, *, classes: int = CLASSES, offset: float = 0.5, module: str | None = None, **options: Any
) -> dict[str, Any]:
    """The config of a head over points with two levels; `options` of its module are in `head_module`."""
    layers = {
        "type": module or f"{name}Module",
        "num_classes": classes,
        "in_channels": CHANNELS,
        "featmap_strides": STRIDES,
        **options.pop("head_module", {}),
    }
    return {
        "type": name,
        "head_module": layers,
        "prior_generator": {"type": "det.MlvlPointGenerator", "offset": offset, "strides": list(STRIDES)},
        "train_cfg": {"assigner": {**ALIGNED, "num_classes": classes}},
        "test_cfg": {"nms": {"type": "nms", "iou_threshold": 0.65}, "score_thr": 0.001, "max_per_img": 300},
        **options,
    }


def rtmdet(classes: int = CLASSES, **options: Any) -> dict[str, Any]:
    """RTMDet's, whose levels have the same channels."""
    return points(
        "RTMDetHead",
        classes=classes,
        offset=0,
        module="RTMDetSepBNHeadModule",
        head_module={"in_channels": CHANNELS[0], "feat_channels": 16, "stacked_convs": 1},
        train_cfg={"assigner": {**SOFT, "num_classes": classes}},
        **options,
    )


POINTS: dict[str, Any] = {
    "yolov6": lambda classes: points("YOLOv6Head", classes=classes),
    "yolov6_dfl": lambda classes: points("YOLOv6Head", classes=classes, head_module={"reg_max": 7}),
    "yolov8": lambda classes: points("YOLOv8Head", classes=classes, head_module={"reg_max": 8}),
    "ppyoloe": lambda classes: points("PPYOLOEHead", classes=classes, head_module={"reg_max": 7}),
    "rtmdet": rtmdet,
}


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def cross_entropy(logit: float, target: float) -> float:
    return -target * math.log(sigmoid(logit)) - (1 - target) * math.log(1 - sigmoid(logit))


def varifocal(logit: float, target: float) -> float:
    """Equation 2 of arXiv:2008.13367."""
    return cross_entropy(logit, target) * (target if target > 0 else 0.75 * sigmoid(logit) ** 2)


def quality_focal(logit: float, target: float) -> float:
    """Equation 4 of arXiv:2006.04388."""
    return cross_entropy(logit, target) * abs(target - sigmoid(logit)) ** 2


def distribution_focal(logits: list[float], distance: float) -> float:
    """Equation 6 of arXiv:2006.04388."""
    logs = torch.tensor(logits, dtype=torch.float64).log_softmax(0).tolist()
    distance = min(max(distance, 0.0), len(logits) - 1 - 0.01)
    below = math.floor(distance)
    return -(below + 1 - distance) * logs[below] - (distance - below) * logs[below + 1]


def expectation(logits: list[float]) -> float:
    if len(logits) == 1:
        return logits[0]
    chances = torch.tensor(logits, dtype=torch.float64).softmax(0).tolist()
    return sum(step * chance for step, chance in enumerate(chances))


#: The loss of a class, its weight, the kind of overlap, its weight, the weight of distributions, the least total, and
#: whether losses are multiplied by the images.
RECIPES: dict[str, tuple[Any, ...]] = {
    "yolov6": (varifocal, 1.0, "giou", 2.5, 0.0, 0.0, False),
    "yolov6_dfl": (varifocal, 1.0, "giou", 2.5, 0.125, 0.0, False),
    "yolov8": (cross_entropy, 0.5, "ciou", 7.5, 0.375, 1.0, True),
    "ppyoloe": (varifocal, 1.0, "giou", 2.5, 0.125, 0.0, False),
    "rtmdet": (quality_focal, 1.0, "giou", 2.0, 0.0, 1.0, False),
}


def plain_losses(name: str, maps: Any, truth: Any, steps: int, offset: float) -> dict[str, float]:
    """Sums over all places, each weighing what its score shall be, divided by the sum of those scores."""
    of_class, class_weight, overlap, box_weight, dfl_weight, least, by_images = RECIPES[name]
    sums, total = {"loss_cls": 0.0, "loss_bbox": 0.0, "loss_dfl": 0.0}, 0.0
    grid = [(level, y, x) for level, (h, w) in enumerate(SIZES) for y in range(h) for x in range(w)]
    for image in range(len(truth.valid)):
        priors, logits, sides, boxes = [], [], [], []
        for level, y, x in grid:
            stride = float(STRIDES[level])
            at = (x + offset) * stride, (y + offset) * stride
            numbers = maps[1][level][image, :, y, x].tolist()
            sides.append([numbers[i * steps : (i + 1) * steps] for i in range(4)])
            left, top, right, bottom = (stride * expectation(one) for one in sides[-1])
            boxes.append([at[0] - left, at[1] - top, at[0] + right, at[1] + bottom])
            logits.append(maps[0][level][image, :, y, x].tolist())
            priors.append([*at, stride, stride])
        valid = truth.valid[image]
        objects = InstanceData(bboxes=truth.boxes[image][valid], labels=truth.labels[image][valid])
        if name == "rtmdet":
            rows = torch.tensor(logits, dtype=torch.float64)
            owners, fits, _ = plain_soft_labels(priors, boxes, rows, objects, 5, 2.0)
        else:
            chances = [[sigmoid(one) for one in row] for row in logits]
            owners, fits = plain_task_aligned(priors, boxes, chances, objects, 5, 0.5, 6.0, ciou=False)
        for place, (owner, fit) in enumerate(zip(owners, fits, strict=True)):
            label = int(objects.labels[owner - 1]) if owner else -1
            sums["loss_cls"] += sum(of_class(one, fit if c == label else 0.0) for c, one in enumerate(logits[place]))
            if not owner:
                continue
            total += fit
            goal = objects.bboxes[owner - 1].tolist()
            sums["loss_bbox"] += fit * (1 - plain_overlap(boxes[place], goal, overlap, -1))
            x, y, stride, _ = priors[place]
            away = [(x - goal[0]) / stride, (y - goal[1]) / stride, (goal[2] - x) / stride, (goal[3] - y) / stride]
            if dfl_weight:
                sums["loss_dfl"] += fit * sum(map(distribution_focal, sides[place], away))
    factor = (len(truth.valid) if by_images else 1) / (max(total, least) or 1)
    weights = {"loss_cls": class_weight, "loss_bbox": box_weight, "loss_dfl": dfl_weight}
    return {key: value * factor * weights[key] for key, value in sums.items() if weights[key]}


def lively(name: str, **options: Any) -> Any:
    """A head whose places say different things; distances are positive."""
    head = build({**POINTS[name](CLASSES), **options})
    last = "rtm_cls", "rtm_reg"
    scores, distances = (getattr(head.head_module, one, None) for one in last)
    for conv in scores or head.head_module.cls_preds:
        torch.nn.init.normal_((conv[-1] if isinstance(conv, torch.nn.Sequential) else conv).weight, std=0.1)
    for conv in distances or head.head_module.reg_preds:
        conv = conv[-1] if isinstance(conv, torch.nn.Sequential) else conv
        torch.nn.init.normal_(conv.weight, std=0.02 if head.num_steps == 1 else 0.3)
        torch.nn.init.constant_(conv.bias, 2.0)
    return head.train()


def maps_of(name: str) -> list[torch.Tensor]:
    feats = features()
    return [feats[0], feats[1][:, : CHANNELS[0]]] if name == "rtmdet" else feats


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("counts", [(3, 2), (4, 0), (0, 0)], ids=["some", "none-in-one", "none"])
def test_losses_place_by_place(name: str, counts: tuple[int, int]) -> None:
    head = lively(name, **({"dfl_by_point": True} if name == "ppyoloe" else {}))
    truth, maps = some_truth(counts), head(maps_of(name))
    found = head.loss_by_feat(*maps, truth=truth)
    told = plain_losses(name, maps, truth, head.num_steps, 0.0 if name == "rtmdet" else 0.5)
    assert set(found) == set(told)
    for key, value in told.items():
        assert found[key].item() == pytest.approx(value, rel=1e-4, abs=1e-6), key
    assert (found["loss_bbox"] > 0) == any(counts)


def test_distributions_in_the_order_of_the_map() -> None:
    by_point, by_map = (lively("ppyoloe", dfl_by_point=which) for which in (True, False))
    truth, maps = some_truth((3, 2)), by_point(features())
    one, other = (head.loss_by_feat(*maps, truth=truth) for head in (by_point, by_map))
    assert torch.equal(one["loss_cls"], other["loss_cls"])
    assert not torch.isclose(one["loss_dfl"], other["loss_dfl"])
    steps, wide = by_map.num_steps, SIZES[0][1]
    rows = by_map._distributions(maps[1])
    flat = maps[1][0][1].flatten().tolist()  # the second image's first level
    place = 2 * wide + 3
    assert rows[1, place].tolist() == flat[place * 4 * steps : (place + 1) * 4 * steps]


def test_another_assigner_in_the_first_epochs() -> None:
    cfg = POINTS["yolov6"](CLASSES)
    initial = {"type": "BatchATSSAssigner", "num_classes": CLASSES, "topk": 3}
    cfg["train_cfg"] = {"initial_epoch": 4, "initial_assigner": initial, "assigner": ALIGNED}
    head, hub = build(cfg), MessageHub.get_current_instance()
    epoch = hub.get_info("epoch")
    try:
        for now, kind in ((0, BatchATSSAssigner), (3, BatchATSSAssigner), (4, BatchTaskAlignedAssigner)):
            hub.update_info("epoch", now)
            assert isinstance(head.assigners.current, kind)
            head.loss(features(), some_samples((3, 0)))
    finally:
        hub.update_info("epoch", epoch)


@pytest.mark.parametrize("name", POINTS)
def test_predicts_what_the_maps_say(name: str) -> None:
    head = lively(name).eval()
    maps, offset = head(maps_of(name)), 0.0 if name == "rtmdet" else 0.5
    outputs = head.read(*maps)
    place, (level, y, x) = SIZES[0][0] * SIZES[0][1] + 2 * SIZES[1][1] + 3, (1, 2, 3)
    assert outputs.scores[1, place].tolist() == pytest.approx(maps[0][level][1, :, y, x].sigmoid().tolist())
    numbers = maps[1][level][1, :, y, x].tolist()
    away = [expectation(numbers[i * head.num_steps : (i + 1) * head.num_steps]) * 16 for i in range(4)]
    at = (x + offset) * 16, (y + offset) * 16
    box = head.decode_boxes(outputs.priors[place], outputs.boxes[1, place])
    want = [at[0] - away[0], at[1] - away[1], at[0] + away[2], at[1] + away[3]]
    assert box.tolist() == pytest.approx(want, rel=1e-4)


def test_levels_of_rtmdet_share_convolutions_but_not_norms() -> None:
    module = build(rtmdet()).head_module
    assert module.cls_convs[0][0].conv is module.cls_convs[1][0].conv
    assert module.cls_convs[0][0].bn is not module.cls_convs[1][0].bn
    apart = rtmdet()
    apart["head_module"]["share_conv"] = False
    module = build(apart).head_module
    assert module.cls_convs[0][0].conv is not module.cls_convs[1][0].conv


@pytest.mark.parametrize("name", POINTS)
def test_one_point_at_a_place(name: str) -> None:
    cfg = POINTS[name](CLASSES)
    cfg["head_module"]["num_base_priors"] = 2
    with pytest.raises(ValueError, match="num_base_priors=2"):
        build(cfg)
