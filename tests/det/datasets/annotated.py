"""Small annotation files for tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CATEGORIES = [{"id": 7, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 90, "name": "kite"}]


def annotation(number: int, image: int, category: int, bbox: Sequence[float], **others: Any) -> dict[str, Any]:
    area = bbox[2] * bbox[3]
    return {"id": number, "image_id": image, "category_id": category, "bbox": list(bbox), "area": area, **others}


#: Image ids have gaps, category ids are out of order; image 31 has no object.
IMAGES = [(5, 64, 48), (12, 40, 60), (31, 50, 50), (44, 20, 80)]
ANNOTATIONS = [
    annotation(1, 5, 7, (10, 5, 20, 30), iscrowd=0, segmentation=[[10, 5, 30, 5, 30, 35]]),
    annotation(4, 5, 90, (0, 0, 64, 48), iscrowd=1),
    annotation(9, 12, 2, (1, 2, 30, 40)),
    annotation(15, 44, 7, (2, 2, 10, 70)),
]


def write_coco(
    folder: Path,
    annotations: Sequence[dict[str, Any]] = ANNOTATIONS,
    *,
    images: Sequence[tuple[int, int, int]] = IMAGES,
    categories: Sequence[dict[str, Any]] = CATEGORIES,
    files: bool = True,
) -> Path:
    """Write `folder/ann.json`, and an empty file for each of its images below `folder/img`."""
    entries = [{"id": one, "file_name": f"{one:04d}.jpg", "width": w, "height": h} for one, w, h in images]
    path = folder / "ann.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": entries, "annotations": list(annotations), "categories": list(categories)}))
    (folder / "img").mkdir(exist_ok=True)
    for entry in entries if files else ():
        (folder / "img" / entry["file_name"]).touch()
    return path
