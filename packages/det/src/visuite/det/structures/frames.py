"""From the pixels of the input back to those of the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from visuite.cv.masks import BitmapMasks, PolygonMasks
from visuite.det.structures.boxes import box_tensor


def in_file_frame(objects: Mapping[str, Any], sample: Any) -> dict[str, Any]:
    """Return true objects in pixels of the image file: where resizing moved them, they are moved back.

    A sample whose `gt_frame` is `input` has objects that were resized with their image, perhaps padded; one without it
    has what its file says, as where annotations are loaded after resizing.

    Args:
        objects: `bboxes` (N, 4), perhaps `masks` and others, which stay as they are.
        sample: What is known of the image, by `get`: `gt_frame`, `scale_factor` (w, h), `pad_param` (top, bottom, left,
            right), `img_shape` and `ori_shape`.
    """
    moved = {name: objects[name] for name in objects.keys()}  # noqa: SIM118 (an InstanceData runs over its rows)
    factor = sample.get("scale_factor")
    if sample.get("gt_frame") != "input" or factor is None or "bboxes" not in moved:
        return moved
    padding = sample.get("pad_param")
    top, bottom, left, right = (0.0,) * 4 if padding is None else (float(edge) for edge in padding)
    boxes = torch.as_tensor(box_tensor(moved["bboxes"])).float().cpu()
    scale = boxes.new_tensor([float(one) for one in tuple(factor)[:2]]).repeat(2)
    moved["bboxes"] = (boxes - boxes.new_tensor([left, top, left, top])) / scale
    masks: Any = moved.get("masks")
    if isinstance(masks, (BitmapMasks, PolygonMasks)) and len(boxes) and sample.get("ori_shape") is not None:
        h, w = sample.get("img_shape")[:2]
        inside = masks.crop(np.array([left, top, w - right, h - bottom]))
        moved["masks"] = inside.resize(tuple(sample.get("ori_shape")[:2]))
    return moved
