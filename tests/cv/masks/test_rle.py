"""Run lengths and polygons, as COCO writes them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from visuite.cv.masks import decode_rle, encode_rle, is_rle, polygons_to_bitmap


@given(arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))))
def test_there_and_back(masks: np.ndarray) -> None:
    for mask, rle in zip(masks, encode_rle(masks), strict=True):
        assert is_rle(rle)
        assert np.array_equal(decode_rle(rle), mask)
        assert np.array_equal(decode_rle({**rle, "counts": rle["counts"].decode()}), mask)


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_lists_of_counts_run_down_the_columns(mask: np.ndarray) -> None:
    counts, current = [0], False
    for value in mask.T.reshape(-1):
        if value != current:
            counts.append(0)
            current = value
        counts[-1] += 1
    assert np.array_equal(decode_rle({"size": list(mask.shape), "counts": counts}), mask)


def test_nothing_to_encode_or_draw() -> None:
    assert encode_rle(np.zeros((0, 4, 5), bool)) == []
    assert polygons_to_bitmap([], 4, 5).shape == (4, 5)
    assert not polygons_to_bitmap([np.zeros(6)], 4, 5).any()


def test_polygons_are_drawn_as_coco_draws_them() -> None:
    parts = [np.array([1.5, 2, 9, 3, 6, 9.25]), np.array([0.0, 0, 3, 0, 3, 3, 0, 3])]
    drawn = coco.decode(coco.frPyObjects([part.tolist() for part in parts], 10, 12)).any(axis=2)
    assert np.array_equal(polygons_to_bitmap(parts, 10, 12), drawn)
    assert drawn.dtype == bool


@pytest.mark.parametrize(
    "bad", [None, [1, 2], {"size": [2, 2]}, {"size": [2], "counts": [4]}, {"size": [2, 2], "counts": 3}]
)
def test_what_is_no_run_length(bad: object) -> None:
    assert not is_rle(bad)
    with pytest.raises(ValueError, match="run lengths"):
        decode_rle(bad)


def test_counts_that_do_not_fill_the_mask() -> None:
    with pytest.raises(ValueError, match=r"5 pixels.*2x2"):
        decode_rle({"size": [2, 2], "counts": [2, 3]})


def test_a_missing_pycocotools_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.mask", None)
    with pytest.raises(ImportError, match=r"visuite-cv\[masks\]"):
        polygons_to_bitmap([np.zeros(6)], 4, 5)
