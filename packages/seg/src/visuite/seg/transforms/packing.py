"""From the dict of the pipeline to what a segmentor takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from visuite.cv.transforms import image_to_tensor
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.engine.structures import PixelData
from visuite.seg.registry import TRANSFORMS
from visuite.seg.structures import SegDataSample

_META_KEYS = (
    "img_path", "seg_map_path", "ori_shape", "img_shape", "pad_shape", "scale_factor", "flip", "flip_direction",
    "reduce_zero_label",
)  # fmt: skip
#: The fields of a sample that maps of the pipeline become, and the kind of their numbers.
_FIELDS: dict[str, tuple[str, type]] = {
    "gt_seg_map": ("gt_sem_seg", np.int64),
    "gt_edge_map": ("gt_edge_map", np.int64),
    "gt_depth_map": ("gt_depth_map", np.float32),
}


@TRANSFORMS.register_module()
class PackSegInputs(BaseTransform):
    """Return `inputs` (C, H, W), a tensor, and `data_samples`, a `SegDataSample` with truth and meta information.

    `gt_seg_map` becomes `gt_sem_seg` (1, H, W) long, `gt_edge_map` likewise; `gt_depth_map` (1, H, W) float.

    Args:
        meta_keys: What the sample knows of the image, as far as the pipeline does.

    Raises:
        ValueError: a map is not of shape (H, W).
    """

    def __init__(self, meta_keys: Sequence[str] = _META_KEYS) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack the sample."""
        sample = SegDataSample(metainfo={key: results[key] for key in self.meta_keys if key in results})
        for key, (field, kind) in _FIELDS.items():
            found = results.get(key)
            if found is None:
                continue
            if found.ndim != 2:
                raise ValueError(f"{key} of {results.get('img_path')} is of shape {found.shape}, not (H, W)")
            sample.set_data({field: PixelData(data=torch.from_numpy(found[None].astype(kind)))})
        packed: dict[str, Any] = {"data_samples": sample}
        if "img" in results:
            packed = {"inputs": image_to_tensor(results["img"]), **packed}
        return packed
