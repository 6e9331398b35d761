"""LVIS's numbers, against the definition of federated evaluation written as plain loops."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.det.metrics.samples import CATEGORY_IDS, CLASSES, random_images, write_truth
from tests.det.metrics.test_coco import iou
from visuite.det.metrics import LVISMetric
from visuite.engine.evaluator import Evaluator

FREQUENCY = {"cat": "r", "dog": "f", "bird": "f"}

hotcoco = pytest.importorskip("hotcoco")


@pytest.fixture
def data(tmp_path):
    """Samples, and an LVIS file that knows of some absent classes, and of some that are not marked completely."""
    rng = np.random.default_rng(3)
    samples = sorted(random_images(2, crowds=0, masks=True), key=lambda one: one["img_id"])  # ties go by id
    path = write_truth(tmp_path / "lvis.json", samples)
    content = json.loads(path.read_text())
    for image in content["images"]:
        there = {one["category_id"] for one in content["annotations"] if one["image_id"] == image["id"]}
        absent = [number for number in CATEGORY_IDS.values() if number not in there]
        image["neg_category_ids"] = [number for number in absent if rng.random() < 0.5]
        image["not_exhaustive_category_ids"] = [number for number in there if rng.random() < 0.4]
    for one in content["categories"]:
        one["frequency"] = FREQUENCY[one["name"]]
    path.write_text(json.dumps(content))
    return samples, path


def measure(samples, path, **kwargs):
    evaluator = Evaluator(LVISMetric(str(path), **kwargs))
    evaluator.dataset_meta = {"classes": CLASSES}
    evaluator.process(samples)
    return evaluator.evaluate(len(samples))


def precision_of_class(samples, content, label, threshold):
    """Average precision at one IoU, objects of any size."""
    number = CATEGORY_IDS[CLASSES[label]]
    facts = {image["id"]: image for image in content["images"]}
    rows, wanted = [], 0
    for sample in samples:
        image = facts[sample["img_id"]]
        objects = [
            (x, y, x + w, y + h)
            for x, y, w, h in (
                one["bbox"]
                for one in content["annotations"]
                if one["image_id"] == sample["img_id"] and one["category_id"] == number
            )
        ]
        if not objects and number not in image["neg_category_ids"]:
            continue  # nobody looked for this class here
        wanted += len(objects)
        given, free = sample["pred_instances"], list(objects)
        order = np.argsort(-given["scores"].numpy(), kind="stable")
        for index in order:
            if given["labels"][index] != label:
                continue
            box = given["bboxes"][index].double().tolist()
            best = max(free, key=lambda one: iou(box, one), default=None)
            right = best is not None and iou(box, best) >= threshold
            if right:
                free.remove(best)
            elif number in image["not_exhaustive_category_ids"]:
                continue  # it may well be an object that is not marked
            rows.append((float(given["scores"][index]), right))
    if not wanted:
        return None
    rows.sort(key=lambda one: -one[0])
    hits = np.cumsum([right for _, right in rows])
    precision = hits / np.arange(1, len(rows) + 1)
    recall = hits / wanted
    highest = [
        max((p for r, p in zip(recall, precision, strict=True) if r >= least - 1e-12), default=0)
        for least in np.linspace(0, 1, 101)
    ]
    return float(np.mean(highest))


def test_the_numbers_are_those_of_the_definition(data):
    samples, path = data
    content = json.loads(path.read_text())
    found = measure(samples, path, iou_thrs=[0.5, 0.75], classwise=True)
    table = {
        (name, threshold): precision_of_class(samples, content, label, threshold)
        for label, name in enumerate(CLASSES)
        for threshold in (0.5, 0.75)
    }
    for threshold in (0.5, 0.75):
        wanted = np.mean([table[name, threshold] for name in CLASSES])
        assert found[f"lvis/bbox_AP{round(threshold * 100)}"] == pytest.approx(wanted, abs=1e-9)
    each = {name: np.mean([table[name, threshold] for threshold in (0.5, 0.75)]) for name in CLASSES}
    for name in CLASSES:
        assert found[f"lvis/{name}_precision"] == pytest.approx(each[name], abs=1e-9)
    assert found["lvis/bbox_APr"] == pytest.approx(each["cat"], abs=1e-9)
    assert found["lvis/bbox_APf"] == pytest.approx((each["dog"] + each["bird"]) / 2, abs=1e-9)
    assert (found["lvis/bbox_APc"], 0 < found["lvis/bbox_AP"] < 1) == (-1, True)
    # What nobody looked for makes a difference: the same file, complete, gives other numbers.
    for image in content["images"]:
        image.update(neg_category_ids=list(CATEGORY_IDS.values()), not_exhaustive_category_ids=[])
    path.write_text(json.dumps(content))
    assert measure(samples, path)["lvis/bbox_AP50"] < found["lvis/bbox_AP50"]


def test_boxes_and_masks(data):
    found = measure(*data, metric=["bbox", "segm"])
    names = ["AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf"]
    assert list(found) == [f"lvis/{kind}_{name}" for kind in ("bbox", "segm") for name in names]
    assert list(measure(*data, metric_items=["APr"])) == ["lvis/bbox_APr"]
    assert not any(map(math.isnan, found.values()))


def test_three_hundred_detections_of_an_image_count(data):
    samples, path = data
    plain = measure(samples, path)
    crowded = []
    for sample in samples:
        given = sample["pred_instances"]
        weak = {key: value.repeat(40, *[1] * (value.ndim - 1)) for key, value in given.items() if key != "masks"}
        weak["scores"] = weak["scores"] * 1e-3
        both = {key: np.concatenate([given[key].numpy(), weak[key].numpy()]) for key in weak}
        crowded.append({**sample, "pred_instances": both})
    assert len(crowded[0]["pred_instances"]["scores"]) > 300
    found = measure(crowded, path)
    assert found["lvis/bbox_AP"] <= plain["lvis/bbox_AP"] + 1e-12  # no duplicate is right
    strong = [
        {**one, "pred_instances": {key: value[:300] for key, value in one["pred_instances"].items()}} for one in crowded
    ]
    assert measure(strong, path) == found


def test_faults(data, monkeypatch):
    _, path = data
    with pytest.raises(ValueError, match="LVISMetric has no metric 'proposal'"):
        LVISMetric(str(path), "proposal")
    with pytest.raises(ValueError, match="metric_items has 'mAP', which LVIS does not have"):
        LVISMetric(str(path), metric_items=["mAP"])
    with pytest.raises(FileNotFoundError, match="no ann_file"):
        LVISMetric("nan.json")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"visuite-det\[fast-eval\]"):
        LVISMetric(str(path))
