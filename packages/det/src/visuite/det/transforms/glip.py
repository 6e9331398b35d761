"""Boxes whose last pixel lies inside, as models of the GLIP family were trained. Li et al., arXiv:2112.03857."""

from __future__ import annotations

from typing import Any

import numpy as np

from visuite.cv.transforms import RandomFlip
from visuite.det.registry import TRANSFORMS
from visuite.engine.dataset.transform_base import BaseTransform


@TRANSFORMS.register_module()
class GTBoxSubOne_GLIP(BaseTransform):
    """Take one pixel from the right and the lower edge of each box."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change `gt_bboxes`."""
        if "gt_bboxes" in results:
            results["gt_bboxes"] = results["gt_bboxes"] - np.array([0, 0, 1, 1], np.float32)
        return results


@TRANSFORMS.register_module()
class RandomFlip_GLIP(RandomFlip):
    """Flip as `RandomFlip` does, but boxes of which the last pixel lies inside; arguments as there."""

    def apply(self, results: dict[str, Any], drawn: str | None) -> dict[str, Any]:
        """Flip in the drawn direction."""
        super().apply(results, drawn)
        if drawn is not None and "gt_bboxes" in results:
            turned = np.array([drawn != "vertical", drawn != "horizontal"] * 2, np.float32)
            results["gt_bboxes"] = results["gt_bboxes"] - turned
        return results
