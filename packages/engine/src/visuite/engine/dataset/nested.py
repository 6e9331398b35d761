"""Configs of data sets that hold others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def inner_dataset(cfg: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the config of the data set inside its wrappers; of several side by side, that of the first."""
    while "pipeline" not in cfg and ("dataset" in cfg or "datasets" in cfg):
        cfg = cfg["dataset"] if "dataset" in cfg else cfg["datasets"][0]
    return cfg
