"""COCO's numbers: against pycocotools on the written results, by hand, and in odd cases."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.det.metrics.samples import CATEGORY_IDS, CLASSES, IMAGE_IDS, random_images, write_truth
from visuite.det.metrics import CocoMetric
from visuite.engine.evaluator import Evaluator

META = {"classes": CLASSES}
PRECISIONS = ("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l")
NAMES = (*PRECISIONS, "AR@1", "AR@10", "AR@100", "AR_s@100", "AR_m@100", "AR_l@100")
BACKENDS = ["pycocotools", "hotcoco", "faster_coco_eval"]


def measure(samples, *, meta=META, batch: int = 3, **kwargs) -> dict[str, Any]:
    evaluator = Evaluator(CocoMetric(**kwargs))
    evaluator.dataset_meta = meta
    for start in range(0, len(samples), batch):
        evaluator.process(samples[start : start + batch])
    return evaluator.evaluate(len(samples))


def reference(truth: Path, results: Path, kind: str, *, use_classes: bool = True) -> np.ndarray:
    """Return what pycocotools says to a file of results."""
    with contextlib.redirect_stdout(io.StringIO()):
        objects = COCO(str(truth))
        entries = json.loads(results.read_text())
        if kind == "segm":  # pycocotools would take areas from boxes
            entries = [{key: value for key, value in one.items() if key != "bbox"} for one in entries]
        evaluation = COCOeval(objects, objects.loadRes(entries), kind)
        evaluation.params.useCats = int(use_classes)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_the_numbers_are_those_of_pycocotools(tmp_path, kind, backend):
    pytest.importorskip(backend)
    samples = random_images(1, detections=40, masks=kind == "segm")  # some functions of pycocotools take 255 masks
    truth = write_truth(tmp_path / "ann.json", samples)
    common = dict(metric=kind, proposal_nums=(1, 10, 100), metric_items=NAMES, backend=backend)
    found = measure(samples, ann_file=str(truth), outfile_prefix=str(tmp_path / "out"), **common)
    wanted = reference(truth, tmp_path / f"out.{kind}.json", kind)
    np.testing.assert_allclose([found[f"coco/{kind}_{name}"] for name in NAMES], wanted, rtol=0, atol=1e-12)
    assert 0.05 < found[f"coco/{kind}_mAP"] < 0.9
    # The same without a file, from the objects in the samples, in another order of images.
    assert measure(samples[::-1], **common) == pytest.approx(found, abs=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_proposals_are_found_whatever_their_class(tmp_path, backend):
    pytest.importorskip(backend)
    samples = random_images(2)
    truth = write_truth(tmp_path / "ann.json", samples)
    for sample in samples:
        sample["pred_instances"]["labels"] = torch.zeros_like(sample["pred_instances"]["labels"])
    found = measure(
        samples, ann_file=str(truth), metric="proposal", proposal_nums=(1, 10, 100), backend=backend,
        outfile_prefix=str(tmp_path / "out"),
    )  # fmt: skip
    assert list(found) == [f"coco/{name}" for name in NAMES[6:]]
    wanted = reference(truth, tmp_path / "out.bbox.json", "bbox", use_classes=False)[6:]
    np.testing.assert_allclose(list(found.values()), wanted, rtol=0, atol=1e-12)


def test_classes_in_any_order_and_number(tmp_path):
    samples = random_images(3)
    truth = write_truth(tmp_path / "ann.json", samples)
    whole = measure(samples, ann_file=str(truth), classwise=True)
    turned = ("bird", "cat", "dog")
    renumber = torch.tensor([turned.index(name) for name in CLASSES])
    other = copy.deepcopy(samples)
    for sample in other:
        sample["pred_instances"]["labels"] = renumber[sample["pred_instances"]["labels"]]
    found = measure(other, ann_file=str(truth), classwise=True, meta={"classes": turned})
    assert found == pytest.approx(whole, abs=1e-12)
    assert whole["coco/bbox_mAP"] == pytest.approx(np.mean([whole[f"coco/{name}_precision"] for name in CLASSES]))
    for sample in other:
        keep = sample["pred_instances"]["labels"] == 0
        sample["pred_instances"] = {key: value[keep] for key, value in sample["pred_instances"].items()}
    birds = measure(other, ann_file=str(truth), meta={"classes": ("bird",)})
    assert birds["coco/bbox_mAP"] == pytest.approx(whole["coco/bird_precision"], abs=1e-12)


def image(number: int, found: list[tuple], objects: list[tuple], ignored: list[tuple] = ()) -> dict[str, Any]:
    """A sample from (box, label, score) and (box, label)."""

    def part(rows, keys):
        columns = list(zip(*rows, strict=True)) or [[] for _ in keys]
        kinds = {"bboxes": torch.float64, "labels": torch.long, "scores": torch.float64}
        made = {key: torch.tensor(column, dtype=kinds[key]) for key, column in zip(keys, columns, strict=True)}
        return {**made, "bboxes": made["bboxes"].reshape(-1, 4)}

    return {
        "img_id": number,
        "ori_shape": (100, 100),
        "pred_instances": part(found, ("bboxes", "labels", "scores")),
        "gt_instances": part(objects, ("bboxes", "labels")),
        "ignored_instances": part(ignored, ("bboxes", "labels")),
    }


def test_by_hand():
    # Detections by score: right, wrong, right; of two objects. Precision at recall to 0.5: 1; to 1: 2/3.
    right, wrong, other = (10, 10, 50, 50), (60, 60, 90, 90), (5, 60, 45, 95)
    samples = [
        image(1, [(right, 0, 0.9), (wrong, 0, 0.8)], [(right, 0)]),
        image(2, [(other, 0, 0.7)], [(other, 0)]),
    ]
    found = measure(samples, meta={"classes": ("cat",)}, classwise=True)
    by_hand = (51 * 1 + 50 * 2 / 3) / 101
    assert found["coco/bbox_mAP"] == found["coco/cat_precision"] == pytest.approx(by_hand, abs=1e-12)
    # A detection with IoU 0.6 counts at 0.5, 0.55 and 0.6.
    less = (10, 10, 50, 34)  # 24 of 40 rows
    found = measure([image(1, [(less, 0, 0.9)], [(right, 0)])], meta={"classes": ("cat",)})
    assert found["coco/bbox_mAP"] == pytest.approx(0.3, abs=1e-12)
    assert list(found.values()) == pytest.approx([0.3, 1, 0, -1, 0.3, -1])


def test_crowds_are_neither_found_nor_missed():
    box, crowd = (10, 10, 30, 30), (40, 40, 99, 99)
    inside = [((45, 45, 60, 60), 0, 0.99), ((70, 70, 90, 90), 0, 0.98)]
    sample = image(1, [*inside, (box, 0, 0.5)], [(box, 0)], [(crowd, 0)])
    assert measure([sample], meta={"classes": ("cat",)})["coco/bbox_mAP"] == pytest.approx(1)
    plain = image(1, [*inside, (box, 0, 0.5)], [(box, 0)])
    assert measure([plain], meta={"classes": ("cat",)})["coco/bbox_mAP"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_found_and_nothing_to_find(tmp_path, backend):
    pytest.importorskip(backend)
    box = (10, 10, 50, 50)
    common = dict(meta={"classes": CLASSES}, backend=backend, classwise=True)
    blind = measure([image(1, [], [(box, 0)])], **common)
    assert (blind["coco/bbox_mAP"], blind["coco/cat_precision"]) == (0, 0)
    assert math.isnan(blind["coco/dog_precision"])
    idle = measure([image(1, [(box, 0, 0.9)], [])], **common)
    assert idle["coco/bbox_mAP"] == -1
    nothing = measure([image(1, [], []), image(2, [], [])], metric=["bbox", "proposal"], **common)
    assert nothing["coco/bbox_mAP"] == nothing["coco/AR@100"] == -1
    truth = write_truth(tmp_path / "ann.json", random_images(0))
    assert measure([], ann_file=str(truth), backend=backend)["coco/bbox_mAP"] == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_masks_found(backend):
    pytest.importorskip(backend)
    samples = random_images(1, masks=True)
    for sample in samples:
        sample["pred_instances"] = {key: value[:0] for key, value in sample["pred_instances"].items()}
    assert measure(samples, metric="segm", backend=backend)["coco/segm_mAP"] == 0


def test_masks_as_run_lengths_and_scores_of_their_own(tmp_path):
    samples = random_images(4, masks=True)
    plain = measure(samples, metric=["bbox", "segm"], classwise=True)
    assert {"coco/cat_precision", "coco/segm_cat_precision"} <= set(plain)
    from pycocotools import mask as mask_api

    encoded = copy.deepcopy(samples)
    for sample in encoded:
        masks = sample["pred_instances"]["masks"].numpy().astype(np.uint8)
        sample["pred_instances"]["masks"] = [mask_api.encode(np.asfortranarray(mask)) for mask in masks]
    assert measure(encoded, metric=["bbox", "segm"], classwise=True) == plain
    for sample in encoded:
        sample["pred_instances"]["mask_scores"] = 1 - sample["pred_instances"]["scores"]
    turned = measure(encoded, metric=["bbox", "segm"])
    assert turned["coco/bbox_mAP"] == plain["coco/bbox_mAP"]
    assert turned["coco/segm_mAP"] < plain["coco/segm_mAP"]


def test_objects_as_records(tmp_path):
    samples = random_images(5, masks=True)
    plain = measure(samples, metric=["bbox", "segm"])
    from pycocotools import mask as mask_api

    for sample in samples:
        records = []
        for flag, key in enumerate(("gt_instances", "ignored_instances")):
            objects = sample.pop(key)
            for box, label, mask in zip(objects["bboxes"], objects["labels"], objects["masks"], strict=True):
                rle = mask_api.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))
                records.append(dict(bbox=box.tolist(), bbox_label=int(label), ignore_flag=flag, mask=rle))
        sample["instances"] = records
    assert measure(samples, metric=["bbox", "segm"]) == plain
    del samples[0]["instances"]
    with pytest.raises(KeyError, match="image 7 has neither 'gt_instances' nor 'instances'"):
        measure(samples)


def test_polygons_and_lists_of_counts(tmp_path):
    samples = random_images(6, masks=True)
    truth = write_truth(tmp_path / "ann.json", samples)
    content = json.loads(truth.read_text())
    for number, one in enumerate(content["annotations"]):
        x, y, w, h = one["bbox"]
        if one["iscrowd"]:
            one["segmentation"] = {"size": [120, 160], "counts": [100, 500, 120 * 160 - 600]}
        elif number % 2:
            one["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    truth.write_text(json.dumps(content))
    found = {}
    for backend in ("pycocotools", "hotcoco"):
        pytest.importorskip(backend)
        found[backend] = measure(samples, ann_file=str(truth), metric="segm", backend=backend)
    assert found["hotcoco"] == pytest.approx(found["pycocotools"], abs=1e-12)


def test_fast_recall_by_plain_loops():
    samples = random_images(7, detections=9)
    numbers, thresholds = (3, 9), (0.5, 0.6, 0.7)
    found = measure(samples, metric="proposal_fast", proposal_nums=numbers, iou_thrs=thresholds)
    for number in numbers:
        hits, objects = dict.fromkeys(thresholds, 0), 0
        for sample in samples:
            boxes = sample["gt_instances"]["bboxes"].tolist()
            scores = sample["pred_instances"]["scores"].tolist()
            order = sorted(range(len(scores)), key=lambda i: -scores[i])
            proposals = sample["pred_instances"]["bboxes"][order[:number]].tolist()
            objects += len(boxes)
            pairs = [(iou(p, b), i, j) for i, p in enumerate(proposals) for j, b in enumerate(boxes)]
            used: tuple[set, set] = (set(), set())
            for overlap, i, j in sorted(pairs, reverse=True):
                if i not in used[0] and j not in used[1]:
                    used[0].add(i), used[1].add(j)
                    for thr in thresholds:
                        hits[thr] += overlap >= thr
        wanted = np.mean([hits[thr] / objects for thr in thresholds])
        assert found[f"coco/AR@{number}"] == pytest.approx(wanted, abs=1e-9)


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0) * max(height, 0)
    areas = [(one[2] - one[0]) * (one[3] - one[1]) for one in (a, b)]
    return inter / (sum(areas) - inter)


def test_limits_thresholds_and_items():
    samples = random_images(8)
    assert list(measure(samples, proposal_nums=[300])) == [f"coco/bbox_{name}" for name in NAMES[:6]]
    one = measure(samples, iou_thrs=0.5, proposal_nums=(100, 1, 10))
    assert set(one) == {"coco/bbox_mAP", "coco/bbox_mAP_50", "coco/bbox_mAP_s", "coco/bbox_mAP_m", "coco/bbox_mAP_l"}
    assert one["coco/bbox_mAP"] == one["coco/bbox_mAP_50"]
    assert list(measure(samples, metric_items=["AR@300", "mAP_75"])) == ["coco/bbox_AR@300", "coco/bbox_mAP_75"]
    assert list(measure(samples, metric_items=["mAP"], prefix="val")) == ["val/bbox_mAP"]
    with pytest.raises(ValueError, match=r"metric_items has 'mAP_5'.*did you mean"):
        CocoMetric(metric_items=["mAP_5"])
    with pytest.raises(ValueError, match="metric_items has 'mAP_75'"):
        CocoMetric(metric_items=["mAP_75"], iou_thrs=[0.5])


def test_written_results_bear_the_ids_of_the_file(tmp_path):
    samples = random_images(9, masks=True)
    truth = write_truth(tmp_path / "ann.json", samples)
    prefix = str(tmp_path / "new" / "out")
    assert measure(samples, ann_file=str(truth), metric=["bbox", "segm"], format_only=True, outfile_prefix=prefix) == {}
    boxes, masks = (json.loads((tmp_path / "new" / f"out.{kind}.json").read_text()) for kind in ("bbox", "segm"))
    assert len(boxes) == len(masks) == 12 * (len(IMAGE_IDS) - 1)
    first = samples[0]["pred_instances"]
    x1, y1, x2, y2 = first["bboxes"][0].double().tolist()
    assert boxes[0] == {
        "image_id": 7, "category_id": CATEGORY_IDS[CLASSES[first["labels"][0]]], "bbox": [x1, y1, x2 - x1, y2 - y1],
        "score": float(first["scores"][0]),
    }  # fmt: skip
    with pytest.raises(ValueError, match="needs outfile_prefix"):
        CocoMetric(format_only=True)


def test_faults(tmp_path):
    samples = random_images(0)
    truth = str(write_truth(tmp_path / "ann.json", samples))
    with pytest.raises(FileNotFoundError, match=r"no ann_file .*nan\.json"):
        CocoMetric(ann_file=str(tmp_path / "nan.json"))
    with pytest.raises(ValueError, match="no metric 'box'; did you mean 'bbox'"):
        CocoMetric(metric="box")
    with pytest.raises(ValueError, match="no backend is called 'hotcco'"):
        CocoMetric(backend="hotcco")
    with pytest.raises(ValueError, match=r"no categories for 1 classes: zebra"):
        measure(samples, ann_file=truth, meta={"classes": ("zebra",)})
    strange = [*samples, {**samples[0], "img_id": 77}]
    with pytest.raises(ValueError, match=r"1 of 11 images, such as 77, are not in the annotations"):
        measure(strange, ann_file=truth)
    with pytest.raises(ValueError, match="image 7 was tested more than once"):
        measure([*samples, samples[0]], ann_file=truth)
    with pytest.raises(ValueError, match="the label 2 among 2 classes"):
        measure(samples, ann_file=truth, meta={"classes": CLASSES[:2]})
    with pytest.raises(KeyError, match="pred_instances of the sample of image 7 has no 'masks'"):
        measure(samples, metric="segm")
    with pytest.raises(KeyError, match="has no 'ori_shape'"):
        measure([{key: value for key, value in samples[0].items() if key != "ori_shape"}])


def test_images_that_were_not_tested_are_told(tmp_path, capsys):
    samples = random_images(0)
    truth = str(write_truth(tmp_path / "ann.json", samples))
    whole = measure(samples, ann_file=truth)
    part = measure(samples[:5], ann_file=truth)
    assert part["coco/bbox_mAP"] < whole["coco/bbox_mAP"]
    assert "5 of 10 annotated images were not tested" in capsys.readouterr().out


def test_of_a_chosen_part_of_the_data_only_the_chosen_count(tmp_path, capsys):
    """As with `indices` in a config: no other image's objects are missed, from one validation to the next."""
    samples = random_images(0)
    metric = CocoMetric(ann_file=str(write_truth(tmp_path / "ann.json", samples)))
    metric.dataset_meta, metric.part_of_data = {"classes": CLASSES}, True
    for part in (samples[:5], samples[3:], samples[:5]):
        metric.process(None, part)
        alone = str(write_truth(tmp_path / "part.json", part))
        assert metric.evaluate(len(part)) == measure(part, ann_file=alone)
    assert "not tested" not in capsys.readouterr().out


def test_what_is_kept_of_an_image_is_small():
    """A thousand detections take a few flat arrays, not a thousand objects."""
    import pickle

    metric = CocoMetric()
    sample = random_images(0, detections=1000)[0]
    metric.process(None, [sample])
    [entry] = metric.results
    assert all(isinstance(part, np.ndarray) for part in entry.found[:3])
    assert len(pickle.dumps(entry)) < 1000 * (4 * 4 + 4 + 4) + 2500
