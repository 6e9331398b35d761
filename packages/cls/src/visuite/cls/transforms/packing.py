"""From the dict of the pipeline to what a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from visuite.cls.registry import TRANSFORMS
from visuite.cls.structures import DataSample
from visuite.engine.dataset.transform_base import BaseTransform

_META_KEYS = ("sample_idx", "img_path", "ori_shape", "img_shape", "scale_factor", "flip", "flip_direction")


@TRANSFORMS.register_module()
class PackInputs(BaseTransform):
    """Return `inputs` (C, H, W), a tensor, and `data_samples` with the truth and meta information.

    Args:
        input_key: Where the image is.
        algorithm_keys: Further keys that go into the sample.
        meta_keys: Keys of its meta information, where the dict has them.
    """

    def __init__(
        self,
        input_key: str = "img",
        algorithm_keys: Sequence[str] = (),
        *,
        meta_keys: Sequence[str] = _META_KEYS,
    ) -> None:
        self.input_key = input_key
        self.algorithm_keys = tuple(algorithm_keys)
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack the sample.

        Raises:
            KeyError: a key among `algorithm_keys` is missing.
        """
        sample = DataSample(metainfo={key: results[key] for key in self.meta_keys if key in results})
        if results.get("gt_label") is not None:
            sample.set_gt_label(results["gt_label"])
        if results.get("gt_score") is not None:
            sample.set_gt_score(results["gt_score"])
        for key in self.algorithm_keys:
            if key not in results:
                raise KeyError(f"PackInputs was told to pack {key!r}; there are {sorted(results)}")
            sample.set_field(results[key], key)
        packed: dict[str, Any] = {"data_samples": sample}
        if self.input_key in results:
            packed = {"inputs": to_tensor(results[self.input_key]), **packed}
        return packed


def to_tensor(img: Any) -> torch.Tensor:
    """Return an image (H, W), (H, W, C) or from Pillow as a tensor (C, H, W); a tensor as it is.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(img, torch.Tensor):
        return img
    array = np.asarray(img)
    if array.ndim not in (2, 3) or array.dtype == object:
        raise TypeError(f"an image is an array (H, W) or (H, W, C) or a tensor, not {type(img).__name__} {array.shape}")
    planes = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(planes))
