"""Crops: what is drawn, and what is dropped. That objects follow is in test_following.py."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.painted import Box, objects
from visuite.det.transforms import Expand, MinIoURandomCrop, RandomCenterCropPad, RandomCrop, RandomShift
from visuite.det.transforms.cropping import Canvas

seeds = st.integers(0, 2**32 - 1)
RANGES: dict[str, tuple[Any, tuple[int, int], tuple[int, int]]] = {
    "absolute": ((30, 20), (30, 30), (20, 20)),
    "absolute_range": ((10, 40), (10, 40), (10, 40)),
    "relative": ((0.5, 0.25), (32, 32), (12, 12)),
    "relative_range": ((0.5, 0.25), (32, 64), (12, 48)),
}


@pytest.mark.parametrize("crop_type", RANGES)
@settings(max_examples=30)
@given(seeds)
def test_windows(crop_type: str, seed: int) -> None:
    np.random.seed(seed)
    size, wide, tall = RANGES[crop_type]
    x1, y1, x2, y2 = RandomCrop(size, crop_type).draw(objects([]))
    assert 0 <= x1 < x2 <= 64
    assert 0 <= y1 < y2 <= 48
    assert wide[0] <= x2 - x1 <= wide[1]
    assert tall[0] <= y2 - y1 <= tall[1]


def test_windows_reach_everywhere() -> None:
    np.random.seed(0)
    drawn = np.array([RandomCrop((60, 44)).draw(objects([])) for _ in range(300)])
    assert set(drawn[:, 0].tolist()) == set(range(5))
    assert set(drawn[:, 1].tolist()) == set(range(5))
    assert RandomCrop((100, 20)).draw(objects([]))[0::2] == (0, 64)


def test_windows_without_objects() -> None:
    window = (0, 0, 10, 10)
    assert RandomCrop((10, 10)).apply(objects([(20, 20, 30, 30)]), window) is None
    got = RandomCrop((10, 10), allow_negative_crop=True).apply(objects([(20, 20, 30, 30)]), window)
    assert got is not None
    assert got["gt_bboxes"].shape == (0, 4)
    assert RandomCrop((10, 10)).apply(objects([]), window) is None
    assert RandomCrop((10, 10)).apply({"img": np.zeros((48, 64, 3))}, window) is not None


def test_boxes_are_made_anew_from_masks() -> None:
    before = objects([(2, 2, 40, 40)])
    before["gt_masks"].masks[0, :, :20] = 0
    plain = RandomCrop((30, 30)).apply(dict(before), (10, 10, 40, 40))
    assert plain is not None
    assert plain["gt_bboxes"].tolist() == [[0, 0, 30, 30]]
    fitted = RandomCrop((30, 30), recompute_bbox=True).apply(dict(before), (10, 10, 40, 40))
    assert fitted is not None
    assert fitted["gt_bboxes"].tolist() == [[10, 0, 30, 30]]
    assert fitted["gt_bboxes"].dtype == np.float32


def test_bad_crops() -> None:
    with pytest.raises(ValueError, match="absolute_range"):
        RandomCrop((10, 20), "absolut_range")
    for size, kind in (
        ((0, 4), "absolute"),
        ((0.5, 2), "relative"),
        ((0.5, 0.5), "absolute"),
        ((9, 4), "absolute_range"),
    ):
        with pytest.raises(ValueError, match="crop_size"):
            RandomCrop(size, kind)


boxes = st.builds(
    lambda x, y, w, h: (x, y, min(x + w, 64), min(y + h, 48)),
    st.integers(0, 54), st.integers(0, 38), st.integers(8, 64), st.integers(8, 48),
)  # fmt: skip


@settings(max_examples=20)
@given(seeds, st.lists(boxes, min_size=1, max_size=2), st.sampled_from([0.1, 0.3, 0.7]))
def test_windows_overlap_all_objects_enough(seed: int, given_boxes: list[Box], least: float) -> None:
    np.random.seed(seed)
    crop = MinIoURandomCrop([least], 0.3)
    before = objects(given_boxes)
    with mock.patch("numpy.random.choice", return_value=least):  # neither no crop nor any crop
        drawn = crop.draw(before)
    if drawn is None:  # there may be no such window
        return
    x1, y1, x2, y2 = drawn
    assert 0 <= x1 < x2 <= 64
    assert 0 <= y1 < y2 <= 48
    assert x2 - x1 >= 0.3 * 64 - 1
    assert y2 - y1 >= 0.3 * 48 - 1
    ious = []
    for a1, b1, a2, b2 in given_boxes:
        common = max(min(a2, x2) - max(a1, x1), 0) * max(min(b2, y2) - max(b1, y1), 0)
        ious.append(common / ((x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - common))
    inside = [x1 < (a1 + a2) / 2 < x2 and y1 < (b1 + b2) / 2 < y2 for a1, b1, a2, b2 in given_boxes]
    assert any(inside)
    got = crop.apply(before, drawn)
    assert got["gt_bboxes_labels"].tolist() == [i for i, one in enumerate(inside) if one]
    assert min(ious) >= least


def test_least_overlaps_are_drawn() -> None:
    np.random.seed(0)
    before = objects([(0, 0, 40, 48)])
    drawn = [MinIoURandomCrop([0.5]).draw(before) for _ in range(600)]
    kept = [one for one in drawn if one is not None]
    assert len(kept) / len(drawn) == pytest.approx(2 / 3, abs=0.06)  # a third of the images stays whole
    assert all((y2 - y1 + 1) / (x2 - x1) >= 0.5 and (y2 - y1) / (x2 - x1 + 1) <= 2 for x1, y1, x2, y2 in kept)
    empty = [MinIoURandomCrop().draw(objects([])) for _ in range(50)]
    assert any(one is not None for one in empty)


def test_expand() -> None:
    got = Expand(mean=(1, 2, 3), ratio_range=(1, 4)).apply(objects([(0, 0, 10, 10)]), Canvas((100, 90), 20, 30))
    assert got["img_shape"] == (90, 100)
    assert got["img"][0, 0].tolist() == [3, 2, 1]  # the mean is given as RGB
    assert got["gt_bboxes"].tolist() == [[20, 30, 30, 40]]
    assert got["gt_seg_map"][0, 0] == 255
    np.random.seed(0)
    drawn = [Expand(ratio_range=(1, 2), prob=0.3).draw(objects([])) for _ in range(2000)]
    kept = [one for one in drawn if one is not None]
    assert len(kept) / 2000 == pytest.approx(0.3, abs=0.03)
    assert all(abs(one.size[0] / one.size[1] - 64 / 48) < 0.05 for one in kept)
    assert all(0 <= one.left <= one.size[0] - 64 and 0 <= one.top <= one.size[1] - 48 for one in kept)


def test_shift() -> None:
    before = objects([(0, 0, 10, 10), (30, 20, 50, 40)])
    got = RandomShift(filter_thr_px=4).apply(dict(before), (-6, 5))
    assert got["gt_bboxes"].tolist() == [[24, 25, 44, 45]]  # of the first, 4 columns are left
    assert np.array_equal(got["img"][5:, :-6], before["img"][:-5, 6:])
    assert not got["img"][:5].any()
    lost = objects([(0, 0, 10, 10)])
    assert RandomShift().apply(dict(lost), (-20, 0))["gt_bboxes"].tolist() == [[0, 0, 10, 10]]
    np.random.seed(0)
    shifts = np.array([RandomShift(1.0, 3).draw(lost) for _ in range(300)])
    assert {tuple(one) for one in np.unique(shifts, axis=0).tolist()} == {
        (x, y) for x in range(-3, 4) for y in range(-3, 4)
    }


def test_center_crop_pad_in_a_test() -> None:
    options: dict[str, Any] = {"test_mode": True, "mean": (1, 2, 3), "to_rgb": True}
    got = RandomCenterCropPad(**options, test_pad_mode=("logical_or", 31))(objects([(0, 0, 10, 10)]))
    assert got is not None
    assert got["img_shape"] == (63, 95)  # 48 | 31 and 64 | 31
    top, below, left, right = got["border"]
    assert (below - top, right - left) == (48, 64)
    assert (top, left) == (63 // 2 - 24, 95 // 2 - 32)
    assert got["gt_bboxes"].tolist() == [[left, top, left + 10, top + 10]]
    assert got["img"][0, 0].tolist() == [3, 2, 1]
    got = RandomCenterCropPad(**options, test_pad_mode=("size_divisor", 40), test_pad_add_pix=1)(objects([]))
    assert got is not None
    assert got["img_shape"] == (81, 81)


@settings(max_examples=40)
@given(seeds)
def test_center_crop_pad_in_training(seed: int) -> None:
    np.random.seed(seed)
    crop = RandomCenterCropPad((40, 30), (0.5, 1.0, 2.0), border=16)
    x1, y1, x2, y2 = crop.draw(objects([]))
    assert (x2 - x1, y2 - y1) in {(20, 15), (40, 30), (80, 60)}
    assert 16 <= x1 + (x2 - x1) // 2 < 48
    assert 16 <= y1 + (y2 - y1) // 2 < 32
    got = crop.apply(objects([(30, 20, 40, 30)]), (x1, y1, x2, y2))
    top, below, left, right = got["border"].astype(int)
    source = objects([(30, 20, 40, 30)])["img"]
    assert np.array_equal(got["img"][top:below, left:right], source[max(y1, 0) : y2, max(x1, 0) : x2])


def test_bad_center_crops() -> None:
    with pytest.raises(ValueError, match="crop_size"):
        RandomCenterCropPad()
    with pytest.raises(ValueError, match="crop_size"):
        RandomCenterCropPad((4, 4), test_mode=True)
    with pytest.raises(ValueError, match="test_pad_mode"):
        RandomCenterCropPad(test_mode=True, test_pad_mode=("both", 3))
