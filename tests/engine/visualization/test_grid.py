from __future__ import annotations

import numpy as np
import pytest

from visuite.engine.visualization import image_grid
from visuite.engine.visualization.grid import GAP, TITLE_SIZE, _shorten
from visuite.engine.visualization.text import find_font


def flat(value: int, height: int = 100, width: int = 100) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_pictures_stand_in_rows() -> None:
    grid = image_grid([flat(10), flat(20), flat(30)], columns=2)
    assert grid.shape == (2 * 100 + 3 * GAP, 2 * 100 + 3 * GAP, 3)
    first, second = slice(GAP, GAP + 100), slice(2 * GAP + 100, 2 * GAP + 200)
    for rows, columns, value in ((first, first, 10), (first, second, 20), (second, first, 30), (second, second, 255)):
        assert (grid[rows, columns] == value).all()
    assert (grid[:GAP] == 255).all()


def test_small_pictures_grow_and_large_ones_shrink() -> None:
    tiny = np.zeros((2, 2, 3), np.uint8)
    tiny[0, 0] = 200
    grid = image_grid([tiny], columns=5)
    assert grid.shape == (96 + 2 * GAP, 96 + 2 * GAP, 3)
    assert (grid[GAP : GAP + 48, GAP : GAP + 48] == 200).all()  # pixels stay pixels
    assert image_grid([flat(1, 500, 1000)]).shape == (160 + 2 * GAP, 320 + 2 * GAP, 3)
    assert image_grid([flat(1)], cell_size=50).shape == (50 + 2 * GAP, 50 + 2 * GAP, 3)


def test_proportions_are_kept_and_centred() -> None:
    grid = image_grid([flat(9), flat(5, 50, 100)], columns=2)
    wide = grid[GAP : GAP + 100, 2 * GAP + 100 : 2 * GAP + 200]
    assert (wide[25:75] == 5).all()
    assert (wide[:25] == 255).all()
    assert (wide[75:] == 255).all()


def test_titles() -> None:
    plain = image_grid([flat(0)] * 2, columns=2)
    titled = image_grid([flat(0)] * 2, titles=["cat", "dog"], columns=2, title_colors=["g", "r"])
    head = titled.shape[0] - plain.shape[0]
    assert head >= TITLE_SIZE
    left, right = titled[GAP : GAP + head, : 100 + GAP], titled[GAP : GAP + head, 100 + 2 * GAP :]
    assert ((left[..., 1] > left[..., 0]) & (left[..., 1] > left[..., 2])).any()  # green letters
    assert ((right[..., 0] > right[..., 1]) & (right[..., 0] > right[..., 2])).any()
    assert (titled[GAP + head : -GAP, GAP : GAP + 100] == 0).all()  # and the picture below untouched


def test_long_titles_are_cut() -> None:
    short = _shorten("a very long name of a class that does not fit", 100)
    assert short.endswith("...")
    assert find_font(TITLE_SIZE, short).getlength(short) <= 100
    assert _shorten("cat", 100) == "cat"


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="at least one"):
        image_grid([])
    with pytest.raises(ValueError, match="1 titles for 2"):
        image_grid([flat(0)] * 2, titles=["a"])
