"""True objects, back in pixels of the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import visuite.yolo  # noqa: F401 (its letter box)
from visuite.det.metrics.image_results import objects_of
from visuite.det.registry import TRANSFORMS
from visuite.det.structures import in_file_frame

BOXES = [[10.0, 20.0, 50.0, 70.0], [60.0, 5.0, 90.0, 40.0]]
LOAD = [{"type": "LoadAnnotations", "with_bbox": True, "with_mask": True}]
RESIZE = [{"type": "Resize", "scale": (75, 75), "keep_ratio": True}]
LETTER = [{"type": "yolo.LetterResize", "scale": (320, 200), "allow_scale_up": True, "pad_val": {"img": 114}}]
KEYS = ("ori_shape", "img_shape", "scale_factor", "pad_param")


@pytest.mark.parametrize("resizing", [RESIZE, LETTER], ids=["resized", "letter-box"])
@pytest.mark.parametrize("first", [True, False], ids=["loaded-first", "loaded-last"])
def test_objects_are_where_the_file_has_them(first: bool, resizing: list[dict[str, Any]], tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "image.png"), np.zeros((80, 100, 3), np.uint8))
    results: Any = {"img_path": str(tmp_path / "image.png"), "instances": []}
    for label, (x1, y1, x2, y2) in enumerate(BOXES):
        polygon = [[x1, y1, x2, y1, x2, y2, x1, y2]]
        results["instances"].append({"bbox": [x1, y1, x2, y2], "bbox_label": label, "ignore_flag": 0, "mask": polygon})
    steps = [*LOAD, *resizing] if first else [*resizing, *LOAD]
    for step in [{"type": "LoadImageFromFile"}, *steps, {"type": "PackDetInputs", "meta_keys": KEYS}]:
        results = TRANSFORMS.build(step)(results)
    sample = results["data_samples"]
    found = in_file_frame(sample.gt_instances, sample)
    np.testing.assert_allclose(found["bboxes"], BOXES, atol=1e-3)
    np.testing.assert_array_equal(found["labels"], [0, 1])
    np.testing.assert_allclose(objects_of(sample.to_dict()).boxes, BOXES, atol=1e-3)
    for mask, (x1, y1, x2, y2) in zip(np.asarray(found["masks"].masks), BOXES, strict=True):
        assert mask.shape == (80, 100)
        ys, xs = np.nonzero(mask)
        np.testing.assert_allclose([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], [x1, y1, x2, y2], atol=2)


def test_nothing_is_known_of_the_frame() -> None:
    objects = {"bboxes": np.array(BOXES), "labels": np.array([0, 1])}
    assert in_file_frame(objects, {"scale_factor": (2.0, 2.0)}) == objects
