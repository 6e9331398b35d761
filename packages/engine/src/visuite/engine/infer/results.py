"""Predictions as plain values, pictures to draw them on, and the files of both."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from visuite.engine.fileio import dump, get, join_path, put
from visuite.engine.infer.inputs import Item
from visuite.engine.structures import BaseDataElement
from visuite.engine.visualization.canvas import as_rgb


def to_plain(value: Any) -> Any:
    """Return numbers, strings, lists and dicts for tensors, arrays and data elements, however nested.

    Of an element the data fields are kept, without what is true (`gt_*`, `ignored_*`).
    """
    if isinstance(value, BaseDataElement):
        fields = [name for name in value.keys() if not name.startswith(("gt_", "ignored_"))]  # noqa: SIM118
        return {name: to_plain(getattr(value, name)) for name in fields}
    if isinstance(value, (torch.Tensor, np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(name): to_plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [to_plain(one) for one in value]
    return value


def to_json(value: Any) -> str:
    """Return a plain value as JSON on one line; what is no finite number becomes null, as JSON has no word for it."""
    return str(dump(_finite(to_plain(value)), file_format="json"))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def merge(parts: Sequence[Any]) -> Any:
    """Join the results of batches: lists end to end, dicts of lists key by key."""
    if parts and isinstance(parts[0], list):
        return [one for part in parts for one in part]
    joined: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            joined[name] = joined[name] + list(value) if name in joined else list(value)
    return joined


def per_input(result: Any) -> list[Any]:
    """Return the predictions in a batch's result, one for each picture."""
    return list(result if isinstance(result, list) else result["predictions"])


def picture_of(value: Any) -> np.ndarray:
    """Return what an input shows, RGB uint8 (H, W, 3).

    Args:
        value: The path of a picture, an array in BGR order, or a sample that has one of these.
    """
    if isinstance(value, Mapping):
        value = value["img"] if "img" in value else value["img_path"]
    if isinstance(value, np.ndarray):
        image = as_rgb(value)
        return image[..., ::-1] if value.ndim == 3 and value.shape[2] >= 3 else image
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(get(value))) as opened:
        return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))


def write_pictures(items: Sequence[Item], pictures: Sequence[np.ndarray] | None, out_dir: str) -> None:
    """Write each picture, RGB (H, W, 3), as `vis/STEM.png`."""
    from PIL import Image

    for item, picture in zip(items, pictures or (), strict=bool(pictures)):
        content = io.BytesIO()
        Image.fromarray(as_rgb(picture)).save(content, format="PNG")
        put(content.getvalue(), join_path(out_dir, "vis", f"{item.stem}.png"))


def write_predictions(items: Sequence[Item], predictions: Sequence[Any], out_dir: str) -> None:
    """Write each prediction as `preds/STEM.json`."""
    for item, prediction in zip(items, predictions, strict=True):
        put(to_json(prediction).encode(), join_path(out_dir, "preds", f"{item.stem}.json"))
