"""Data sets that hold others, and their configs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def inner_dataset(cfg: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the config of the data set inside its wrappers; of several side by side, that of the first."""
    while "pipeline" not in cfg and ("dataset" in cfg or "datasets" in cfg):
        cfg = cfg["dataset"] if "dataset" in cfg else cfg["datasets"][0]
    return cfg


def channel_order(dataset: Any) -> str:
    """Return the order of its images' channels, `channel_order` of a data set or the one inside: `bgr`, `rgb`, `grey`.

    Files are loaded as `bgr`, and so is whatever says nothing.
    """
    while not hasattr(dataset, "channel_order"):
        if hasattr(dataset, "dataset"):
            dataset = dataset.dataset
        elif getattr(dataset, "datasets", None):
            dataset = dataset.datasets[0]
        else:
            return "bgr"
    return str(dataset.channel_order)
