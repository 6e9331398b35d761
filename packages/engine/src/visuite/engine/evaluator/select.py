"""Finding one metric among the results of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visuite.engine.utils.text import did_you_mean


def get_metric_value(indicator: str, metrics: Mapping[str, Any]) -> Any:
    """Return the metric called `indicator`, with its prefix (`'coco/bbox_mAP'`) or without (`'bbox_mAP'`).

    Raises:
        ValueError: no metric has this name, or, without a prefix, several do.
    """
    if indicator in metrics:
        return metrics[indicator]
    found = [] if "/" in indicator else [name for name in metrics if name.rpartition("/")[2] == indicator]
    if len(found) == 1:
        return metrics[found[0]]
    if found:
        raise ValueError(f"the metric {indicator!r} is given by several: say which of {found}")
    names = [*metrics, *(name.rpartition("/")[2] for name in metrics)]
    raise ValueError(f"there is no metric {indicator!r}{did_you_mean(indicator, names)} (there are {list(metrics)})")
