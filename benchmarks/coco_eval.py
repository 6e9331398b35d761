#!/usr/bin/env python
"""What COCO's evaluation costs: `CocoMetric` against pycocotools, on the same synthetic images, in one run.

    python benchmarks/coco_eval.py [--images 5000] [--detections 100] [--masks] [--backend auto]

Both get the predictions of a model, image after image, and end with COCO's twelve numbers, which have to be equal to
1e-12. What pycocotools gets is built as evaluation scripts build it: a list of dicts.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import logging
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pycocotools import mask as mask_api
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from visuite.det.metrics import CocoMetric
from visuite.engine.fileio import dump
from visuite.engine.logging import MMLogger
from visuite.engine.utils.table import text_table

WIDTH, HEIGHT, CLASSES = 640, 480, 80
LIMITS = (1, 10, 100)
NAMES = (
    "mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l",
    "AR@1", "AR@10", "AR@100", "AR_s@100", "AR_m@100", "AR_l@100",
)  # fmt: skip


def draw_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return boxes (count, 4) `xywh`, as often small as large."""
    sides = np.exp(rng.uniform(np.log(6), np.log(300), (count, 2)))
    return np.concatenate([rng.random((count, 2)) * (WIDTH, HEIGHT) * 0.6, sides], axis=1)


def draw_mask(box: np.ndarray) -> dict[str, Any]:
    """Return the run lengths of an octagon in a box."""
    x, y, w, h = box
    corners = [(0.3, 0), (0.7, 0), (1, 0.3), (1, 0.7), (0.7, 1), (0.3, 1), (0, 0.7), (0, 0.3)]
    points = [value for u, v in corners for value in (x + u * w, y + v * h)]
    return mask_api.frPyObjects([points], HEIGHT, WIDTH)[0]


def make_data(images: int, detections: int, *, masks: bool) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the content of an annotation file, and the data samples of a model that is fairly good."""
    rng = np.random.default_rng(0)
    annotations: list[dict[str, Any]] = []
    samples = []
    for number in range(1, images + 1):
        count = int(rng.integers(1, 14))
        boxes, labels = draw_boxes(rng, count), rng.integers(1, CLASSES + 1, count)
        for box, label in zip(boxes, labels, strict=True):
            one = {
                "id": len(annotations) + 1, "image_id": number, "category_id": int(label), "bbox": box.tolist(),
                "area": float(box[2] * box[3] * 0.8), "iscrowd": int(rng.random() < 0.02),
            }  # fmt: skip
            if masks:
                rle = draw_mask(box)
                one["segmentation"] = {"size": rle["size"], "counts": rle["counts"].decode()}
            annotations.append(one)
        near = rng.integers(0, count, detections)
        found = boxes[near] + rng.normal(0, 5, (detections, 4))
        found[:, 2:] = np.maximum(found[:, 2:], 2)
        guessed = np.where(rng.random(detections) < 0.8, labels[near], rng.integers(1, CLASSES + 1, detections)) - 1
        corners = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], axis=1)
        instances: dict[str, Any] = {
            "bboxes": torch.tensor(corners, dtype=torch.float32),
            "scores": torch.tensor(rng.random(detections), dtype=torch.float32),
            "labels": torch.tensor(guessed),
        }
        if masks:
            instances["masks"] = [draw_mask(box) for box in found]
        samples.append({"img_id": number, "ori_shape": (HEIGHT, WIDTH), "pred_instances": instances})
    content = {
        "images": [{"id": number, "width": WIDTH, "height": HEIGHT} for number in range(1, images + 1)],
        "annotations": annotations,
        "categories": [{"id": number, "name": f"class {number}"} for number in range(1, CLASSES + 1)],
    }
    return content, samples


def run_pycocotools(path: str, samples: list[dict[str, Any]], kind: str) -> np.ndarray:
    """Evaluate as scripts around pycocotools do; return its twelve numbers."""
    results: list[dict[str, Any]] = []
    for sample in samples:
        found = sample["pred_instances"]
        scores, labels = found["scores"].tolist(), found["labels"].tolist()
        for index, (x1, y1, x2, y2) in enumerate(found["bboxes"].tolist()):
            shape = {"bbox": [x1, y1, x2 - x1, y2 - y1]} if kind == "bbox" else {"segmentation": found["masks"][index]}
            one = {"image_id": sample["img_id"], "category_id": labels[index] + 1, "score": scores[index]}
            results.append({**one, **copy.copy(shape)})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(path)
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def run_metric(path: str, samples: list[dict[str, Any]], kind: str, backend: str) -> tuple[np.ndarray, float, str]:
    """Evaluate with `CocoMetric`; return the twelve numbers, the seconds of its second evaluation, and the library."""
    metric = CocoMetric(path, kind, proposal_nums=LIMITS, metric_items=NAMES, backend=backend)
    metric.dataset_meta = {"classes": [f"class {number}" for number in range(1, CLASSES + 1)]}
    seconds = 0.0
    for _ in range(2):  # in training, annotations are read once for many evaluations
        began = time.perf_counter()
        for start in range(0, len(samples), 16):
            metric.process(None, samples[start : start + 16])
        found = metric.evaluate(len(samples))
        seconds = time.perf_counter() - began
    return np.array([found[f"coco/{kind}_{name}"] for name in NAMES]), seconds, metric.backend


def peak() -> float:
    """Return the most memory that this process ever had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> int:
    """Measure, and print a table; the exit code is 1 where the numbers differ."""
    parser = argparse.ArgumentParser(description="CocoMetric against pycocotools.")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--detections", type=int, default=100, help="in each image")
    parser.add_argument("--masks", action="store_true", help="compare masks in place of boxes")
    parser.add_argument("--backend", default="auto", help="that of CocoMetric: auto, hotcoco, faster_coco_eval")
    args = parser.parse_args()
    MMLogger.get_current_instance().setLevel(logging.ERROR)
    kind = "segm" if args.masks else "bbox"
    content, samples = make_data(args.images, args.detections, masks=args.masks)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "annotations.json"))
        dump(content, path)
        before = peak()
        began = time.perf_counter()
        ours, again, backend = run_metric(path, samples, kind, args.backend)
        first = time.perf_counter() - began - again
        memory = [peak() - before]
        began = time.perf_counter()
        theirs = run_pycocotools(path, samples, kind)
        reference = time.perf_counter() - began
        memory.append(peak() - before)
    rows = [
        ("evaluator", "seconds", "ratio", "peak, GiB"),
        ("pycocotools", f"{reference:.2f}", "1.0", f"{memory[1]:.2f}"),
        (f"CocoMetric ({backend}), first", f"{first:.2f}", f"{reference / first:.1f}", f"{memory[0]:.2f}"),
        (f"CocoMetric ({backend}), later", f"{again:.2f}", f"{reference / again:.1f}", ""),
    ]
    difference = float(np.abs(ours - theirs).max())
    print(f"{args.images} images with {args.detections} detections each, {kind}\n{text_table(rows, right={1, 2, 3})}")
    print(f"largest difference of the {len(NAMES)} numbers: {difference:.1e} (mAP {theirs[0]:.4f})")
    return int(difference > 1e-12)


if __name__ == "__main__":
    sys.exit(main())
