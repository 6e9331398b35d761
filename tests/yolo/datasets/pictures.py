"""Small data sets of painted rectangles on disk, in the formats of COCO and of YOLO."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.painted import Box, objects

CLASSES = ("disc", "square")


def draw(folder: Path, count: int = 8, *, seed: int = 0) -> list[dict[str, Any]]:
    """Write `folder/images/train/i.png`, and return for each its name, size (w, h), boxes and labels."""
    rng = np.random.RandomState(seed)
    target = folder / "images" / "train"
    target.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(count):
        w, h = (int(edge) for edge in rng.randint(30, 70, 2))
        boxes: list[Box] = []
        for _ in range(int(rng.randint(1, 4)) if number else 0):  # the first has none
            x, y = int(rng.randint(w - 12)), int(rng.randint(h - 12))
            boxes.append((x, y, int(rng.randint(x + 8, w)) + 1, int(rng.randint(y + 8, h)) + 1))
        img = objects(boxes, (w, h))["img"] // 2 + rng.randint(0, 40, (h, w, 3)).astype(np.uint8)
        cv2.imwrite(str(target / f"{number:02d}.png"), img)
        labels = rng.randint(0, 2, len(boxes)).tolist()
        made.append({"name": f"{number:02d}.png", "size": (w, h), "boxes": boxes, "labels": labels})
    return made


def write_coco(folder: Path, count: int = 8) -> list[dict[str, Any]]:
    """Write pictures and `folder/ann.json`, objects with polygons."""
    made, annotations = draw(folder, count), []
    for number, one in enumerate(made):
        for (x1, y1, x2, y2), label in zip(one["boxes"], one["labels"], strict=True):
            bbox, corners = [x1, y1, x2 - x1, y2 - y1], [x1, y1, x2, y1, x2, y2, x1, y2]
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": label, "bbox": bbox,
                "area": bbox[2] * bbox[3], "iscrowd": 0, "segmentation": [corners],
            })  # fmt: skip
    images = [
        {"id": i, "file_name": one["name"], "width": one["size"][0], "height": one["size"][1]}
        for i, one in enumerate(made)
    ]
    categories = [{"id": i, "name": name} for i, name in enumerate(CLASSES)]
    (folder / "ann.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return made


def write_yolo(folder: Path, count: int = 8) -> list[dict[str, Any]]:
    """Write pictures, a file of labels for each that has objects, and `folder/data.yaml`."""
    made = draw(folder, count)
    target = folder / "labels" / "train"
    target.mkdir(parents=True, exist_ok=True)
    for one in made:
        w, h = one["size"]
        lines = [
            f"{label} {(x1 + x2) / 2 / w} {(y1 + y2) / 2 / h} {(x2 - x1) / w} {(y2 - y1) / h}"
            for (x1, y1, x2, y2), label in zip(one["boxes"], one["labels"], strict=True)
        ]
        if lines:
            (target / one["name"]).with_suffix(".txt").write_text("\n".join(lines) + "\n")
    (folder / "data.yaml").write_text("train: images/train\nval: images/train\nnames: [disc, square]\nnc: 2\n")
    return made
