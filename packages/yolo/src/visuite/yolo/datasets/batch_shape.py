"""Batches of images of like shape, padded as little as can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visuite.yolo.registry import TASK_UTILS


@TASK_UTILS.register_module()
class BatchShapePolicy:
    """Sort images by their shape, and give each batch of them a shape of its own, for a test.

    The records get `batch_shape` (h, w), which `LetterResize` takes instead of its scale: the smallest that all images
    of a batch fit into, the longer edge being `img_size` long.

    Args:
        batch_size: Of one process.
        img_size: In pixels.
        size_divisor: Edges are multiples of this.
        extra_pad_ratio: More padding, as a share of `size_divisor`, before edges are rounded up.

    Raises:
        ValueError: a number that is not positive.
    """

    def __init__(
        self, batch_size: int = 32, img_size: int = 640, *, size_divisor: int = 32, extra_pad_ratio: float = 0.5
    ) -> None:
        if min(batch_size, img_size, size_divisor) < 1 or extra_pad_ratio < 0:
            raise ValueError(
                f"batch_size {batch_size}, img_size {img_size} and size_divisor {size_divisor} are at least 1, and "
                f"extra_pad_ratio {extra_pad_ratio} at least 0"
            )
        self.batch_size = batch_size
        self.img_size = img_size
        self.size_divisor = size_divisor
        self.extra_pad_ratio = extra_pad_ratio

    def __call__(self, data_list: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the records, which have `height` and `width`, sorted and with the shapes of their batches."""
        tallness = np.array([record["height"] / record["width"] for record in data_list])
        order = np.argsort(tallness, kind="stable")
        records = []
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            shape = self._shape(tallness[batch[0]], tallness[batch[-1]])
            records += [{**data_list[index], "batch_shape": shape} for index in batch]
        return records

    def _shape(self, least: float, most: float) -> np.ndarray:
        """Return the shape (h, w) for images whose height over their width lies between two numbers."""
        edges = np.array([min(most, 1.0), min(1 / least, 1.0)]) * self.img_size  # one of them is img_size
        return (np.ceil(edges / self.size_divisor + self.extra_pad_ratio) * self.size_divisor).astype(np.int64)
