"""Cross validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from visuite.cls.registry import DATASETS
from visuite.engine.dataset.wrappers import DatasetWrapper


@DATASETS.register_module()
class KFoldDataset(DatasetWrapper):
    """One of k folds of a data set, or all but that one.

    Args:
        dataset: The data set or its config.
        fold: The number of the fold that is for testing, from 0.
        num_splits: k.
        test_mode: Take the fold, not the rest.
        seed: Shuffle before splitting; None splits in the order of the data set. Training and test need the same.
        lazy_init: Read the annotations when first used.

    Raises:
        ValueError: there is no such fold, or fewer samples than folds.
    """

    def __init__(
        self,
        dataset: Any,
        fold: int = 0,
        *,
        num_splits: int = 5,
        test_mode: bool = False,
        seed: int | None = None,
        lazy_init: bool = False,
    ) -> None:
        if num_splits < 2 or not 0 <= fold < num_splits:
            raise ValueError(f"KFoldDataset has folds from 0 below num_splits={num_splits} >= 2, not {fold}")
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
        self.fold = fold
        self.num_splits = num_splits
        self.test_mode = test_mode
        self.seed = seed
        self.indices = np.empty(0, np.int64)
        if not lazy_init:
            self.full_init()

    def full_init(self) -> None:
        """Read the annotations, and split."""
        if self._fully_initialized:
            return
        self.dataset.full_init()
        self._metainfo = self.dataset.metainfo
        size = len(self.dataset)
        if size < self.num_splits:
            raise ValueError(f"{size} samples cannot be split into {self.num_splits} folds")
        order = np.arange(size) if self.seed is None else np.random.default_rng(self.seed).permutation(size)
        folds = np.array_split(order, self.num_splits)
        chosen = [folds[self.fold]] if self.test_mode else folds[: self.fold] + folds[self.fold + 1 :]
        self.indices = np.sort(np.concatenate(chosen))
        self._fully_initialized = True

    def _locate(self, idx: int) -> tuple[Any, int]:
        return self.dataset, int(self.indices[idx])

    def __len__(self) -> int:
        self.full_init()
        return len(self.indices)

    def get_gt_labels(self) -> np.ndarray:
        """Return the labels of all its images, (N,) int64."""
        self.full_init()
        return self.dataset.get_gt_labels()[self.indices]
