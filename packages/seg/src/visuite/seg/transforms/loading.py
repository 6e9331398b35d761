"""From files to arrays.

Shapes: H rows, W columns, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from visuite.cv.image import imread, read_class_map
from visuite.cv.transforms.annotations import without_class_zero
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.seg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadAnnotations(BaseTransform):
    """Read the map of classes at `seg_map_path`; set `gt_seg_map` (H, W) and name it in `seg_fields`.

    First class 0 is taken away, if it is to be, then classes are renamed as the record's `label_map` says. A record
    without `seg_map_path` stays as it is.

    Args:
        reduce_zero_label: Make class 0 the ignored one, and every other one less; by default what the data set says.
        ignore_index: The class that is not learned from.
        imdecode_backend: How the file is decoded, as of `visuite.cv.image.read_class_map`.
        backend_args: Options of the file backend.

    Raises:
        ValueError: this and the data set say different things about class 0.
        FileNotFoundError: there is no such file.
        ImageError: the file is no map of classes, or is cut.
    """

    def __init__(
        self,
        reduce_zero_label: bool | None = None,
        backend_args: dict[str, Any] | None = None,
        *,
        ignore_index: int = 255,
        imdecode_backend: str = "pillow",
    ) -> None:
        self.reduce_zero_label = reduce_zero_label
        self.ignore_index = ignore_index
        self.imdecode_backend = imdecode_backend
        self.backend_args = backend_args

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read the map."""
        if results.get("seg_map_path") is None:
            return results
        reduce = self._reduces(results)
        seg_map = read_class_map(results["seg_map_path"], backend=self.imdecode_backend, backend_args=self.backend_args)
        if reduce:
            seg_map = without_class_zero(seg_map, self.ignore_index)
        if results.get("label_map"):
            seg_map = renamed(seg_map, results["label_map"])
        results["gt_seg_map"] = seg_map
        results["reduce_zero_label"] = reduce
        fields = results.setdefault("seg_fields", [])
        if "gt_seg_map" not in fields:
            fields.append("gt_seg_map")
        return results

    def _reduces(self, results: Mapping[str, Any]) -> bool:
        told = results.get("reduce_zero_label")
        if self.reduce_zero_label is None:
            return bool(told)
        if told is not None and told != self.reduce_zero_label:
            raise ValueError(
                f"reduce_zero_label is {self.reduce_zero_label} in LoadAnnotations and {told} in the data set: say it "
                "in the data set alone"
            )
        return self.reduce_zero_label


def renamed(seg_map: np.ndarray, label_map: Mapping[int, int]) -> np.ndarray:
    """Return a map (H, W) with classes renamed, all at once; classes that are not named stay.

    Raises:
        ValueError: a new name does not fit into the map's kind of number.
    """
    limits = np.iinfo(seg_map.dtype)
    outside = [new for new in label_map.values() if not limits.min <= new <= limits.max]
    if outside:
        raise ValueError(f"class {outside[0]} does not fit into a map of {seg_map.dtype}")
    if seg_map.dtype == np.uint8:
        table = np.arange(256, dtype=np.uint8)
        for old, new in label_map.items():
            if 0 <= old <= 255:
                table[old] = new
        return table[seg_map]
    new_map = seg_map.copy()
    for old, new in label_map.items():
        new_map[seg_map == old] = new
    return new_map


@TRANSFORMS.register_module()
class LoadSingleRSImageFromFile(BaseTransform):
    """Read an image of any number of bands at `img_path`, TIFF or `.npy`; set `img`, `img_shape`, `ori_shape` (h, w).

    Args:
        to_float32: Make the pixels float32.
        backend_args: Options of the file backend.
    """

    def __init__(self, to_float32: bool = True, backend_args: dict[str, Any] | None = None) -> None:
        self.to_float32 = to_float32
        self.backend_args = backend_args

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read the file."""
        img = read_bands(results["img_path"], self.backend_args)
        results["img"] = img.astype(np.float32) if self.to_float32 else img
        results["img_shape"] = results["ori_shape"] = img.shape[:2]
        return results


@TRANSFORMS.register_module()
class LoadMultipleRSImageFromFile(BaseTransform):
    """Read two images of one place, at `img_path` and `img_path2`, into `img` and `img2`.

    Args:
        to_float32: Make the pixels float32.
        backend_args: Options of the file backend.

    Raises:
        ValueError: they differ in size.
    """

    def __init__(self, to_float32: bool = True, backend_args: dict[str, Any] | None = None) -> None:
        self.to_float32 = to_float32
        self.backend_args = backend_args

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read both files."""
        paths = (results["img_path"], results["img_path2"])
        first, second = (read_bands(path, self.backend_args) for path in paths)
        if first.shape[:2] != second.shape[:2]:
            raise ValueError(f"{paths[0]} is {first.shape[:2]} large, {paths[1]} {second.shape[:2]}")
        for key, img in (("img", first), ("img2", second)):
            results[key] = img.astype(np.float32) if self.to_float32 else img
        results["img_shape"] = results["ori_shape"] = first.shape[:2]
        return results


@TRANSFORMS.register_module()
class ConcatCDInput(BaseTransform):
    """Lay the channels of several images behind one another, into `img`.

    Args:
        input_keys: Where the images are.
    """

    def __init__(self, input_keys: Sequence[str] = ("img", "img2")) -> None:
        self.input_keys = tuple(input_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Join the images."""
        results["img"] = np.concatenate([np.atleast_3d(results[key]) for key in self.input_keys], axis=2)
        return results


def read_bands(path: str, backend_args: dict[str, Any] | None = None) -> np.ndarray:
    """Return an image as (H, W, C), whatever its number of bands C and kind of pixels."""
    return np.atleast_3d(imread(path, "unchanged", backend_args=backend_args))
