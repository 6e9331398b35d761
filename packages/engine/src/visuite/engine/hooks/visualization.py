"""Show predictions beside what they were made from."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from visuite.engine.dataset import channel_order
from visuite.engine.fileio import get
from visuite.engine.hooks.hook import DataBatch, Hook
from visuite.engine.registry import HOOKS
from visuite.engine.visualization import image_grid

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


@HOOKS.register_module()
class VisualizationHook(Hook):
    """Draw samples of validation and test, each alone or together in one picture.

    What a sample looks like is the visualizer's business (`add_datasample`).

    Args:
        enable: Do anything at all.
        interval: Draw one sample in so many.
        show: Open a window for each.
        out_dir: Write there instead of to the visualizer's backends.
        grid: Also gather so many samples, spread over the whole set, in one picture a pass:
            `val_grid.png` or `test_grid.png` in the run's `vis_data` folder.
        **kwargs: Passed on to `add_datasample`.
    """

    priority = "NORMAL"

    def __init__(
        self,
        enable: bool = False,
        interval: int = 5000,
        show: bool = False,
        out_dir: str | None = None,
        grid: int = 0,
        **kwargs: Any,
    ) -> None:
        self.enable = enable
        self.interval = interval
        self.show = show
        self.out_dir = out_dir
        self.grid = grid
        self.draw_args = kwargs
        self._cells: list[np.ndarray] = []

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin a new grid."""
        self._cells = []

    before_test_epoch = before_val_epoch

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Draw from a validation batch."""
        self._draw_batch(runner, batch_idx, data_batch, outputs or (), "val")

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Draw from a test batch."""
        self._draw_batch(runner, batch_idx, data_batch, outputs or (), "test")

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write the grid of this validation."""
        self._write_grid(runner, "val")

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write the grid of the test."""
        self._write_grid(runner, "test")

    def _draw_batch(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch, outputs: Sequence[Any], mode: str
    ) -> None:
        if not (self.enable or self.grid):
            return
        loader = runner.val_dataloader if mode == "val" else runner.test_dataloader
        size, batch_size = len(loader.dataset), loader.batch_sampler.batch_size
        apart = max(1, size // self.grid) if self.grid else 0
        for index, sample in enumerate(outputs):
            number = batch_idx * batch_size + index
            due = self.enable and number % self.interval == 0
            in_grid = apart and number % apart == 0 and len(self._cells) < self.grid
            if due or in_grid:
                image = picture_of(sample, data_batch, index, channel_order(loader.dataset))
                self._draw(runner, image, sample, f"{mode}_{number}", keep=due, in_grid=bool(in_grid))

    def _draw(self, runner: Runner, image: np.ndarray, sample: Any, name: str, *, keep: bool, in_grid: bool) -> None:
        visualizer = runner.visualizer
        out_file = str(Path(self.out_dir, f"{name}.png")) if self.out_dir and keep else None
        visualizer.add_datasample(
            name,
            image,
            data_sample=sample,
            show=self.show and keep,
            # A sample that is only wanted in the grid is drawn and left unsaved.
            **({"out_file": out_file} if keep else {"save": False}),
            step=runner.iter,
            **self.draw_args,
        )
        if in_grid:
            self._cells.append(visualizer.get_image())

    def _write_grid(self, runner: Runner, mode: str) -> None:
        if self._cells and runner.rank == 0:
            path = Path(runner.log_dir, "vis_data", f"{mode}_grid.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            columns = int(np.ceil(np.sqrt(len(self._cells))))
            save_png(image_grid(self._cells, columns=columns), path)
            runner.logger.info(f"predictions drawn in {path}")


def save_png(image: np.ndarray, path: str | Path) -> None:
    """Write an RGB picture (H, W, 3) as PNG."""
    from PIL import Image

    Image.fromarray(image).save(path)


def picture_of(sample: Any, data_batch: Any, index: int, order: str = "bgr") -> np.ndarray:
    """Return what a sample shows, RGB uint8 (H, W, 3): its file, or else what the model was given, in `order`."""
    path = sample.get("img_path") if hasattr(sample, "get") else None
    if path is not None:
        from PIL import Image, ImageOps

        with Image.open(io.BytesIO(get(path))) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    inputs = data_batch["inputs"] if isinstance(data_batch, dict) else data_batch[0]
    return to_rgb(inputs[index], order)


def to_rgb(tensor: torch.Tensor, order: str = "bgr") -> np.ndarray:
    """Return a (C, H, W) tensor as RGB uint8 (H, W, 3); what is not bytes is stretched to the full range.

    Args:
        tensor: The first three of its channels are shown, or the only one.
        order: `bgr`, as files are loaded, or `rgb`.
    """
    image = tensor.detach().float().cpu()
    if tensor.dtype != torch.uint8:
        low, high = image.amin(), image.amax()
        image = (image - low) / (high - low).clamp(min=1e-6) * 255
    image = image[:3] if image.shape[0] >= 3 else image[:1].expand(3, -1, -1)
    if order == "bgr":
        image = image.flip(0)
    return image.round().to(torch.uint8).permute(1, 2, 0).numpy()
