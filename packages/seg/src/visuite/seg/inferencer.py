"""Maps of classes for pictures that are no data set.

Shapes: H rows, W columns.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from visuite.engine.config import Config
from visuite.engine.fileio import join_path, put
from visuite.engine.infer import BaseInferencer
from visuite.engine.infer.inputs import Item
from visuite.seg.registry import INFERENCERS
from visuite.seg.structures import SegDataSample
from visuite.seg.visualizer import class_map_image, facts_about


@INFERENCERS.register_module(["SegInferencer", "MMSegInferencer"])
class SegInferencer(BaseInferencer):
    """Tell the class of each pixel of files, folders, globs, arrays, videos and URLs.

        {"sem_seg": <array (H, W)>, "labels": [0, 4], "shares": [0.7, 0.3], "classes": ["road", "car"]}

    `labels` are the classes that are there, with their shares of the pixels and their names, where these are known.
    Maps are written as PNG with the palette, `preds/NAME.png`.

    Args:
        model: As of `BaseInferencer`, like `weights`, `device`, `scope` and `show_progress`.
        weights: See there.
        classes: The names of the classes; by default those in the checkpoint, else those of the config's data.
        palette: Their colours; likewise.
        dataset_name: Of a known data set, whose names and colours are taken.
        device: See there.
        scope: See there.
        show_progress: See there.
    """

    own_scope = "seg"
    own_visualizer = "SegLocalVisualizer"
    visualize_kwargs: ClassVar[set[str]] = {"show", "wait_time", "draw_pred", "return_vis", "with_labels", "opacity"}

    def __init__(
        self,
        model: str | Path | Config | Mapping[str, Any] | nn.Module | None = None,
        weights: str | None = None,
        classes: Sequence[str] | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        dataset_name: str | None = None,
        *,
        device: str | torch.device | None = None,
        scope: str | None = None,
        show_progress: bool = True,
    ) -> None:
        super().__init__(model, weights, device=device, scope=scope, show_progress=show_progress)
        known = {} if dataset_name is None else facts_about(dataset_name)
        given = {key: value for key, value in (("classes", classes), ("palette", palette)) if value is not None}
        if known or given:
            self.model.dataset_meta = {**(self.model.dataset_meta or {}), **known, **given}
            self.visualizer.dataset_meta = self.model.dataset_meta

    def visualize(
        self,
        inputs: Sequence[Any],
        preds: Sequence[Any],
        show: bool = False,
        wait_time: float = 0,
        draw_pred: bool = True,
        return_vis: bool = False,
        **kwargs: Any,
    ) -> list[np.ndarray] | None:
        """Draw predictions as `BaseInferencer` does, with colours as opaque as `opacity` says, from 0 to 1."""
        visualizer: Any = self.visualizer
        usual = visualizer.alpha
        visualizer.alpha = kwargs.pop("opacity", usual)
        try:
            return super().visualize(inputs, preds, show, wait_time, draw_pred, return_vis, **kwargs)
        finally:
            visualizer.alpha = usual

    def pred2dict(self, data_sample: SegDataSample) -> dict[str, Any]:
        """Return the map of an image, and which classes it has."""
        sem_seg = data_sample.pred_sem_seg.data[0].cpu().numpy()
        labels, counts = np.unique(sem_seg, return_counts=True)
        result: dict[str, Any] = {
            "sem_seg": sem_seg,
            "labels": labels.tolist(),
            "shares": (counts / sem_seg.size).tolist(),
        }
        classes = (self.model.dataset_meta or {}).get("classes")
        if classes is not None:
            result["classes"] = [str(classes[label]) for label in result["labels"]]
        return result

    def summary(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return a result without its map."""
        return {key: value for key, value in result.items() if key != "sem_seg"}

    def write_predictions(self, items: Sequence[Item], predictions: Sequence[Any], out_dir: str) -> None:
        """Write the map of each item, `preds/STEM.png` in `out_dir`."""
        palette = (self.model.dataset_meta or {}).get("palette") or ()
        for item, one in zip(items, predictions, strict=True):
            sem_seg = one.pred_sem_seg.data[0].cpu().numpy() if isinstance(one, SegDataSample) else one["sem_seg"]
            content = io.BytesIO()
            class_map_image(sem_seg, palette).save(content, format="PNG")
            put(content.getvalue(), join_path(out_dir, "preds", f"{item.stem}.png"))
