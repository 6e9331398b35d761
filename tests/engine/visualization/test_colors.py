"""Which letters can be read on a colour."""

from __future__ import annotations

import pytest

from visuite.engine.visualization.colors import class_palette, readable_on

BLACK, WHITE = (0, 0, 0), (255, 255, 255)


@pytest.mark.parametrize(
    ("ground", "letters"),
    [
        (WHITE, BLACK),
        (BLACK, WHITE),
        ((255, 255, 0), BLACK),
        ((0, 255, 0), BLACK),
        ((0, 0, 255), WHITE),
        ((128, 0, 0), WHITE),
        ((119, 119, 119), BLACK),  # contrast 4.69 with black, 4.48 with white
        ((118, 118, 118), BLACK),
        ((117, 117, 117), WHITE),
    ],
)
def test_letters_have_the_greater_contrast(ground, letters):
    assert readable_on(ground) == letters


def test_contrast_is_never_low():
    """The contrast of WCAG 2.1, from its definition, is 4.5 or more for any colour, as no colour is far from both."""
    for color in class_palette(80):
        lights = []
        for one in (color, readable_on(color)):
            red, green, blue = (((v / 255 + 0.055) / 1.055) ** 2.4 if v > 10 else v / 255 / 12.92 for v in one)
            lights.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
        assert (max(lights) + 0.05) / (min(lights) + 0.05) >= 4.5
