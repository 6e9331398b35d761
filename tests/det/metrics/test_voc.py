"""Pascal VOC's numbers: by hand, and against the definition written as plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from tests.det.metrics.samples import CLASSES, random_images
from tests.det.metrics.test_coco import image
from visuite.det.metrics import VOCMetric
from visuite.det.metrics.average_precision import average_precision, precision_recall
from visuite.engine.evaluator import Evaluator


def measure(samples, *, classes=CLASSES, meta=None, **kwargs):
    evaluator = Evaluator(VOCMetric(**kwargs))
    evaluator.dataset_meta = {"classes": classes, **(meta or {})}
    for sample in samples:
        evaluator.process([sample])
    return evaluator.evaluate(len(samples))


# ---------------------------------------------------------------------- the definition, as loops


def overlap(a, b):
    """IoU of boxes whose corners name the last pixels inside."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(one[2] - one[0] + 1) * (one[3] - one[1] + 1) for one in (a, b)]
    return width * height / (sum(areas) - width * height)


def precision_of_class(samples, label, threshold, mode):
    found, objects, wanted = [], {}, 0
    for number, sample in enumerate(samples):
        given = sample["pred_instances"]
        for box, kind, score in zip(given["bboxes"], given["labels"], given["scores"], strict=True):
            if kind == label:
                found.append((float(score), number, [float(x) for x in box]))
        objects[number] = []
        for hard, key in enumerate(("gt_instances", "ignored_instances")):
            for box, kind in zip(sample[key]["bboxes"], sample[key]["labels"], strict=True):
                if kind == label:
                    objects[number].append({"box": [float(x) for x in box], "hard": hard, "taken": False})
                    wanted += 1 - hard
    found.sort(key=lambda one: -one[0])
    right = wrong = 0
    recall, precision = [], []
    for _, number, box in found:
        best = max(objects[number], key=lambda one: overlap(box, one["box"]), default=None)
        if best is not None and overlap(box, best["box"]) >= threshold:
            if best["hard"]:
                continue
            right, wrong = (right, wrong + 1) if best["taken"] else (right + 1, wrong)
            best["taken"] = True
        else:
            wrong += 1
        recall.append(right / wanted if wanted else 0)
        precision.append(right / (right + wrong))
    if not wanted:
        return None
    if mode == "11points":
        return sum(
            max((p for r, p in zip(recall, precision, strict=True) if r * 10 >= tenth - 1e-9), default=0)
            for tenth in range(11)
        ) / 11  # fmt: skip
    area, before = 0.0, 0.0
    for place, r in enumerate(recall):
        area += (r - before) * max(precision[place:])
        before = r
    return area


@pytest.mark.parametrize("mode", ["11points", "area"])
def test_the_numbers_are_those_of_the_definition(mode):
    samples = [one for seed in range(3) for one in random_images(seed, crowds=0.3)]
    thresholds = [0.5, 0.7]
    found = measure(samples, eval_mode=mode, iou_thrs=thresholds)
    means = []
    for threshold in thresholds:
        each = [precision_of_class(samples, label, threshold, mode) for label in range(len(CLASSES))]
        means.append(np.mean([one for one in each if one is not None]))
        assert found[f"pascal_voc/AP{round(threshold * 100)}"] == pytest.approx(means[-1], abs=1e-9)
    assert found["pascal_voc/mAP"] == pytest.approx(np.mean(means), abs=1e-9)
    assert 0.1 < found["pascal_voc/mAP"] < 0.9


def test_by_hand():
    box, other, wrong = (0, 0, 9, 9), (20, 20, 29, 29), (50, 50, 59, 59)
    samples = [
        image(1, [(box, 0, 0.9), (wrong, 0, 0.8), (other, 0, 0.7), (box, 0, 0.6)], [(box, 0), (other, 0)]),
        image(2, [], [(box, 0), (other, 1)]),
    ]
    # Class 0 has 3 objects: recall 1/3, 1/3, 2/3, 2/3 at precision 1, 1/2, 2/3, 1/2; class 1 is never found.
    assert measure(samples, eval_mode="area")["pascal_voc/mAP"] == pytest.approx((1 / 3 + 1 / 3 * 2 / 3) / 2)
    assert measure(samples)["pascal_voc/AP50"] == pytest.approx((4 * 1 + 3 * 2 / 3) / 11 / 2)


def test_a_pixel_decides():
    # Ten pixels against five: 9 to 4 by the difference of corners, below one half; 10 to 5 in pixels.
    samples = [image(1, [((0, 0, 9, 4), 0, 0.9)], [((0, 0, 9, 9), 0)])]
    assert measure(samples)["pascal_voc/mAP"] == pytest.approx(1)
    assert measure(samples, iou_thrs=0.51)["pascal_voc/AP51"] == 0


def test_difficult_objects_are_neither_found_nor_missed():
    box, hard = (0, 0, 9, 9), (20, 20, 29, 29)
    sample = image(1, [(hard, 0, 0.9), (hard, 0, 0.8), (box, 0, 0.7)], [(box, 0)], [(hard, 0)])
    assert measure([sample], eval_mode="area")["pascal_voc/mAP"] == 1
    assert measure([sample], metric="recall")["pascal_voc/recall@100@0.5"] == 1


def test_curves():
    recall, precision = precision_recall(np.array([True, False, True, False]), 4)
    assert recall.tolist() == [0.25, 0.25, 0.5, 0.5]
    assert precision.tolist() == [1, 0.5, 2 / 3, 0.5]
    assert average_precision(recall, precision) == pytest.approx(0.25 + 0.25 * 2 / 3)
    assert average_precision(np.array([0.3]), np.array([1.0]), "11points") == pytest.approx(4 / 11)
    empty = precision_recall(np.zeros(0, bool), 0)
    assert average_precision(*empty) == average_precision(*empty, "11points") == 0
    with pytest.raises(ValueError, match="not '11point'; did you mean '11points'"):
        average_precision(*empty, "11point")


def test_recall_at_limits():
    samples = random_images(3, detections=9)
    found = measure(samples, metric="recall", proposal_nums=(2, 9), iou_thrs=[0.5, 0.7])
    assert list(found) == [
        "pascal_voc/recall@2@0.5", "pascal_voc/recall@2@0.7", "pascal_voc/AR@2",
        "pascal_voc/recall@9@0.5", "pascal_voc/recall@9@0.7", "pascal_voc/AR@9",
    ]  # fmt: skip
    values = [found[name] for name in found]
    assert values[2] == pytest.approx((values[0] + values[1]) / 2)
    assert values[0] <= values[3]
    one = image(1, [((0, 0, 9, 9), 0, 0.2), ((20, 20, 29, 29), 0, 0.9)], [((0, 0, 9, 9), 0)])
    assert measure([one], metric="recall", proposal_nums=(1, 2)) == {
        "pascal_voc/recall@1@0.5": 0, "pascal_voc/recall@2@0.5": 1
    }  # fmt: skip


def test_nothing_found_and_nothing_to_find():
    box = (10, 10, 50, 50)
    assert measure([image(1, [], [(box, 0)])])["pascal_voc/mAP"] == 0
    assert measure([image(1, [(box, 0, 0.9)], [])])["pascal_voc/mAP"] == 0
    assert measure([image(1, [], [])])["pascal_voc/mAP"] == 0
    assert measure([image(1, [], [])], metric="recall")["pascal_voc/recall@100@0.5"] == 0
    assert measure([]) == {}


def test_faults(capsys):
    with pytest.raises(ValueError, match=r"one metric of .*did you mean 'mAP'"):
        VOCMetric(metric="map")
    with pytest.raises(ValueError, match="eval_mode is one of"):
        VOCMetric(eval_mode="11")
    with pytest.raises(ValueError, match="label 2 among 2 classes"):
        measure(random_images(0), classes=CLASSES[:2])
    sample = {key: value for key, value in random_images(0)[0].items() if key != "gt_instances"}
    with pytest.raises(KeyError, match="neither 'gt_instances' nor 'instances'"):
        measure([sample])
    measure(random_images(0), eval_mode="area", meta={"dataset_type": "VOC2007"})
    assert "VOC 2007 is measured with eval_mode='11points'" in capsys.readouterr().out
