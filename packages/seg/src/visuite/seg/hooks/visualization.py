"""Show predicted maps beside the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from visuite.engine.hooks import VisualizationHook
from visuite.seg.registry import HOOKS

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


@HOOKS.register_module()
class SegVisualizationHook(VisualizationHook):
    """Draw samples of validation and test.

    Args:
        draw: Draw them, one in `interval` of validation and each of the test, unless `grid` alone is wanted.
        interval: One sample in so many.
        show: Open a window for each.
        wait_time: How long it stays, in seconds.
        out_dir: Where pictures go; by default to the visualizer's backends.
        enable: Another name of `draw`, as of `VisualizationHook`.
        grid: Also gather so many samples in one picture a pass, `val_grid.png` or `test_grid.png`.
        with_labels: Name the classes below each picture.
        backend_args: Accepted for configs that have it; files are read as their paths say.
    """

    def __init__(
        self,
        draw: bool = False,
        interval: int = 50,
        show: bool = False,
        wait_time: float = 0.0,
        *,
        out_dir: str | None = None,
        enable: bool = False,
        grid: int = 0,
        with_labels: bool = True,
        backend_args: Mapping[str, Any] | None = None,
    ) -> None:
        drawn = draw or show or enable
        super().__init__(drawn, interval, show, out_dir, grid=grid, wait_time=wait_time, with_labels=with_labels)

    def before_test_epoch(self, runner: Runner) -> None:
        """Begin a new grid, and draw every sample from here on."""
        super().before_test_epoch(runner)
        self.interval = 1
