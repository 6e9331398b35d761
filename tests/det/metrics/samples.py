"""Random detections and objects for tests of metrics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

HEIGHT, WIDTH = 120, 160
CLASSES = ("cat", "dog", "bird")
#: Ids in the annotation file, neither in order nor without gaps.
CATEGORY_IDS = {"cat": 17, "dog": 3, "bird": 90}
#: Image ids likewise.
IMAGE_IDS = [7, 3, 1000, 42, 5, 8, 250, 9, 11, 13]


def ellipse(box: np.ndarray) -> np.ndarray:
    """Return a mask (H, W) of the ellipse in a box `xyxy`."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    center, radius = (box[:2] + box[2:]) / 2, np.maximum((box[2:] - box[:2]) / 2, 0.7)
    return ((x - center[0]) / radius[0]) ** 2 + ((y - center[1]) / radius[1]) ** 2 <= 1


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner = rng.random((count, 2)) * (WIDTH - 60, HEIGHT - 60)
    return np.concatenate([corner, corner + rng.choice([8, 25, 100], (count, 1)) * rng.uniform(0.4, 1, (count, 2))], 1)


def random_images(
    seed: int = 0, *, detections: int = 12, crowds: float = 0.1, masks: bool = False
) -> list[dict[str, Any]]:
    """Return data samples as an evaluator hands them to metrics; some images have no objects, some no detections."""
    rng = np.random.default_rng(seed)
    samples = []
    for place, image in enumerate(IMAGE_IDS):
        count = 0 if place == 4 else int(rng.integers(1, 7))
        boxes, labels = random_boxes(rng, count), rng.integers(0, len(CLASSES), count)
        ignored = rng.random(count) < crowds
        found = 0 if place == 2 else detections
        near = rng.integers(0, count, found) if count else np.zeros(found, int)
        guesses = boxes[near] + rng.normal(0, 4, (found, 4)) if count else random_boxes(rng, found)
        guesses[:, 2:] = np.maximum(guesses[:, 2:], guesses[:, :2] + 2)
        guessed = np.where(rng.random(found) < 0.8, labels[near] if count else 0, rng.integers(0, len(CLASSES), found))
        sample = {
            "img_id": image,
            "ori_shape": (HEIGHT, WIDTH),
            "pred_instances": {
                "bboxes": torch.tensor(guesses, dtype=torch.float32),
                "labels": torch.from_numpy(guessed),
                "scores": torch.from_numpy(rng.choice(np.linspace(0.05, 0.95, 19), found)).float(),  # with ties
            },
            "gt_instances": _objects(boxes[~ignored], labels[~ignored]),
            "ignored_instances": _objects(boxes[ignored], labels[ignored]),
        }
        if masks:
            for key in ("pred_instances", "gt_instances", "ignored_instances"):
                drawn = [ellipse(box) for box in sample[key]["bboxes"].double().numpy()]
                sample[key]["masks"] = torch.from_numpy(np.array(drawn, bool).reshape(-1, HEIGHT, WIDTH))
        samples.append(sample)
    return samples


def _objects(boxes: np.ndarray, labels: np.ndarray) -> dict[str, torch.Tensor]:
    return {"bboxes": torch.from_numpy(boxes), "labels": torch.from_numpy(labels)}


def write_truth(path: Path, samples: list[dict[str, Any]]) -> Path:
    """Write the objects of samples as a COCO file; the image ids are in another order than the samples."""
    from pycocotools import mask as mask_api

    annotations: list[dict[str, Any]] = []
    for sample in samples:
        for crowd, key in enumerate(("gt_instances", "ignored_instances")):
            objects = sample[key]
            for index, (x1, y1, x2, y2) in enumerate(objects["bboxes"].tolist()):
                one = {
                    "id": len(annotations) + 1, "image_id": sample["img_id"], "iscrowd": crowd,
                    "category_id": CATEGORY_IDS[CLASSES[objects["labels"][index]]],
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                }  # fmt: skip
                if "masks" in objects:
                    rle = mask_api.encode(np.asfortranarray(objects["masks"][index].numpy().astype(np.uint8)))
                    one["area"] = float(mask_api.area(rle))
                    one["segmentation"] = {"size": rle["size"], "counts": rle["counts"].decode()}
                annotations.append(one)
    images = [
        {"id": one["img_id"], "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT} for one in reversed(samples)
    ]
    categories = [{"id": number, "name": name} for name, number in CATEGORY_IDS.items()]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path
