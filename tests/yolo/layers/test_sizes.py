"""From the numbers of a config to those of a network."""

from __future__ import annotations

import pytest

from visuite.yolo.layers import make_divisible, make_round


@pytest.mark.parametrize(
    ("channels", "factor", "divisor", "expected"),
    [(64, 0.25, 8, 16), (64, 0.375, 8, 24), (64, 1.25, 8, 80), (100, 0.5, 8, 56), (8, 0.1, 8, 8), (33, 1, 32, 64)],
)
def test_channels_are_rounded_up(channels: int, factor: float, divisor: int, expected: int) -> None:
    assert make_divisible(channels, factor, divisor) == expected


def test_channels_are_the_least_multiple_that_is_enough() -> None:
    for channels in range(1, 200):
        for factor in (0.25, 0.375, 0.5, 0.75, 1.0, 1.25):
            wide = make_divisible(channels, factor)
            assert wide % 8 == 0
            assert wide - 8 < channels * factor <= wide


@pytest.mark.parametrize(
    ("blocks", "factor", "expected"),
    [(3, 0.33, 1), (6, 0.33, 2), (9, 0.33, 3), (12, 0.33, 4), (9, 0.67, 6), (3, 1.33, 4), (3, 0.1, 1), (1, 3.0, 1)],
)
def test_blocks_are_rounded_and_one_stays(blocks: int, factor: float, expected: int) -> None:
    assert make_round(blocks, factor) == expected
