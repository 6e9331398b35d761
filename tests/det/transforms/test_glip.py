"""Boxes whose last pixel lies inside."""

from __future__ import annotations

import numpy as np
import pytest

from tests.painted import extent, objects
from visuite.det.transforms import GTBoxSubOne_GLIP, RandomFlip_GLIP


@pytest.mark.parametrize("direction", ["horizontal", "vertical", "diagonal"])
def test_boxes_name_their_last_pixel(direction: str) -> None:
    flip = RandomFlip_GLIP(1.0, direction)
    got = GTBoxSubOne_GLIP()(objects([(5, 7, 20, 30)]))
    assert got is not None
    assert got["gt_bboxes"].tolist() == [[5, 7, 19, 29]]
    got = flip(got)
    assert got is not None
    seen = extent(got["img"][..., 0] > 0)
    np.testing.assert_array_equal(got["gt_bboxes"][0], seen - (0, 0, 1, 1))
    back = flip(got)
    assert back is not None
    assert back["gt_bboxes"].tolist() == [[5, 7, 19, 29]]
    assert back["gt_bboxes"].dtype == np.float32
    assert RandomFlip_GLIP(0.0)(back) is back
