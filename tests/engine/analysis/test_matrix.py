"""Tables of counts as pictures: the darker the larger its share of the row."""

from __future__ import annotations

import numpy as np
import pytest

from visuite.engine.analysis import matrix_chart


def test_cells_are_coloured_by_their_share_of_the_row():
    counts = np.array([[1000, 0], [1, 1]])
    picture = matrix_chart(counts, ["a", "b"], ["a", "b"]).astype(int)
    plain = matrix_chart(np.zeros((2, 2)), ["a", "b"], ["a", "b"]).astype(int)
    assert picture.shape == plain.shape
    changed = np.argwhere((picture != plain).any(axis=2))
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0)
    middle, across = (top + bottom) // 2, (left + right) // 2
    corners = {
        name: picture[y, x].tolist()
        for name, (y, x) in {
            "full": (top + 2, left + 2), "half": (bottom - 2, right - 2), "none": (top + 2, right - 2),
            "other half": (bottom - 2, left + 2),
        }.items()
    }  # fmt: skip
    assert corners["full"] == [0, 90, 160]
    assert corners["none"] == [255, 255, 255]
    assert corners["half"] == corners["other half"] == [128, 172, 208]
    assert middle > top
    assert across > left


@pytest.mark.parametrize("size", [1, 3, 40, 200])
def test_names_stand_beside_small_tables_alone(size):
    names = [f"class {number}" for number in range(size)]
    counts = np.eye(size, dtype=int)
    bare = matrix_chart(counts, [""] * size, [""] * size)
    named = matrix_chart(counts, names, names)
    assert (named.shape != bare.shape) == (size < 100)
    assert max(named.shape) < 1600


def test_faults_and_empty_tables():
    with pytest.raises(ValueError, match="2 and 3 names for a table of"):
        matrix_chart(np.zeros((2, 2)), ["a", "b"], ["a", "b", "c"])
    assert matrix_chart(np.zeros((0, 0)), [], []).shape[2] == 3
