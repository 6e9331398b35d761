"""What a metric is, and one that only keeps the predictions."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from visuite.engine.dist import broadcast_object_list, collect_results, is_main_process
from visuite.engine.fileio import dump
from visuite.engine.logging import print_log
from visuite.engine.registry import METRICS


class BaseMetric(ABC):
    """Gather results batch by batch on every rank, and turn all of them into numbers on the first.

    A subclass appends one entry a sample to `self.results` in `process`, and returns a dict from `compute_metrics`.

    Args:
        collect_device: Where ranks exchange results: 'cpu' (over files) or 'gpu'.
        prefix: Put before every name, as in `'coco/bbox_mAP'`; by default the class's `default_prefix`.
        collect_dir: Folder of the exchanged files; by default a temporary one.

    Raises:
        ValueError: `collect_device` is neither, or `collect_dir` is given for 'gpu'.
    """

    default_prefix: str | None = None
    #: Whether the data are a chosen part of a set (`indices`, `num_batch_per_epoch`): of annotations that a metric
    #: reads itself, those of other samples then do not count.
    part_of_data = False

    def __init__(self, collect_device: str = "cpu", prefix: str | None = None, collect_dir: str | None = None) -> None:
        if collect_device not in ("cpu", "gpu"):
            raise ValueError(f"{type(self).__name__}: collect_device is 'cpu' or 'gpu', not {collect_device!r}")
        if collect_dir is not None and collect_device != "cpu":
            raise ValueError(f"{type(self).__name__}: collect_dir is of use only with collect_device='cpu'")
        self._dataset_meta: dict[str, Any] | None = None
        self.collect_device = collect_device
        self.collect_dir = collect_dir
        self.prefix = prefix or self.default_prefix
        self.results: list[Any] = []

    @property
    def dataset_meta(self) -> dict[str, Any] | None:
        """What is known of the data set: classes, palette."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict[str, Any] | None) -> None:
        self._dataset_meta = meta

    @abstractmethod
    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Append the results of one batch to `self.results`."""

    @abstractmethod
    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Return {name: value} over the results of all ranks, one entry a sample."""

    def evaluate(self, size: int) -> dict[str, Any]:
        """Return the metrics over the whole data set, the same on every rank, and forget the results.

        Args:
            size: Length of the data set, beyond which ranks have repeated samples.
        """
        if not self.results:
            print_log(
                f"{type(self).__name__} has no results to evaluate: no sample came, or process() appended nothing "
                "to self.results",
                "current",
                level="WARNING",
            )
        collected = collect_results(self.results, size, self.collect_device, tmpdir=self.collect_dir)
        computed = [self._compute(collected or []) if is_main_process() else {}]
        broadcast_object_list(computed)
        self.results.clear()
        return computed[0]

    def _compute(self, collected: list[Any]) -> dict[str, Any]:
        metrics = self.compute_metrics(to_cpu(collected))
        return {f"{self.prefix}/{name}" if self.prefix else name: value for name, value in metrics.items()}


@METRICS.register_module()
class DumpResults(BaseMetric):
    """Write the predictions to a file, for other programs or for a later `Evaluator.offline_evaluate`.

    Args:
        out_file_path: A pickle (`.pkl`, `.pickle`), which keeps tensors, or `.json`, where they become lists.
        collect_device: Where ranks exchange predictions.
        collect_dir: Folder of the exchanged files.

    Raises:
        ValueError: the file is of neither kind.
    """

    def __init__(
        self, out_file_path: str | os.PathLike[str], collect_device: str = "cpu", collect_dir: str | None = None
    ) -> None:
        super().__init__(collect_device=collect_device, collect_dir=collect_dir)
        if Path(out_file_path).suffix not in (".pkl", ".pickle", ".json"):
            raise ValueError(f"DumpResults writes .pkl, .pickle or .json, not {str(out_file_path)!r}")
        self.out_file_path = str(out_file_path)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep predictions, off the accelerator."""
        self.results.extend(to_cpu(list(data_samples)))

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Write the file; there is nothing to measure."""
        dump(to_lists(results) if self.out_file_path.endswith(".json") else results, self.out_file_path)
        print_log(f"{len(results)} predictions written to {self.out_file_path}", "current")
        return {}


def to_cpu(value: Any) -> Any:
    """Return nested lists, tuples and mappings with their tensors on the CPU, detached."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if hasattr(value, "cpu") and callable(value.cpu):  # a data element
        return value.cpu()
    if isinstance(value, Mapping):
        return {key: to_cpu(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(to_cpu(item) for item in value)
    return value


def to_lists(value: Any) -> Any:
    """Return nested containers with tensors and arrays as lists, as JSON needs them."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "to_dict"):
        return to_lists(value.to_dict())
    if isinstance(value, Mapping):
        return {str(key): to_lists(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_lists(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
