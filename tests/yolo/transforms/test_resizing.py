"""Letter boxes: sizes, paddings, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.painted import assert_followed, objects, sample
from visuite.cv.transforms import RandomFlip
from visuite.cv.transforms.moves import flip_boxes
from visuite.yolo.transforms import LetterResize, YOLOv5KeepRatioResize

edges = st.integers(8, 90)


@settings(max_examples=60)
@given(st.tuples(edges, edges), st.tuples(edges, edges), st.booleans(), st.booleans(), st.booleans())
def test_there_and_back(size: tuple[int, int], scale: tuple[int, int], first: bool, up: bool, half: bool) -> None:
    rng = np.random.RandomState(size[0])
    boxes = rng.uniform(0, 1, (5, 4)) * np.tile(size, 2)
    results = objects([], size)
    results.update(gt_bboxes=np.float32(boxes), gt_bboxes_labels=np.arange(5), gt_ignore_flags=np.zeros(5, bool))
    for key in ("gt_masks", "gt_keypoints"):
        del results[key]
    if first:
        results = YOLOv5KeepRatioResize(scale)(results)
    got = LetterResize(scale, allow_scale_up=up, half_pad_param=half, clip_object_border=False)(results)
    if first:
        assert got["img_shape"] == (scale[1], scale[0])
    top, bottom, left, right = got["pad_param"]
    offset = np.array([int(left), int(top)] * 2)  # with halves of pixels, what was moved is still whole pixels
    back = (got["gt_bboxes"] - offset) / np.tile(got["scale_factor"], 2)
    assert back == pytest.approx(boxes, abs=2e-3)
    h, w = got["img_shape"]
    inner = (w - left - right, h - top - bottom)
    assert inner == pytest.approx(np.array(size) * got["scale_factor"], abs=1e-3)


@settings(max_examples=40)
@given(st.tuples(edges, edges), st.booleans())
def test_objects_follow(scale: tuple[int, int], polygons: bool) -> None:
    results = objects([(2, 3, 40, 30), (20, 10, 62, 46)], (64, 48), polygons=polygons)
    for transform in (YOLOv5KeepRatioResize(scale), LetterResize(scale, pad_val={"img": 0, "seg": 255})):
        results = transform(results)
    assert_followed(results, tolerance=2.5)  # masks take the nearest pixel, twice
    assert results["gt_seg_map"].shape == results["img_shape"]


@pytest.mark.parametrize(
    ("options", "shape", "factor", "padding"),
    [
        ({"scale": (900, 700)}, (700, 900), (1.40625, 1.40625), [12, 13, 0, 0]),
        ({"scale": (900, 700), "half_pad_param": True}, (700, 900), (1.40625, 1.40625), [12.5, 12.5, 0, 0]),
        ({"scale": (900, 700), "allow_scale_up": False}, (700, 900), (1, 1), [110, 110, 130, 130]),
        ({"scale": 320}, (320, 320), (0.5, 0.5), [40, 40, 0, 0]),
        ({"scale": 320, "use_mini_pad": True}, (256, 320), (0.5, 0.5), [8, 8, 0, 0]),
        ({"scale": (320, 120), "stretch_only": True}, (120, 320), (0.5, 0.25), [0, 0, 0, 0]),
    ],
)
def test_kinds_of_letter_boxes(
    options: dict[str, Any], shape: tuple[int, int], factor: tuple[float, float], padding: list[float]
) -> None:
    got = LetterResize(**options)(sample((0, 0, 9, 9), (640, 480)))
    assert got["img_shape"] == got["img"].shape[:2] == shape
    assert got["scale_factor"] == pytest.approx(factor)
    assert got["pad_param"].tolist() == padding
    assert got["pad_param"].dtype == np.float32


def test_the_shape_of_a_batch_stands_for_the_scale() -> None:
    one = {**sample((0, 0, 9, 9), (640, 480)), "batch_shape": np.array([256, 320])}
    got = LetterResize((640, 640))(YOLOv5KeepRatioResize((320, 320))(one))
    assert got["img_shape"] == (256, 320)
    assert got["pad_param"].tolist() == [8, 8, 0, 0]
    assert got["scale_factor"] == (0.5, 0.5)


def test_what_fills_the_padding() -> None:
    def corner(pad_val: Any, channels: int = 3) -> list[int]:
        img = np.zeros((10, 20, channels), np.uint8)
        return LetterResize((20, 20), pad_val=pad_val)({"img": img, "img_shape": (10, 20)})["img"][0, 0].tolist()

    assert corner({"img": 114}) == [114, 114, 114]
    assert corner(114, channels=5) == [114] * 5
    assert corner({"img": (1, 2, 3)}) == [1, 2, 3]
    assert corner({"img": 114.0}) == [114, 0, 0]  # as published models were trained
    one = sample((0, 0, 9, 5), (20, 10))
    got = LetterResize((20, 20), pad_val={"img": 0, "mask": 1, "seg": 9})(one)
    assert got["gt_seg_map"][0, 0] == 9
    assert got["gt_masks"][0, 0, 0] == 1
    with pytest.raises(ValueError, match="did you mean 'img'"):
        LetterResize((20, 20), pad_val={"imgs": 0})


def test_one_edge_is_met_and_the_other_cut_down() -> None:
    def size(w: int, h: int, scale: Any) -> tuple[int, ...]:
        return YOLOv5KeepRatioResize(scale)({"img": np.zeros((h, w, 3), np.uint8)})["img"].shape[1::-1]

    assert size(640, 427, 640) == (640, 427)
    assert size(640, 427, 416) == (416, 277)  # 277.55
    assert size(427, 640, (640, 320)) == (320, 479)  # 479.6: the short edge limits
    assert all(size(w, 100, 640)[0] == 640 for w in range(101, 640, 7))  # no edge is lost to rounding
    with pytest.raises(ValueError, match="keeps the ratio"):
        YOLOv5KeepRatioResize(640, keep_ratio=False)


def test_shrinking_smooths() -> None:
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    got = YOLOv5KeepRatioResize(32)({"img": board.astype(np.uint8)})["img"]
    assert np.abs(got.astype(int) - 128).max() <= 1


@pytest.mark.parametrize("direction", ["horizontal", "vertical", "diagonal"])
def test_a_flip_turns_the_padding_over(direction: str) -> None:
    size = (30, 21)
    one = {**objects([(3, 4, 20, 15)], size)}
    for scale in ((50, 50), (91, 50)):  # odd paddings, at the top or at the left
        got = RandomFlip(1.0, direction)(LetterResize(scale)({**one}))
        top, _, left, _ = got["pad_param"]
        back = (got["gt_bboxes"] - [left, top, left, top]) / np.tile(got["scale_factor"], 2)
        assert flip_boxes(back, size[::-1], direction) == pytest.approx(one["gt_bboxes"], abs=0.05)
