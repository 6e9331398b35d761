"""Objects found in several versions of an image, put together.

Shapes: A versions of an image, N objects of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from visuite.cv.ops import batched_nms
from visuite.det.registry import MODELS
from visuite.det.structures import DetDataSample
from visuite.engine.model import BaseTTAModel
from visuite.engine.structures import InstanceData


@MODELS.register_module()
class DetTTAModel(BaseTTAModel):
    """Turn the objects of flipped and resized versions back, and suppress among all of them.

    Args:
        tta_cfg: `nms` and `max_per_img`.
        **kwargs: As of `BaseTTAModel`.
    """

    def __init__(self, tta_cfg: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tta_cfg = dict(tta_cfg or {"nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 100})

    def merge_preds(self, data_samples_list: list[list[DetDataSample]]) -> list[DetDataSample]:
        """Merge the samples of A versions of each image."""
        return [self._merge_single_sample(versions) for versions in data_samples_list]

    def _merge_single_sample(self, versions: Sequence[DetDataSample]) -> DetDataSample:
        found = InstanceData.cat([_turned_back(one) for one in versions])
        dets, kept = batched_nms(found.bboxes, found.scores, found.labels, self.tta_cfg["nms"])
        most = self.tta_cfg.get("max_per_img", -1)
        dets, kept = (dets[:most], kept[:most]) if most > 0 else (dets, kept)
        result = found[kept]
        result.scores = dets[:, 4]
        merged = versions[0]
        merged.pred_instances = result
        return merged


def _turned_back(sample: DetDataSample) -> InstanceData:
    """Return the objects of a version, which are in the size of the file, as they stand in the unflipped image."""
    found = sample.pred_instances
    if not sample.get("flip"):
        return found
    direction = sample.get("flip_direction")
    h, w = sample.ori_shape[:2]
    x1, y1, x2, y2 = found.bboxes.unbind(-1)
    dims = []
    if direction != "vertical":
        x1, x2 = w - x2, w - x1
        dims.append(-1)
    if direction != "horizontal":
        y1, y2 = h - y2, h - y1
        dims.append(-2)
    turned = {"bboxes": torch.stack([x1, y1, x2, y2], dim=-1), "scores": found.scores, "labels": found.labels}
    if "masks" in found:
        turned["masks"] = torch.as_tensor(found.masks).flip(dims)
    return InstanceData(**turned)
