"""What metrics keep of an image: a few flat arrays.

N: detections; G: objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from visuite.det.metrics.rle import PackedMasks, encode_masks
from visuite.det.structures import box_tensor, in_file_frame


class Found(NamedTuple):
    """The detections in an image.

    Attributes:
        boxes: (N, 4) `xyxy` in pixels of the image as it is in its file.
        scores: (N,).
        labels: (N,) int32.
        masks: N masks, where there are any.
        mask_scores: (N,), where masks have scores of their own.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    masks: PackedMasks | None = None
    mask_scores: np.ndarray | None = None


class Wanted(NamedTuple):
    """The objects in an image.

    Attributes:
        boxes: (G, 4) `xyxy` in pixels of the image as it is in its file.
        labels: (G,) int32.
        ignored: Which need not be found, and may be: crowds, difficult ones, (G,) bool.
        masks: G masks, where there are any.
    """

    boxes: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray
    masks: PackedMasks | None = None


def detections_of(sample: Mapping[str, Any], *, with_masks: bool = False) -> Found:
    """Take the detections out of a data sample.

    Args:
        sample: Has `pred_instances`, with `bboxes`, `scores` and `labels`.
        with_masks: Take `masks`, and `mask_scores` if there are any, too.

    Raises:
        KeyError: a field is missing.
    """
    given = _part(sample, "pred_instances")
    missing = [key for key in ("bboxes", "scores", "labels", *(["masks"] if with_masks else [])) if key not in given]
    if missing:
        raise KeyError(f"pred_instances of {_name(sample)} has no {missing[0]!r}: it has {list(given)}")
    return Found(
        _boxes(given["bboxes"]),
        _floats(given["scores"]),
        _array(given["labels"]).astype(np.int32),
        encode_masks(given["masks"], size_of(sample)) if with_masks else None,
        _floats(given["mask_scores"]) if with_masks and "mask_scores" in given else None,
    )


def objects_of(sample: Mapping[str, Any], *, with_masks: bool = False) -> Wanted:
    """Take the objects out of a data sample: its `instances`, as data sets have them, else its `gt_instances`.

    Whether those were resized with their image or not, `in_file_frame` knows.

    Args:
        sample: The sample.
        with_masks: Take masks too.

    Raises:
        KeyError: it has neither; or no masks.
    """
    if "instances" in sample:
        return _from_records(sample, with_masks=with_masks)
    if "gt_instances" not in sample:
        raise KeyError(
            f"{_name(sample)} has neither 'gt_instances' nor 'instances': load annotations in the pipeline, or give "
            "the metric an ann_file"
        )
    parts = [_part(sample, "gt_instances")]
    if sample.get("ignored_instances") is not None:
        parts.append(_part(sample, "ignored_instances"))
    parts = [in_file_frame(one, sample) for one in parts if "bboxes" in one]
    boxes = [_boxes(one["bboxes"]) for one in parts] or [np.zeros((0, 4))]
    labels = [_array(one["labels"]) for one in parts] or [np.zeros(0)]
    ignored = np.repeat(np.arange(len(boxes)) > 0, [len(one) for one in boxes])
    masks = _joined_masks(parts, sample) if with_masks else None
    return Wanted(np.concatenate(boxes), np.concatenate(labels).astype(np.int32), ignored, masks)


def _from_records(sample: Mapping[str, Any], *, with_masks: bool) -> Wanted:
    records = sample["instances"]
    if with_masks and any("mask" not in one for one in records):
        raise KeyError(f"an object of {_name(sample)} has no 'mask'")
    return Wanted(
        np.array([one["bbox"] for one in records], np.float64).reshape(-1, 4),
        np.array([one["bbox_label"] for one in records], np.int32),
        np.array([bool(one.get("ignore_flag", 0)) for one in records], bool),
        encode_masks([one["mask"] for one in records], size_of(sample)) if with_masks else None,
    )


def _joined_masks(parts: list[Mapping[str, Any]], sample: Mapping[str, Any]) -> PackedMasks:
    size = size_of(sample)
    found: list[dict[str, Any]] = []
    for one in parts:
        if "masks" not in one:
            raise KeyError(f"the objects of {_name(sample)} have no 'masks'")
        found += encode_masks(one["masks"], size).to_rles()
    return encode_masks(found, size)


def _part(sample: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    if key not in sample:
        raise KeyError(f"{_name(sample)} has no {key!r}: it has {list(sample)}")
    part = sample[key]
    return part.to_dict() if hasattr(part, "to_dict") else part


def size_of(sample: Mapping[str, Any]) -> tuple[int, int]:
    """Return height and width of an image as it is in its file.

    Raises:
        KeyError: the sample does not tell.
    """
    if "ori_shape" not in sample:
        raise KeyError(f"{_name(sample)} has no 'ori_shape': keep it among the meta_keys of PackDetInputs")
    return tuple(sample["ori_shape"][:2])


def _name(sample: Mapping[str, Any]) -> str:
    return f"the sample of image {sample['img_id']!r}" if "img_id" in sample else "a sample"


def _boxes(boxes: Any) -> np.ndarray:
    return _floats(box_tensor(boxes)).reshape(-1, 4)


def _floats(values: Any) -> np.ndarray:
    """Return numbers in at least single precision."""
    array = _array(values)
    return array if array.dtype == np.float64 else array.astype(np.float32)


def _array(values: Any) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        return (values.float() if values.dtype == torch.bfloat16 else values).detach().cpu().numpy()
    return np.asarray(values)
