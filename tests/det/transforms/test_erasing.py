"""Erasing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.painted import objects
from visuite.cv.transforms import CutOut
from visuite.det.structures import BitmapMasks
from visuite.det.transforms import RandomErasing

seeds = st.integers(0, 2**32 - 1)
BOXES = [(0, 0, 10, 10), (5, 5, 25, 20), (30, 10, 60, 40)]


@settings(max_examples=30)
@given(seeds)
def test_holes(seed: int) -> None:
    np.random.seed(seed)
    cut = CutOut((1, 3), cutout_shape=[(4, 6), (8, 2)], fill_in=(7, 8, 9))
    holes = cut.draw(objects([]))
    assert 1 <= len(holes) <= 3
    got = cut.apply(objects(BOXES), holes)
    want = objects(BOXES)["img"]
    for x1, y1, x2, y2 in holes:
        assert (x2 - x1, y2 - y1) in {(4, 6), (8, 2)} or x2 == 64 or y2 == 48
        want[y1:y2, x1:x2] = (7, 8, 9)
    assert np.array_equal(got["img"], want)
    assert got["gt_bboxes"].tolist() == [list(map(float, box)) for box in BOXES]


def test_holes_by_ratio() -> None:
    np.random.seed(0)
    holes = [CutOut(1, cutout_ratio=(0.25, 0.5)).draw(objects([]))[0] for _ in range(100)]
    assert max(x2 - x1 for x1, _, x2, _ in holes) == 16
    assert max(y2 - y1 for _, y1, _, y2 in holes) == 24
    for bad in ({}, {"cutout_shape": (1, 1), "cutout_ratio": (0.1, 0.1)}):
        with pytest.raises(ValueError, match="either"):
            CutOut(1, **bad)
    with pytest.raises(ValueError, match="n_holes"):
        CutOut((3, 1), (1, 1))


@settings(max_examples=40)
@given(seeds, st.booleans(), st.booleans())
def test_everything_is_erased_together(seed: int, squared: bool, polygons: bool) -> None:
    np.random.seed(seed)
    erase = RandomErasing((1, 4), (0.1, 0.9), squared=squared, bbox_erased_thr=0.5, img_border_value=(1, 2, 3))
    patches = erase.draw(objects([]))
    assert 1 <= len(patches) <= 4
    got = erase.apply(objects(BOXES, polygons=polygons), patches)
    gone = np.zeros((48, 64), bool)
    for x1, y1, x2, y2 in patches:
        assert 0 <= x1 <= x2 <= 64
        assert 0 <= y1 <= y2 <= 48
        if squared:
            assert abs((x2 - x1) / 64 - (y2 - y1) / 48) < 1 / 48
        gone[y1:y2, x1:x2] = True
    before = objects(BOXES)
    assert (got["img"][gone] == (1, 2, 3)).all()
    assert np.array_equal(got["img"][~gone], before["img"][~gone])
    assert np.array_equal(got["gt_seg_map"], np.where(gone, 255, before["gt_seg_map"]))
    kept = [i for i, (x1, y1, x2, y2) in enumerate(BOXES) if gone[y1:y2, x1:x2].mean() <= 0.5]
    assert got["gt_bboxes_labels"].tolist() == kept
    assert isinstance(got["gt_masks"], BitmapMasks)
    assert np.array_equal(got["gt_masks"].masks, before["gt_masks"].masks[kept] * ~gone)


def test_erasing_without_objects_and_bad_ranges() -> None:
    got: Any = RandomErasing(2, 0.5)(objects([]))
    assert got["gt_bboxes"].shape == (0, 4)
    plain: Any = RandomErasing(2, 0.5)({"img": np.zeros((8, 8), np.uint8)})
    assert (plain["img"] == 128).sum() >= 16
    for bad in ({"n_patches": (3, 1)}, {"ratio": 1.5}, {"ratio": (0.5, 0.1)}, {"bbox_erased_thr": 0}):
        with pytest.raises(ValueError, match=r"range|shares"):
            RandomErasing(**{"n_patches": 1, "ratio": 0.5, **bad})
