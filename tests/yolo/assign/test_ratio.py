"""Objects and anchors of like sides, by plain loops over objects, levels, anchors and cells."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.yolo.assign.batches import SEEDS
from visuite.det.boxes import YOLOAnchorGenerator
from visuite.yolo.assign.ratio import match_by_ratio
from visuite.yolo.boxes import YOLOv5BBoxCoder

ANCHORS = [[(10.0, 13.0), (33.0, 23.0)], [(30.0, 61.0), (90.0, 40.0)]]
STRIDES = [8, 16]
SIZES = [(6, 10), (3, 5)]  # a map of 48 x 80 pixels


def generator() -> YOLOAnchorGenerator:
    return YOLOAnchorGenerator(STRIDES, ANCHORS)


def some_rows(count: int, seed: int) -> torch.Tensor:
    """Objects whose centres lie in the image, also on its edge, of sides from 1 to 120 pixels."""
    random = torch.Generator().manual_seed(seed)
    centres = torch.rand(count, 2, generator=random) * torch.tensor([80.0, 48.0])
    centres[::5, 0] = 80.0
    sides = 1 + torch.rand(count, 2, generator=random) ** 2 * 120
    centres, sides = ((one * 64).round() / 64 for one in (centres, sides))  # so that sums are exact
    images = torch.randint(2, (count, 1), generator=random)
    return torch.cat([images, images * 0 + 3, centres - sides / 2, centres + sides / 2], dim=1)


def plain_matches(rows: torch.Tensor, most: float, reach: float) -> list[tuple[int, int, int, int]]:
    """Image, prior, object and level of each pair."""
    found = []
    for number, (image, _, x1, y1, x2, y2) in enumerate(rows.tolist()):
        start = 0
        for level, ((h, w), stride) in enumerate(zip(SIZES, STRIDES, strict=True)):
            x, y = (x1 + x2) / 2 / stride, (y1 + y2) / 2 / stride
            column, row = min(math.floor(x), w - 1), min(math.floor(y), h - 1)
            for row_of_cell in range(h):
                for column_of_cell in range(w):
                    across, down = column_of_cell - column, row_of_cell - row
                    if abs(across) + abs(down) > 1:
                        continue
                    gaps = [x - column if across < 0 else column + 1 - x] if across else []
                    gaps += [y - row if down < 0 else row + 1 - y] if down else []
                    if any(gap >= reach for gap in gaps):
                        continue
                    for anchor, (wide, high) in enumerate(ANCHORS[level]):
                        ratios = (x2 - x1) / wide, (y2 - y1) / high
                        if max(max(ratio, 1 / ratio) for ratio in ratios) < most:
                            prior = start + (row_of_cell * w + column_of_cell) * 2 + anchor
                            found.append((int(image), prior, number, level))
            start += h * w * 2
    return sorted(found)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, count=st.integers(0, 12), most=st.sampled_from([2.0, 4.0]), reach=st.sampled_from([0.3, 0.5, 1.0]))
def test_by_plain_loops(seed: int, count: int, most: float, reach: float) -> None:
    rows = some_rows(count, seed)
    found = match_by_ratio(rows, generator(), SIZES, most=most, reach=reach)
    columns = (found.images, found.priors, found.objects, found.levels)
    assert sorted(zip(*(one.tolist() for one in columns), strict=True)) == plain_matches(rows, most, reach)


def test_an_object_in_the_middle_of_a_cell_has_that_cell_alone() -> None:
    rows = torch.tensor([[0, 0, 20.0 - 5, 12 - 6.5, 20 + 5, 12 + 6.5]])
    found = match_by_ratio(rows, generator(), SIZES[:2], most=1.01)
    assert found.priors.tolist() == [2 * (1 * 10 + 2)]
    assert found.levels.tolist() == [0]


def test_whatever_is_matched_can_be_written() -> None:
    """Codes are sigmoids: with factor 4 and half a cell, all that is matched lies between 0 and 1."""
    rows = some_rows(200, seed=1)
    found = match_by_ratio(rows, generator(), SIZES)
    assert len(found.priors) > 200
    priors = torch.cat(generator().grid_priors(SIZES, with_stride=True))[found.priors]
    codes = YOLOv5BBoxCoder().encode(priors[:, :4], rows[found.objects, 2:], priors[:, 4])
    assert (codes > 0).all()
    assert (codes < 1).all()


def test_pairs_are_chosen_together() -> None:
    found = match_by_ratio(some_rows(9, seed=2), generator(), SIZES)
    some = found[found.levels == 1]
    assert set(some.levels.tolist()) == {1}
    assert some.priors.tolist() == found.priors[found.levels == 1].tolist()


@pytest.mark.parametrize("side", [0.0, 1e-30])
def test_a_box_without_size_matches_nothing(side: float) -> None:
    rows = torch.tensor([[0, 0, 20.0, 12, 20 + side, 30]])
    assert len(match_by_ratio(rows, generator(), SIZES).priors) == 0
