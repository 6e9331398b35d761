"""Pictures of predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visuite.cls.structures import DataSample
from visuite.cls.visualizer import UniversalVisualizer
from visuite.cv.image import imread

GREY = np.full((32, 48, 3), 90, np.uint8)


def drawn(sample: DataSample | None, **kwargs: object) -> np.ndarray:
    visualizer = UniversalVisualizer("test")
    visualizer.dataset_meta = {"classes": ("ant", "bee", "cat")}
    return visualizer.visualize_cls(GREY, sample, **kwargs)


def colours(picture: np.ndarray) -> set[str]:
    """Which of the colours of a verdict the picture has."""
    r, g, b = picture.astype(int).transpose(2, 0, 1)
    seen = {"red": (r > g + 60) & (r > b + 60), "green": (g > r + 60) & (g > b + 60)}
    return {name for name, where in seen.items() if where.any()}


def test_small_images_are_enlarged() -> None:
    assert drawn(None).shape == (160, 240, 3)
    assert drawn(None, rescale_factor=2).shape == (64, 96, 3)
    assert drawn(None, resize=64).shape == (64, 96, 3)
    assert drawn(None, resize=(50, 40)).shape == (40, 50, 3)


def test_right_is_green_and_wrong_is_red() -> None:
    right = DataSample().set_gt_label(1).set_pred_label(1).set_pred_score([0.1, 0.8, 0.1])
    wrong = DataSample().set_gt_label(1).set_pred_label(2)
    assert colours(drawn(right)) == {"green"}
    assert colours(drawn(wrong)) == {"red"}
    assert colours(drawn(wrong, draw_pred=False)) == set()
    assert np.array_equal(drawn(wrong, draw_pred=False, draw_gt=False), drawn(None))
    assert not np.array_equal(drawn(right), drawn(right, draw_score=False))


def test_writes_a_file_through_the_hook_s_call(tmp_path: Path) -> None:
    visualizer = UniversalVisualizer("file")
    sample = DataSample().set_gt_label(1)
    visualizer.add_datasample("x", GREY, data_sample=sample, out_file=str(tmp_path / "a" / "x.png"), step=3)
    assert np.array_equal(imread(tmp_path / "a" / "x.png", channel_order="rgb"), visualizer.get_image())
    visualizer.add_datasample("y", GREY, data_sample=sample, save=False)


def test_labels_without_names() -> None:
    visualizer = UniversalVisualizer("none")
    named = visualizer.visualize_cls(GREY, DataSample().set_gt_label(1), classes=("a", "b"))
    assert not np.array_equal(named, visualizer.visualize_cls(GREY, DataSample().set_gt_label(1)))
    with pytest.raises(IndexError):
        visualizer.visualize_cls(GREY, DataSample().set_gt_label(7), classes=("a", "b"))
