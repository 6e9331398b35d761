"""Resizing by detection's own rules."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.painted import objects
from visuite.cv.image import fitting_size
from visuite.cv.transforms import ResizeShortestEdge, SegRescale
from visuite.det.transforms import FixScaleResize, FixShapeResize

edges = st.integers(1, 300)


def blank(w: int, h: int) -> dict[str, Any]:
    return {"img": np.full((h, w, 3), 200, np.uint8), "img_shape": (h, w)}


@given(edges, edges, edges, edges)
def test_the_largest_size_that_fits(w: int, h: int, most_w: int, most_h: int) -> None:
    wide, tall = fitting_size((h, w), (most_w, most_h))
    assert 1 <= wide <= most_w
    assert 1 <= tall <= most_h
    assert wide == most_w or tall == most_h
    factor = min(most_w / w, most_h / h)
    assert abs(wide - max(w * factor, 1)) <= 0.5 + 1e-9
    assert abs(tall - max(h * factor, 1)) <= 0.5 + 1e-9


def test_one_shape() -> None:
    got = FixShapeResize(60, 60, pad_val=dict(img=(1, 2, 3)), keep_ratio=True)(objects([(0, 0, 32, 24)]))
    assert got is not None
    assert (got["img_shape"], got["scale"], got["keep_ratio"]) == ((60, 60), (60, 60), True)
    assert (got["img"][45:] == (1, 2, 3)).all()
    assert (got["gt_seg_map"][45:] == 255).all()
    assert got["gt_bboxes"].tolist() == [[0, 0, 30, 22.5]]
    assert got["scale_factor"] == (60 / 64, 45 / 48)
    stretched = FixShapeResize(60, 60)(objects([(0, 0, 32, 24)]))
    assert stretched is not None
    assert stretched["gt_bboxes"].tolist() == [[0, 0, 30, 30]]


@given(edges, edges)
def test_fixed_scale_meets_an_edge_and_cuts_the_other(w: int, h: int) -> None:
    got = FixScaleResize((40, 70), keep_ratio=True)(blank(w, h))
    assert got is not None
    factor = min(Fraction(70, max(w, h)), Fraction(40, min(w, h)))
    assert got["img_shape"] == (max(math.floor(h * factor), 1), max(math.floor(w * factor), 1))
    assert max(got["img_shape"]) == 70 or min(got["img_shape"]) == 40


def test_fixed_scale_of_known_sizes() -> None:
    for (w, h), shape in {(640, 480): (800, 1066), (480, 640): (1066, 800), (1000, 400): (533, 1333)}.items():
        got = FixScaleResize((800, 1333), keep_ratio=True)(blank(w, h))
        assert got is not None
        assert got["img_shape"] == shape
    got = FixScaleResize((30, 20))(blank(50, 50))
    assert got is not None
    assert got["img_shape"] == (20, 30)


@pytest.mark.parametrize(
    ("size", "shape"), [((100, 50), (40, 80)), ((50, 100), (80, 40)), ((300, 50), (15, 90)), ((41, 40), (40, 41))]
)
def test_shortest_edge(size: tuple[int, int], shape: tuple[int, int]) -> None:
    for scale in (40, (40, 99)):
        got = ResizeShortestEdge(scale, max_size=90)(blank(*size))
        assert got is not None
        assert got["img_shape"] == shape


def test_maps_alone() -> None:
    got = SegRescale(0.5)(objects([(0, 0, 32, 24)]))
    assert got is not None
    assert got["gt_seg_map"].shape == (24, 32)
    assert got["gt_seg_map"].sum() == 16 * 12
    assert got["img_shape"] == (48, 64)
