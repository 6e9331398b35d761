"""Polygons out of others and out of bitmaps, and what is seen of them, against what is painted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.painted import extent
from visuite.cv.masks import PolygonMasks, bitmap_to_polygons, joined_polygons, polygons_to_bitmap, visible_boxes

seeds = st.integers(0, 2**32 - 1)


def star(rng: np.random.RandomState, corners: int, reach: float) -> np.ndarray:
    """A polygon around a place that may lie outside of an image of 60 x 40, with points far in and far out."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radii = rng.uniform(0.1, 1, (corners, 1)) * reach
    return (rng.uniform(-20, 60, 2) + radii * np.column_stack([np.cos(angles), np.sin(angles)])).reshape(-1)


def is_seen_at(part: np.ndarray, axis: int, value: float, far: float) -> bool:
    """Whether a line across the image, at a value of x (axis 0) or y (1), meets a polygon between 0 and `far`."""
    points = part.reshape(-1, 2)
    crossings = []
    for one, other in zip(points, np.roll(points, -1, axis=0), strict=True):
        if (one[axis] > value) != (other[axis] > value):
            share = (value - one[axis]) / (other[axis] - one[axis])
            crossings.append(one[1 - axis] + share * (other[1 - axis] - one[1 - axis]))
    crossings.sort()
    spans = zip(crossings[::2], crossings[1::2], strict=True)  # what lies between every other pair is inside
    return any(min(end, far) > max(begin, 0) for begin, end in spans)


@settings(max_examples=50)
@given(seeds, st.integers(1, 3), st.floats(5, 120))
def test_boxes_touch_what_is_seen_at_all_sides_and_leave_nothing_out(seed: int, parts: int, reach: float) -> None:
    rng = np.random.RandomState(seed)
    size = (60, 40)
    masks = [[star(rng, rng.randint(3, 9), reach) for _ in range(parts)] for _ in range(3)]
    for box, mask in zip(visible_boxes(masks, (40, 60)), masks, strict=True):
        for axis in (0, 1):
            low, high, far = box[axis], box[axis + 2], size[1 - axis]

            def seen(*values: float, axis: int = axis, far: int = far, mask: list[np.ndarray] = mask) -> bool:
                return any(is_seen_at(part, axis, value, far) for value in values for part in mask)

            if high - low > 0.01:
                assert seen(low + 1e-3)
                assert seen(high - 1e-3)
            outside = [*np.linspace(0, low - 1e-3, 20), *np.linspace(high + 1e-3, size[axis], 20)]
            assert not seen(*[value for value in outside if 0 < value < size[axis]])


@given(seeds)
def test_a_matrix_moves_points_first(seed: int) -> None:
    rng = np.random.RandomState(seed)
    masks = [[star(rng, 5, 40)], [star(rng, 4, 20), star(rng, 6, 30)]]
    matrix = rng.uniform(-1, 1, (2, 3)) * [1, 1, 30]
    moved = [[(part.reshape(-1, 2) @ matrix[:, :2].T + matrix[:, 2]).reshape(-1) for part in mask] for mask in masks]
    assert visible_boxes(masks, (40, 60), matrix) == pytest.approx(visible_boxes(moved, (40, 60)), abs=1e-4)


def test_what_holds_the_whole_image_and_what_shows_nothing() -> None:
    around = np.array([-10.0, -10, 90, -10, 90, 90, -10, 90])
    outside = np.array([70.0, 5, 90, 5, 80, 20])
    thin = np.array([-5.0, -5, 10, -5, -5, 10])  # passes a corner
    assert visible_boxes([[around], [outside], [thin]], (40, 60)).tolist() == [
        [0, 0, 60, 40], [0, 0, 0, 0], [0, 0, 5, 5],
    ]  # fmt: skip
    assert visible_boxes([], (40, 60)).shape == (0, 4)


@settings(max_examples=60)
@given(seeds, st.integers(1, 4), st.booleans())
def test_joining_changes_neither_area_nor_boxes(seed: int, parts: int, cut: bool) -> None:
    rng = np.random.RandomState(seed)
    places = [20 * i + rng.uniform(0, 5) for i in range(parts)]
    boxes = [(x, rng.uniform(0, 15), rng.uniform(5, 14), rng.uniform(5, 20)) for x in places]
    polygons = [np.array([x, y, x + w, y, x + w, y + h, x, y + h]) for x, y, w, h in boxes]
    joined = joined_polygons(polygons)
    alone, together = PolygonMasks([polygons], 40, 90), PolygonMasks([[joined]], 40, 90)
    assert together.areas == pytest.approx(alone.areas)
    assert together.get_bboxes().numpy() == pytest.approx(alone.get_bboxes().numpy())
    # Cut where the ways between them run: these are no part of the object.
    shape = (40, int(rng.randint(5, 90))) if cut else (40, 90)
    assert visible_boxes([[joined]], shape) == pytest.approx(visible_boxes([polygons], shape), abs=1e-4)


@settings(max_examples=60)
@given(seeds, st.integers(1, 5))
def test_bitmaps_become_polygons_and_come_back(seed: int, pieces: int) -> None:
    rng = np.random.RandomState(seed)
    bitmap = np.zeros((40, 60), bool)
    for _ in range(pieces):
        x, y = rng.randint(0, 50), rng.randint(0, 30)
        w, h = rng.randint(3, 20, 2)
        bitmap[y : y + h, x : x + w] = True
        bitmap[y + h // 3 : y + h // 2, x + w // 3 : x + w // 2] = False  # a hole, perhaps
    polygons = bitmap_to_polygons(bitmap)
    back = polygons_to_bitmap(polygons, 40, 60)
    assert (back != bitmap).mean() < 0.01
    box = visible_boxes([polygons], (40, 60))[0]
    assert np.abs(box - extent(bitmap)).max() <= 0.25
    assert bitmap_to_polygons(np.zeros((5, 5), bool)) == []
