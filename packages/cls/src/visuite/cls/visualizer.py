"""Pictures of what a classifier says, beside what is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from visuite.cls.registry import VISUALIZERS
from visuite.cls.structures import DataSample
from visuite.cv.image import imrescale, imresize
from visuite.engine.visualization import Visualizer

#: Smaller pictures are enlarged to this shorter edge in pixels, so that text fits in.
_READABLE = 160
_GOOD, _BAD, _NEUTRAL = (30, 200, 80), (255, 80, 60), (255, 255, 255)


@VISUALIZERS.register_module()
class UniversalVisualizer(Visualizer):
    """Draw images with their classes; arguments as of the engine's `Visualizer`."""

    def visualize_cls(
        self,
        image: np.ndarray,
        data_sample: DataSample | None = None,
        *,
        classes: Sequence[str] | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        draw_score: bool = True,
        resize: int | tuple[int, int] | None = None,
        rescale_factor: float | None = None,
        text_cfg: Mapping[str, Any] | None = None,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        name: str = "",
        step: int = 0,
        save: bool = True,
    ) -> np.ndarray:
        """Draw an image with its true and its predicted classes; the prediction is green where it is right.

        Args:
            image: RGB (H, W, 3).
            data_sample: Truth and prediction.
            classes: Names of the classes; by default those of the data set.
            draw_gt: Draw the truth, where it is known.
            draw_pred: Draw the prediction, where there is one.
            draw_score: Draw its score too.
            resize: The shorter edge, or (w, h), of the picture.
            rescale_factor: How much larger than the image the picture is. With neither, small images are enlarged.
            text_cfg: Arguments of `draw_texts`.
            show: Open a window.
            wait_time: How long it stays, in seconds.
            out_file: Where to write the picture, instead of to the backends.
            name: The picture's name.
            step: The step of the run.
            save: Hand the picture to the backends, if `name` is given and `out_file` is not.

        Returns:
            The picture, RGB (H', W', 3).
        """
        self.set_image(np.ascontiguousarray(_enlarged(image, resize, rescale_factor)))
        known = classes if classes is not None else (self.dataset_meta or {}).get("classes")
        lines = _lines(data_sample, known, draw_gt=draw_gt, draw_pred=draw_pred, draw_score=draw_score)
        self._write(lines, text_cfg or {})
        self.deliver(
            name or "image", show=show, wait_time=wait_time, out_file=out_file, step=step, save=save and bool(name)
        )
        return self.get_image()

    def add_datasample(
        self, name: str, image: np.ndarray, data_sample: DataSample | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """Draw and keep one sample; arguments as of `visualize_cls`, the next being `draw_gt` and `draw_pred`."""
        kwargs |= dict(zip(("draw_gt", "draw_pred"), args, strict=False))
        self.visualize_cls(image, data_sample, name=name, **kwargs)

    def _write(self, lines: Sequence[tuple[str, tuple[int, int, int]]], text_cfg: Mapping[str, Any]) -> None:
        """Write lines below one another, each on a dark ground."""
        h, w = self.get_image().shape[:2]
        size = max(10, min(h, w) // 14)
        style: dict[str, Any] = {
            "font_sizes": size,
            "bboxes": {"facecolor": "black", "edgecolor": "none", "alpha": 0.6, "pad": 2},
            **text_cfg,
        }
        for row, (text, color) in enumerate(lines):
            place = np.array([[4.0, 4.0 + row * (size * 1.4 + 4)]])
            self.draw_texts([text], place, **{"colors": color, **style})


def _lines(
    sample: DataSample | None, classes: Sequence[str] | None, *, draw_gt: bool, draw_pred: bool, draw_score: bool
) -> list[tuple[str, tuple[int, int, int]]]:
    """Return what is written on the picture, and in which colour."""
    if sample is None:
        return []
    truth, guess = _labels(sample, "gt"), _labels(sample, "pred")
    lines = []
    if draw_gt and truth is not None:
        lines.append((f"truth: {_names(truth, classes)}", _NEUTRAL))
    if draw_pred and guess is not None:
        scores = sample.get("pred_score") if draw_score else None
        color = _NEUTRAL if truth is None else _GOOD if set(guess) == set(truth) else _BAD
        lines.append((f"guess: {_names(guess, classes, scores)}", color))
    return lines


def _labels(sample: DataSample, kind: str) -> list[int] | None:
    """Return the labels of a sample, or the best of its scores."""
    label, score = sample.get(f"{kind}_label"), sample.get(f"{kind}_score")
    if label is not None:
        return [int(one) for one in label]
    return None if score is None else [int(score.argmax())]


def _names(labels: Sequence[int], classes: Sequence[str] | None, scores: torch.Tensor | None = None) -> str:
    words = [str(label) if classes is None else str(classes[label]) for label in labels]
    if scores is not None:
        words = [f"{word} {float(scores[label]):.2f}" for word, label in zip(words, labels, strict=True)]
    return ", ".join(words)


def _enlarged(image: np.ndarray, resize: int | tuple[int, int] | None, factor: float | None) -> np.ndarray:
    if isinstance(resize, tuple):
        return imresize(image, resize)
    short = min(image.shape[:2])
    if resize is not None:
        return imrescale(image, resize / short)
    if factor is not None:
        return imrescale(image, factor)
    return image if short >= _READABLE else imrescale(image, -(-_READABLE // short), interpolation="nearest")
