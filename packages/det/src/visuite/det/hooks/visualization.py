"""Show detections beside the truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visuite.det.registry import HOOKS
from visuite.engine.hooks import VisualizationHook

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


@HOOKS.register_module()
class DetVisualizationHook(VisualizationHook):
    """Draw samples of validation and test.

    Args:
        draw: Draw them, one in `interval` of validation and each of the test, unless `grid` alone is wanted.
        interval: One sample in so many.
        score_thr: Objects below this score are left out.
        show: Open a window for each.
        wait_time: How long it stays, in seconds.
        test_out_dir: Where pictures of the test go, in a run's own folder; by default to the visualizer's backends.
        out_dir: Where all pictures go.
        enable: Another name of `draw`, as of `VisualizationHook`.
        grid: Also gather so many samples in one picture a pass, `val_grid.png` or `test_grid.png`.
        backend_args: Accepted for configs that have it; files are read as their paths say.
    """

    def __init__(
        self,
        draw: bool = False,
        interval: int = 50,
        score_thr: float = 0.3,
        show: bool = False,
        wait_time: float = 0.0,
        *,
        test_out_dir: str | None = None,
        out_dir: str | None = None,
        enable: bool = False,
        grid: int = 0,
        backend_args: Mapping[str, Any] | None = None,
    ) -> None:
        drawn = draw or show or enable
        super().__init__(drawn, interval, show, out_dir, grid=grid, pred_score_thr=score_thr, wait_time=wait_time)
        self.test_out_dir = test_out_dir

    def before_test_epoch(self, runner: Runner) -> None:
        """Begin a new grid, and find the folder of the pictures."""
        super().before_test_epoch(runner)
        self.interval = 1
        if self.test_out_dir is not None:
            self.out_dir = str(Path(runner.work_dir, runner.timestamp, self.test_out_dir))
