"""Objects of several versions of an image, put together."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.cv.ops.checks import random_boxes
from tests.det.test_contracts import shaken
from tests.det.variants import VARIANTS
from visuite.det.structures import DetDataSample
from visuite.det.tta import DetTTAModel
from visuite.engine.structures import InstanceData

SIZE = (40, 60)
LOOSE = {"nms": {"type": "nms", "iou_threshold": 0.999}, "max_per_img": 100}


def version(direction: str | None, boxes: torch.Tensor, masks: torch.Tensor | None = None) -> DetDataSample:
    """A version in which objects stand as they do in the flipped image."""
    h, w = SIZE
    x1, y1, x2, y2 = boxes.unbind(1)
    if direction in ("horizontal", "diagonal"):
        x1, x2, masks = w - x2, w - x1, None if masks is None else masks.flip(2)
    if direction in ("vertical", "diagonal"):
        y1, y2, masks = h - y2, h - y1, None if masks is None else masks.flip(1)
    found = InstanceData(bboxes=torch.stack([x1, y1, x2, y2], 1), scores=torch.linspace(0.9, 0.5, len(boxes)))
    found.labels = torch.arange(len(boxes))
    if masks is not None:
        found.masks = masks
    meta = {"flip": direction is not None, "flip_direction": direction, "ori_shape": SIZE}
    return DetDataSample(metainfo=meta, pred_instances=found)


@pytest.mark.parametrize("with_masks", [False, True])
@pytest.mark.parametrize("direction", ["horizontal", "vertical", "diagonal"])
def test_flipped_objects_are_turned_back(direction: str, with_masks: bool) -> None:
    boxes = random_boxes(4, size=40)
    masks = torch.rand(4, *SIZE) > 0.5 if with_masks else None
    (merged,) = DetTTAModel(module=VARIANTS["rpn"].make()).merge_preds([[version(direction, boxes, masks)]])
    found = merged.pred_instances
    torch.testing.assert_close(found.bboxes, boxes)
    assert found.labels.tolist() == [0, 1, 2, 3]
    assert ("masks" in found) == with_masks
    if masks is not None:
        assert torch.equal(found.masks, masks)


def test_the_same_object_of_two_versions_is_one() -> None:
    boxes = random_boxes(4, size=40)
    model = DetTTAModel(module=VARIANTS["rpn"].make(), tta_cfg={**LOOSE, "max_per_img": 3})
    (merged,) = model.merge_preds([[version(None, boxes), version("horizontal", boxes + 0.0)]])
    torch.testing.assert_close(merged.pred_instances.bboxes, boxes[:3])
    assert (merged.pred_instances.scores.diff() < 0).all()


@pytest.mark.parametrize("name", ["mask-rcnn", "retinanet"])
def test_one_version_is_as_good_as_none(name: str) -> None:
    variant = VARIANTS[name]
    model = shaken(variant.make()).eval()
    plain = model.test_step(variant.batch(2, 1))
    batch = {key: [value] for key, value in variant.batch(2, 1).items()}
    cfg = {"nms": {"type": "nms", "iou_threshold": 0.6}, "max_per_img": 20}
    merged = DetTTAModel(module=model, tta_cfg=cfg).eval().test_step(batch)
    for one, other in zip(plain, merged, strict=True):
        assert len(one.pred_instances) > 0
        for field in ("bboxes", "scores", "labels", *(["masks"] if variant.masks else [])):
            assert torch.equal(one.pred_instances[field], other.pred_instances[field]), field


def test_a_flipped_version_finds_the_flipped_image_s_objects() -> None:
    variant = VARIANTS["retinanet"]
    model = shaken(variant.make()).eval()

    def batch(*, flipped: bool) -> dict[str, Any]:
        made = variant.batch(2, 1, sizes=((64, 64), (64, 64)))
        if flipped:
            made["inputs"] = [one.flip(-1) for one in made["inputs"]]
            for sample in made["data_samples"]:
                sample.set_metainfo({"flip": True, "flip_direction": "horizontal"})
        return made

    alone = model.test_step(batch(flipped=True))[0].pred_instances
    tta = DetTTAModel(module=model, tta_cfg={**LOOSE, "max_per_img": -1})
    (first, _) = tta.test_step({key: [value] for key, value in batch(flipped=True).items()})
    w = first.ori_shape[1]
    turned = torch.stack([w - alone.bboxes[:, 2], alone.bboxes[:, 1], w - alone.bboxes[:, 0], alone.bboxes[:, 3]], 1)
    torch.testing.assert_close(first.pred_instances.bboxes, turned)
