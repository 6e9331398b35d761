"""The transforms of `torchvision.transforms.v2` by name: `type='torchvision/RandomPerspective'`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from visuite.cv.transforms.moves import seg_keys
from visuite.cv.transforms.objects import OBJECT_KEYS
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.engine.registry import TRANSFORMS

_MOVED = ("gt_bboxes", "gt_keypoints", "gt_masks")


class TorchvisionTransform(BaseTransform):
    """Run a transform of torchvision's on a sample: image, boxes, keypoints, maps, and masks that are arrays.

    Arrays (H, W, 3) are taken to be in BGR order; the transform sees RGB. Images of Pillow's and tensors are handed on
    as they are. Objects that the transform drops lose their labels and flags too.

    Args:
        inner: The transform.
    """

    def __init__(self, inner: nn.Module) -> None:
        self.inner = inner

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Run it.

        Raises:
            TypeError: the masks are no array.
        """
        img = results["img"]
        was_array = isinstance(img, np.ndarray)
        size = img.shape[:2] if was_array else v2.functional.get_size(img)
        wrapped = {"img": _image(img) if was_array else img, **_belongings(results, (size[0], size[1]))}
        moved = self.inner(wrapped)
        kept = moved.pop("labels", None)
        for key, value in moved.items():
            results[key] = _unwrapped(value, was_array) if key == "img" else _array(key, value, results[key])
        _drop_others(results, kept)
        if not isinstance(results["img"], list):
            results["img_shape"] = _shape(results["img"])
        return results

    def __repr__(self) -> str:
        return f"torchvision/{self.inner!r}"


def _belongings(results: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """Return what moves with the image; `labels` are the objects' numbers, which tell those that are dropped."""
    wrapped: dict[str, Any] = {}
    for key in _MOVED:
        if results.get(key) is not None:
            wrapped[key] = _wrap_objects(key, results[key], size)
    for key in seg_keys(results):  # type: ignore[arg-type]
        wrapped[key] = tv_tensors.Mask(torch.as_tensor(np.ascontiguousarray(results[key])))
    if "gt_bboxes" in wrapped:
        wrapped["labels"] = torch.arange(len(results["gt_bboxes"]))
    return wrapped


def _wrap_objects(key: str, value: Any, size: tuple[int, int]) -> torch.Tensor:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"torchvision moves {key} that are arrays, not {type(value).__name__}")
    tensor = torch.from_numpy(np.ascontiguousarray(value))
    if key == "gt_masks":
        return tv_tensors.Mask(tensor)
    if key == "gt_bboxes":
        return tv_tensors.BoundingBoxes(tensor, format="XYXY", canvas_size=size)
    if not hasattr(tv_tensors, "KeyPoints"):
        raise TypeError("keypoints move with torchvision 0.23 and later")
    return tv_tensors.KeyPoints(tensor[..., :2].contiguous(), canvas_size=size)


def _array(key: str, moved: torch.Tensor, before: np.ndarray) -> np.ndarray:
    """Return a moved array; keypoints keep their third column, which tells whether they are seen."""
    array = moved.as_subclass(torch.Tensor).numpy()
    return np.concatenate([array, before[..., 2:]], axis=-1) if key == "gt_keypoints" else array


def _drop_others(results: dict[str, Any], kept: torch.Tensor | None) -> None:
    """Leave only the kept ones among the objects' entries that the transform has not shortened itself."""
    for key in OBJECT_KEYS if kept is not None else ():
        if results.get(key) is not None and len(results[key]) != len(kept):  # type: ignore[arg-type]
            results[key] = results[key][kept.numpy()]  # type: ignore[union-attr]


def _image(img: np.ndarray) -> torch.Tensor:
    planes = img[None] if img.ndim == 2 else img.transpose(2, 0, 1)
    return tv_tensors.Image(torch.from_numpy(np.ascontiguousarray(planes[::-1] if len(planes) == 3 else planes)))


def _unwrapped(img: Any, was_array: bool) -> Any:
    """Return an image in the form it came in; several, as five crops are, as a list."""
    if isinstance(img, (list, tuple)):
        return [_unwrapped(one, was_array) for one in img]
    if not was_array or not isinstance(img, torch.Tensor):
        return img
    planes = img.as_subclass(torch.Tensor).numpy()
    return np.ascontiguousarray((planes[::-1] if len(planes) == 3 else planes).transpose(1, 2, 0))


def _shape(img: Any) -> tuple[int, int]:
    h, w = img.shape[:2] if isinstance(img, np.ndarray) else v2.functional.get_size(img)
    return int(h), int(w)


def _plain(name: str, value: Any) -> Any:
    """Return an argument as torchvision wants it: names of interpolations and kinds, and configs, are resolved."""
    if isinstance(value, Mapping) and "type" in value:
        built = TRANSFORMS.build(value)
        return built.inner if isinstance(built, TorchvisionTransform) else built
    if isinstance(value, list):
        return [_plain(name, one) for one in value]
    if name == "interpolation" and isinstance(value, str):
        return v2.InterpolationMode(value)
    if name == "dtype" and isinstance(value, str):
        return getattr(torch, value.removeprefix("torch."))
    return value


def _builder(kind: type[nn.Module]) -> Callable[..., TorchvisionTransform]:
    def build(**arguments: Any) -> TorchvisionTransform:
        return TorchvisionTransform(kind(**{name: _plain(name, value) for name, value in arguments.items()}))

    build.__name__ = build.__qualname__ = f"torchvision/{kind.__name__}"
    build.__doc__ = f"Build `torchvision.transforms.v2.{kind.__name__}`; arguments as there."
    build.__signature__ = inspect.signature(kind)  # type: ignore[attr-defined]
    return build


for _name, _kind in vars(v2).items():
    if inspect.isclass(_kind) and issubclass(_kind, v2.Transform) and _kind is not v2.Transform:
        TRANSFORMS.register_module(f"torchvision/{_name}", module=_builder(_kind))  # type: ignore[arg-type]
