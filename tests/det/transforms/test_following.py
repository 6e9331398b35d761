"""Whatever moves: boxes, labels, flags and masks follow what is painted."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.painted import Box, assert_followed, extent, objects
from visuite.cv.transforms import (
    BaseTransform,
    Pad,
    RandomAffine,
    RandomFlip,
    RandomTransform,
    Resize,
    ResizeShortestEdge,
)
from visuite.det.registry import TRANSFORMS
from visuite.det.structures import PolygonMasks
from visuite.det.transforms import (
    Expand,
    FixScaleResize,
    FixShapeResize,
    MinIoURandomCrop,
    RandomCenterCropPad,
    RandomCrop,
    RandomShift,
    Rotate,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
)
from visuite.engine.registry import init_default_scope

STRAIGHT: dict[str, BaseTransform] = {
    "resize": Resize((90, 50)),
    "flip": RandomFlip(0.9, ["horizontal", "vertical", "diagonal"]),
    "pad": Pad(size_divisor=32),
    "fix-shape": FixShapeResize(90, 90, keep_ratio=True),
    "fix-scale": FixScaleResize((100, 80), keep_ratio=True),
    "shortest-edge": ResizeShortestEdge(60, 72),
    "crop": RandomCrop((30, 200), allow_negative_crop=True),
    "crop-range": RandomCrop((10, 40), "absolute_range", allow_negative_crop=True),
    "crop-relative": RandomCrop((0.5, 0.7), "relative", allow_negative_crop=True),
    "crop-relative-range": RandomCrop((0.3, 0.4), "relative_range", allow_negative_crop=True),
    "crop-unclipped": RandomCrop((30, 20), allow_negative_crop=True, bbox_clip_border=False),
    "crop-recompute": RandomCrop((30, 20), allow_negative_crop=True, recompute_bbox=True),
    "expand": Expand(ratio_range=(1, 3), prob=0.9),
    "translate-x": TranslateX(max_mag=0.4, img_border_value=0),
    "translate-y": TranslateY(max_mag=0.4, img_border_value=0),
    "center-crop-pad-test": RandomCenterCropPad(test_mode=True, test_pad_mode=("logical_or", 127)),
}
#: These drop objects that are still seen: their middle has left the image, or little of them is left.
DROPPING: dict[str, BaseTransform] = {
    "shift": RandomShift(prob=0.9, max_shift_px=20),
    "min-iou": MinIoURandomCrop(),
    "center-crop-pad": RandomCenterCropPad((40, 30), border=20),
    "center-crop-pad-large": RandomCenterCropPad((90, 70), border=20, ratios=(0.6, 1.3)),
}
#: These turn rectangles into other shapes, of which boxes hold the corners.
OBLIQUE: dict[str, BaseTransform] = {
    "rotate": Rotate(img_border_value=0),
    "shear-x": ShearX(img_border_value=0),
    "shear-y": ShearY(img_border_value=0),
    "affine": RandomAffine(border_val=0, scaling_ratio_range=(0.7, 1.2)),
}
ALL = STRAIGHT | DROPPING | OBLIQUE

boxes = st.builds(
    lambda x, y, w, h: (x, y, min(x + w, 64), min(y + h, 48)),
    st.integers(0, 60), st.integers(0, 44), st.integers(3, 64), st.integers(3, 48),
)  # fmt: skip
#: So near the middle, a turn leaves objects in the image.
middle_boxes = st.builds(
    lambda x, y, w, h: (x, y, x + w, y + h),
    st.integers(24, 32), st.integers(18, 24), st.integers(6, 10), st.integers(6, 8),
)  # fmt: skip
seeds = st.integers(0, 2**32 - 1)


def run(name: str, seed: int, given_boxes: list[Box], polygons: bool) -> dict[str, Any] | None:
    np.random.seed(seed)
    return ALL[name](objects(given_boxes, polygons=polygons))  # type: ignore[return-value]


@pytest.mark.parametrize("name", STRAIGHT)
@settings(max_examples=20)
@given(seeds, st.lists(boxes, max_size=3), st.booleans())
def test_objects_follow(name: str, seed: int, given_boxes: list[Box], polygons: bool) -> None:
    got = run(name, seed, given_boxes, polygons)
    assert got is not None
    assert_followed(got)
    assert got["gt_seg_map"].shape == got["img_shape"]
    seen = got["img"].max(axis=2) > 127
    assert np.abs(extent(seen) - extent(got["gt_seg_map"] == 1)).max() <= 1 or seen.sum() < 60


@pytest.mark.parametrize("name", DROPPING)
@settings(max_examples=30)
@given(seeds, st.lists(boxes, max_size=3), st.booleans())
def test_objects_follow_or_are_dropped(name: str, seed: int, given_boxes: list[Box], polygons: bool) -> None:
    got = run(name, seed, given_boxes, polygons)
    assert got is not None
    assert_followed(got, may_drop=True)


@pytest.mark.parametrize("name", OBLIQUE)
@settings(max_examples=30)
@given(seeds, st.lists(middle_boxes, max_size=3), st.booleans())
def test_objects_follow_obliquely(name: str, seed: int, given_boxes: list[Box], polygons: bool) -> None:
    got = run(name, seed, given_boxes, polygons)
    assert got is not None
    # The tip of a turned corner is narrower than a pixel, so that no pixel in its row or column may be set.
    assert_followed(got, tolerance=2)


@pytest.mark.parametrize("name", ALL)
def test_given_arrays_are_not_written_to(name: str) -> None:
    before = objects([(5, 5, 20, 20), (10, 15, 60, 40)])
    kept = copy.deepcopy(before)
    for seed in range(4):
        np.random.seed(seed)
        ALL[name](dict(before))
        for key, value in kept.items():
            array = value.masks if key == "gt_masks" else value
            assert np.array_equal(before[key].masks if key == "gt_masks" else before[key], array), key


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_draws_the_same(name: str) -> None:
    one, other = (run(name, 3, [(5, 5, 20, 20), (10, 15, 60, 40)], True) for _ in range(2))
    assert one is not None
    assert other is not None
    assert np.array_equal(one["img"], other["img"])
    assert np.array_equal(one["gt_bboxes"], other["gt_bboxes"])


@pytest.mark.parametrize("name", [name for name, one in ALL.items() if isinstance(one, RandomTransform)])
def test_a_draw_decides_everything(name: str) -> None:
    transform: Any = ALL[name]
    np.random.seed(5)
    drawn = transform.draw(objects([(5, 5, 40, 40)]))
    states = np.random.get_state()
    one = transform.apply(objects([(5, 5, 40, 40)]), drawn)
    assert all(np.array_equal(a, b) for a, b in zip(states, np.random.get_state(), strict=True))
    other = transform.apply(objects([(5, 5, 40, 40)]), drawn)
    assert np.array_equal(one["img"], other["img"])


@settings(max_examples=20)
@given(seeds, st.lists(boxes, min_size=1, max_size=3), st.booleans())
def test_a_whole_pipeline(seed: int, given_boxes: list[Box], polygons: bool) -> None:
    init_default_scope("mmdet")
    steps = [
        dict(type="RandomResize", scale=(100, 80), ratio_range=(0.5, 2.0), keep_ratio=True),
        dict(type="RandomCrop", crop_size=(0.5, 0.5), crop_type="relative_range", allow_negative_crop=True),
        dict(type="FilterAnnotations", min_gt_bbox_wh=(2, 2), keep_empty=False),
        dict(type="RandomFlip", prob=0.5),
        dict(type="Pad", size=(208, 208), pad_val=dict(img=(0, 0, 0))),
    ]
    np.random.seed(seed)
    got: Any = objects(given_boxes, polygons=polygons)
    for step in steps:
        got = TRANSFORMS.build(step)(got)
    assert_followed(got, tolerance=1.5, may_drop=True)
    assert got["img_shape"] == (208, 208)
    assert isinstance(got["gt_masks"], PolygonMasks) == polygons
