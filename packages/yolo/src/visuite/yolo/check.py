"""What the check of a config looks at in YOLOs: what it does in detection, and the parts that only they have."""

from __future__ import annotations

from visuite.det.check import register
from visuite.engine.check import Route, register_route
from visuite.engine.registry import DATASETS, TASK_UTILS

register("yolo")
register_route("yolo", DATASETS, "batch_shapes_cfg", Route(TASK_UTILS, needs_type=True))
