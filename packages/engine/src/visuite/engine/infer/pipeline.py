"""A data set's test pipeline, made fit for pictures that come from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from visuite.engine.dataset import Compose
from visuite.engine.dataset.compose import name_of
from visuite.engine.registry import TRANSFORMS

LOADER = "LoadImageFromFile"


class InferencePipeline:
    """Run a test pipeline on a path, an array or a sample.

    Transforms that load annotations are left out. For arrays the loading of the file is left out too.

    Args:
        transforms: Configs or objects, as in a data set's `pipeline`. Where none loads a file, `LoadImageFromFile` is
            put first if it is registered.
        loaded: What is done to the loaded image where no transform loads a file, as the data set hands out its images
            in another form than files are loaded in.
    """

    def __init__(
        self,
        transforms: Iterable[Mapping[str, Any] | Callable[..., Any]],
        loaded: Sequence[Callable[..., Any]] = (),
    ) -> None:
        built = Compose([one for one in transforms if "Annotation" not in _type_name(one)]).transforms
        if not any(map(_loads_file, built)):
            loader = [TRANSFORMS.build({"type": LOADER})] if TRANSFORMS.get(LOADER) is not None else []
            built = [*loader, *loaded, *built]
        self.whole = Compose(built)
        self.after_loading = Compose([one for one in built if not _loads_file(one)])
        self.in_colour = any(getattr(one, "color_type", None) == "color" for one in built if _loads_file(one))
        self.to_float32 = any(getattr(one, "to_float32", False) for one in built if _loads_file(one))

    def __call__(self, value: str | np.ndarray | Mapping[str, Any]) -> dict[str, Any]:
        """Return the sample for the model.

        Raises:
            ValueError: an array is no picture, or the pipeline drops the picture.
        """
        if isinstance(value, np.ndarray):
            value = self._loaded(value)
        sample = {"img_path": value} if isinstance(value, str) else dict(value)
        result = (self.after_loading if "img" in sample else self.whole)(sample)
        if result is None:
            raise ValueError("the pipeline drops this picture")
        return result

    def _loaded(self, image: np.ndarray) -> dict[str, Any]:
        """Return what the loading transform would have made of a file with this content."""
        if image.ndim not in (2, 3) or 0 in image.shape:
            raise ValueError(f"a picture has the shape (H, W, C) or (H, W), not {image.shape}")
        size = image.shape[:2]
        if self.in_colour and (image.ndim == 2 or image.shape[2] in (1, 4)):  # grey, or with an opacity
            image = np.repeat(image.reshape(*size, 1), 3, axis=2) if image.size == size[0] * size[1] else image[..., :3]
        image = image.astype(np.float32) if self.to_float32 else image
        return {"img": image, "img_path": None, "img_shape": size, "ori_shape": size}


def _type_name(transform: Any) -> str:
    kind = transform.get("type") if isinstance(transform, Mapping) else transform
    return kind if isinstance(kind, str) else name_of(kind)


def _loads_file(transform: Any) -> bool:
    """Tell whether a transform reads the picture: every kind is called so, that for several channels too."""
    return name_of(transform).startswith("LoadImage") or "ImageFrom" in name_of(transform)
