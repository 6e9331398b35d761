"""Contracts of heads: any number of objects, one class, half precision, both forms of samples, the bits again."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.yolo.heads.small import CHANNELS, CLASSES, META, STRIDES, build, config, features, learns, some_samples
from tests.yolo.heads.test_points import POINTS
from visuite.yolo.heads.truth import batch_truth

P6 = {"main_out_channels": (8, 16), "aux_out_channels": (16, 24)}


def yolox(classes: int) -> dict[str, Any]:
    module = {"type": "YOLOXHeadModule", "num_classes": classes, "in_channels": CHANNELS, "featmap_strides": STRIDES}
    return {
        "type": "YOLOXHead",
        "head_module": {**module, "feat_channels": 8, "stacked_convs": 1},
        "prior_generator": {"type": "det.MlvlPointGenerator", "offset": 0, "strides": list(STRIDES)},
        "train_cfg": {"assigner": {"type": "det.SimOTAAssigner", "center_radius": 2.5}},
        "test_cfg": {"nms": {"type": "nms", "iou_threshold": 0.65}, "score_thr": 0.001, "yolox_style": True},
    }


HEADS: dict[str, Any] = {
    "yolov5": lambda classes: config("YOLOv5Head", classes=classes),
    "yolov5_ins": lambda classes: config(
        "YOLOv5InsHead", classes=classes, head_module={"mask_channels": 4, "proto_channels": 8}
    ),
    "yolov7": lambda classes: config("YOLOv7Head", classes=classes),
    "yolov7_p6": lambda classes: config("YOLOv7Head", module="YOLOv7p6HeadModule", classes=classes, head_module=P6),
    "yolox": yolox,
    **{name: POINTS[name] for name in ("yolov6", "yolov6_dfl", "yolov8", "ppyoloe")},
}


@pytest.fixture(params=HEADS)
def make(request: pytest.FixtureRequest) -> Any:
    return lambda classes=CLASSES: build(HEADS[request.param](classes))


@pytest.mark.parametrize("counts", [(3, 2), (3, 0), (0, 0)], ids=["some", "none-in-one", "none"])
def test_learns_from_any_number_of_objects(make: Any, counts: tuple[int, int]) -> None:
    losses = learns(make(), some_samples(counts))
    of_background = "loss_obj" if "loss_obj" in losses else "loss_cls"
    assert {"loss_cls", "loss_bbox", of_background} <= set(losses)
    if not any(counts):
        assert all(losses[name] == 0 for name in losses if name != of_background)
    assert losses[of_background] > 0


def test_learns_from_a_thousand_objects(make: Any) -> None:
    learns(make(), some_samples((1000, 1)))


@pytest.mark.parametrize("counts", [(3, 2), (0, 0)], ids=["some", "none"])
def test_one_class(make: Any, counts: tuple[int, int]) -> None:
    learns(make(1), some_samples(counts, classes=1))
    found = make(1).eval().predict(features(), some_samples(counts, classes=1))
    assert all((one.labels == 0).all() for one in found)


@pytest.mark.parametrize("counts", [(3, 2), (0, 0)], ids=["some", "none"])
def test_half_precision(make: Any, counts: tuple[int, int]) -> None:
    full = learns(make(), some_samples(counts))
    with torch.autocast("cpu", torch.bfloat16):
        half = learns(make(), some_samples(counts))
    for name, loss in full.items():
        torch.testing.assert_close(half[name], loss, rtol=0.1, atol=0.02)


def test_both_forms_of_samples(make: Any) -> None:
    samples, head = some_samples((3, 2)), make().train()
    truth = batch_truth(samples, torch.device("cpu"), with_masks=True)
    collated = {"bboxes_labels": truth.rows, "img_metas": [META, META], "masks": truth.masks}
    for name, loss in head.loss(features(), samples).items():
        assert torch.equal(head.loss(features(), collated)[name], loss)


def test_repeats_itself(make: Any) -> None:
    one, other = (learns(make(), some_samples((40, 2))) for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_stands_beside_an_image_does_not_matter(make: Any) -> None:
    head, feats, samples = make().eval(), features(), some_samples((1, 1))
    both = head.predict(feats, samples)
    for index in range(2):
        (alone,) = head.predict([one[index : index + 1] for one in feats], samples[:1])
        torch.testing.assert_close(alone.scores, both[index].scores)
        torch.testing.assert_close(alone.bboxes, both[index].bboxes)


def test_state_dict_round_trip(make: Any) -> None:
    head, fresh, feats = make().eval(), make().eval(), features()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    fresh.load_state_dict(head.state_dict())
    for one, other in zip(head(feats), fresh(feats), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
