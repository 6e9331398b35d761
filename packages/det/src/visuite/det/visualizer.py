"""Pictures of what a detector says, beside what is true.

Shapes: N objects, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from visuite.det.registry import VISUALIZERS
from visuite.det.structures import DetDataSample, box_tensor, in_file_frame, mask_array
from visuite.engine.structures import InstanceData
from visuite.engine.visualization import Visualizer, class_palette
from visuite.engine.visualization.colors import Color, Rgb, parse_color, readable_on


@VISUALIZERS.register_module()
class DetLocalVisualizer(Visualizer):
    """Draw boxes, masks, classes and scores.

    Args:
        bbox_color: One colour for all boxes; by default each class has its own.
        text_color: Of the letters; by default black or white, whichever is easier to read on the colour of the class.
        mask_color: One colour for all masks.
        line_width: Of the boxes, in pixels.
        alpha: How opaque masks and lines are.
        **kwargs: As of the engine's `Visualizer`.
    """

    def __init__(
        self,
        name: str = "visualizer",
        image: np.ndarray | None = None,
        *,
        bbox_color: Color | None = None,
        text_color: Color | None = None,
        mask_color: Color | None = None,
        line_width: float = 3,
        alpha: float = 0.8,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, image, **kwargs)
        self.bbox_color, self.text_color, self.mask_color = bbox_color, text_color, mask_color
        self.line_width, self.alpha = line_width, alpha

    def add_datasample(  # type: ignore[override]
        self,
        name: str,
        image: np.ndarray,
        data_sample: DetDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        *,
        out_file: str | None = None,
        pred_score_thr: float = 0.3,
        step: int = 0,
        save: bool = True,
    ) -> None:
        """Draw and keep one sample; where both are known, the truth stands to the left of the prediction.

        Args:
            name: The picture's name.
            image: RGB (H, W, 3), of the size that the sample's boxes are in.
            data_sample: Truth and prediction.
            draw_gt: Draw the truth, where it is known.
            draw_pred: Draw the prediction, where there is one.
            show: Open a window.
            wait_time: How long it stays, in seconds.
            out_file: Where to write the picture, instead of to the backends.
            pred_score_thr: Objects below this score are left out.
            step: The step of the run.
            save: Keep the picture at all, or leave it for `get_image`.
        """
        panels = []
        if data_sample is not None:
            if draw_gt and "gt_instances" in data_sample:
                true = InstanceData(**in_file_frame(data_sample.gt_instances.cpu(), data_sample))
                panels.append(self._panel(image, true))
            if draw_pred and "pred_instances" in data_sample:
                found = data_sample.pred_instances.cpu()
                panels.append(self._panel(image, found[found.scores >= pred_score_thr]))
        self.set_image(np.concatenate(panels, axis=1) if panels else image)
        self.deliver(name, show=show, wait_time=wait_time, out_file=out_file, step=step, save=save)

    def draw_instances(self, image: np.ndarray, instances: InstanceData) -> np.ndarray:
        """Return the picture (H, W, 3) of an image with objects: `bboxes`, `labels`, perhaps `masks` and `scores`."""
        return self._panel(image, instances)

    def _panel(self, image: np.ndarray, objects: InstanceData) -> np.ndarray:
        self.set_image(np.ascontiguousarray(image))
        if "labels" not in objects or len(objects) == 0:
            return self.get_image()
        labels = [int(label) for label in objects.labels]
        colors = [self._color_of(label) for label in labels]
        if "masks" in objects:
            masks = mask_array(objects.masks)
            tints: Any = colors if self.mask_color is None else [self.mask_color] * len(labels)
            self.draw_binary_masks(masks, tints, alphas=self.alpha * 0.6)
        boxes = box_tensor(objects.bboxes).float().cpu()
        seen = boxes[(boxes[:, 2:] >= boxes[:, :2]).all(dim=1)]
        edges = [c for c, box in zip(colors, boxes, strict=True) if bool((box[2:] >= box[:2]).all())]
        if len(seen):
            own: Any = edges if self.bbox_color is None else [self.bbox_color] * len(edges)
            self.draw_bboxes(seen, own, line_widths=self.line_width, alpha=self.alpha)
        self._write(boxes, labels, colors, objects.scores if "scores" in objects else None)
        return self.get_image()

    def _write(
        self, boxes: torch.Tensor, labels: Sequence[int], colors: Sequence[Rgb], scores: torch.Tensor | None
    ) -> None:
        """Write the class, and the score in percent, into the corner of each box; small objects get small letters."""
        texts = [self._name_of(label) for label in labels]
        if scores is not None:
            texts = [f"{text} {float(score) * 100:.0f}" for text, score in zip(texts, scores, strict=True)]
        area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).clamp(min=0).sqrt()
        sizes = [int(min(max(float(edge) / 10, 9), 16)) for edge in area]
        grounds = [{"facecolor": color, "edgecolor": "none", "alpha": 1.0, "pad": 1} for color in colors]
        letters: Any = [readable_on(color) for color in colors] if self.text_color is None else self.text_color
        self.draw_texts(texts, boxes[:, :2], font_sizes=sizes, colors=letters, bboxes=grounds)

    def _color_of(self, label: int) -> Rgb:
        meta: Mapping[str, Any] = self.dataset_meta or {}
        palette = meta.get("palette")
        if isinstance(palette, (list, tuple)) and label < len(palette):
            return parse_color(palette[label]) or (0, 0, 0)
        return class_palette(label + 1)[label]

    def _name_of(self, label: int) -> str:
        classes = (self.dataset_meta or {}).get("classes")
        return str(classes[label]) if classes is not None and label < len(classes) else f"class {label}"
