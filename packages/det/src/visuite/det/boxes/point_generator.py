"""Points as priors, one in each place of a feature map."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from visuite.det.boxes.grid import GridPriors, pair_of
from visuite.det.registry import TASK_UTILS


@TASK_UTILS.register_module()
class MlvlPointGenerator(GridPriors):
    """Points (x, y), as detectors without anchors use.

    Args:
        strides: Pixels from one point of a level to the next, one number or (w, h).
        offset: Where in its cell a point stands, in parts of the stride: 0.5 is the middle.
    """

    def __init__(self, strides: Sequence[float | Sequence[float]], offset: float = 0.5) -> None:
        self.offset = offset
        super().__init__(strides, [torch.tensor([pair_of(stride)], dtype=torch.float32) * offset for stride in strides])
