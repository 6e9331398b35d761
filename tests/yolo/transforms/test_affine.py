"""The random affine map: objects follow, boxes of masks are tight, and what is too small goes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.det.transforms.test_mixing import images
from tests.painted import assert_followed, extent, objects
from visuite.cv.masks import PolygonMasks
from visuite.yolo.transforms import YOLOv5RandomAffine
from visuite.yolo.transforms.affine import AffineDraw

seeds = st.integers(0, 2**32 - 1)
_ALL = {"min_bbox_size": 0, "min_area_ratio": 0, "max_aspect_ratio": 1e9, "border_val": 0}


def shifted(dx: float, dy: float, factor: float = 1.0) -> AffineDraw:
    return AffineDraw(np.array([[factor, 0, dx], [0, factor, dy]]), factor)


@settings(max_examples=60)
@given(seeds, st.booleans(), st.booleans())
def test_objects_follow(seed: int, polygons: bool, clip: bool) -> None:
    np.random.seed(seed)
    [one] = images(seed, 1, polygons=polygons)
    affine = YOLOv5RandomAffine(0, 0.3, max_shear_degree=0, border=(5, -4), bbox_clip_border=clip, **_ALL)
    h, w = one["img_shape"]
    got = affine(one)
    assert got["img_shape"] == (h - 8, w + 10)
    assert_followed(got, tolerance=1.5)


@settings(max_examples=60)
@given(seeds, st.booleans())
def test_boxes_of_masks_are_tight_however_the_image_turns(seed: int, polygons: bool) -> None:
    np.random.seed(seed)
    [one] = images(seed, 1, polygons=polygons)
    got = YOLOv5RandomAffine(180, 0.4, max_shear_degree=20, use_mask_refine=True, **_ALL)(one)
    for label, box in zip(got["gt_bboxes_labels"], got["gt_bboxes"], strict=True):
        seen = extent(got["img"][..., label] > 127)
        slivers = (box[2:] - box[:2]).min() < 4  # sharp corners of which no pixel is half covered
        assert slivers or np.abs(seen - box).max() <= 2.5, (seen, box)


def test_turned_boxes_grow_and_masks_keep_them_tight() -> None:
    corners = np.array([20.0, 10, 30, 20, 20, 30, 10, 20])  # a square on its corner
    turn = AffineDraw(np.array([[0.5, -0.5, 20.0], [0.5, 0.5, 0]]) * [[2**0.5, 2**0.5, 1]], 1.0)  # by 45 degrees

    def got(refine: bool) -> np.ndarray:
        one = objects([(10, 10, 30, 30)], (40, 40))
        one["gt_masks"] = PolygonMasks([[corners]], 40, 40)
        return YOLOv5RandomAffine(use_mask_refine=refine, bbox_clip_border=False, **_ALL).apply(one, turn)["gt_bboxes"][
            0
        ]

    tight, grown = got(True), got(False)
    side = 200**0.5
    assert (tight[2:] - tight[:2]).tolist() == pytest.approx([side, side], abs=1e-3)
    assert (grown[2:] - grown[:2]).tolist() == pytest.approx([2 * side, 2 * side], abs=1e-3)


def test_the_middle_goes_to_the_middle() -> None:
    one = objects([(10, 5, 30, 15)], (40, 20))
    affine = YOLOv5RandomAffine(0, 0, max_shear_degree=0, scaling_ratio_range=(0.5, 0.5), border=(-10, 0), **_ALL)
    got = affine(one)
    assert got["img"].shape == (20, 20, 3)
    assert got["gt_bboxes"].tolist() == [[5, 7.5, 15, 12.5]]


def test_a_map_that_changes_nothing_leaves_the_pixels_alone() -> None:
    one = objects([(10, 5, 30, 15)], (40, 20))
    before = one["img"]
    still = YOLOv5RandomAffine(0, 0, max_shear_degree=0, scaling_ratio_range=(1, 1))
    assert still(one)["img"] is before
    cut = YOLOv5RandomAffine(0, 0, max_shear_degree=0, scaling_ratio_range=(1, 1), border=(-10, -5))(one)
    assert np.array_equal(cut["img"], before[5:15, 10:30])


@pytest.mark.parametrize(
    ("box", "drawn", "options", "stays"),
    [
        ((0, 0, 20, 20), shifted(-18.5, 0), {}, False),  # 1.5 wide
        ((0, 0, 20, 20), shifted(-17, 0), {}, True),  # 3 of 20 columns: more than a tenth
        ((0, 0, 40, 20), shifted(-37, 0), {}, False),  # 3 of 40 columns
        ((0, 0, 40, 20), shifted(-37, 0), {"min_area_ratio": 0.01}, True),
        ((0, 0, 40, 20), shifted(0, 0, 0.5), {}, True),  # smaller, but all of it is there
        ((0, 0, 63, 3), shifted(0, 0), {}, False),  # 21 times as wide as high
        ((0, 0, 63, 3), shifted(0, 0), {"max_aspect_ratio": 100}, True),
        ((0, 0, 3, 48), shifted(0, 0), {"max_aspect_ratio": 10}, False),
        ((0, 0, 20, 20), shifted(0, 0, 0.2), {"min_bbox_size": 4}, False),
    ],
)
def test_what_stays(box: Any, drawn: AffineDraw, options: dict[str, Any], stays: bool) -> None:
    got = YOLOv5RandomAffine(**options).apply(objects([box, (30, 25, 50, 45)], (64, 48)), drawn)
    assert (0 in got["gt_bboxes_labels"]) == stays
    assert len(got["gt_masks"]) == len(got["gt_bboxes"]) == len(got["gt_ignore_flags"])


def test_draws_lie_in_their_ranges() -> None:
    np.random.seed(0)
    affine = YOLOv5RandomAffine(10, 0.1, scaling_ratio_range=(0.5, 1.5), max_shear_degree=0)
    drawn = [affine.draw(objects([], (40, 20))) for _ in range(500)]
    factors = np.array([one.factor for one in drawn])
    assert [factors.min(), factors.max()] == pytest.approx([0.5, 1.5], abs=0.02)
    assert [abs(np.linalg.det(one.matrix[:, :2])) ** 0.5 for one in drawn] == pytest.approx(factors.tolist())
    middles = np.array([one.matrix[:, :2] @ (20, 10) + one.matrix[:, 2] for one in drawn])
    assert middles.min(axis=0).tolist() == pytest.approx([16, 8], abs=0.2)
    assert middles.max(axis=0).tolist() == pytest.approx([24, 12], abs=0.2)
    turns = np.degrees([np.arctan2(one.matrix[0, 1], one.matrix[0, 0]) for one in drawn])
    assert [turns.min(), turns.max()] == pytest.approx([-10, 10], abs=0.3)
    for bad in ({"max_translate_ratio": 2}, {"scaling_ratio_range": (0, 1)}):
        with pytest.raises(ValueError, match="range of positive factors"):
            YOLOv5RandomAffine(**bad)


def test_images_without_objects() -> None:
    np.random.seed(0)
    got = YOLOv5RandomAffine(use_mask_refine=True)(objects([], (40, 20), polygons=True))
    assert got["gt_bboxes"].shape == (0, 4)
    bare = {"img": np.zeros((20, 40, 3), np.uint8), "img_shape": (20, 40)}
    assert YOLOv5RandomAffine()(bare)["img"].shape == (20, 40, 3)
