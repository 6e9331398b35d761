"""Colours as users write them."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np

from visuite.engine.utils.text import did_you_mean

Rgb = tuple[int, int, int]
Color = str | Sequence[int]

#: The one-letter names that plotting programs share.
LETTERS: dict[str, Rgb] = {
    "b": (0, 0, 255),
    "g": (0, 128, 0),
    "r": (255, 0, 0),
    "c": (0, 191, 191),
    "m": (191, 0, 191),
    "y": (191, 191, 0),
    "k": (0, 0, 0),
    "w": (255, 255, 255),
}


def parse_color(color: Color) -> Rgb | None:
    """Return (red, green, blue) of 0..255 for a name, a letter, '#rrggbb' or three numbers; None for 'none'.

    Raises:
        ValueError: no such colour; says the nearest.
    """
    if isinstance(color, str):
        return _named(color)
    values = np.asarray(color).reshape(-1).tolist()
    if len(values) != 3 or not all(0 <= value <= 255 for value in values):
        raise ValueError(f"a colour is a name or three numbers of 0 to 255, not {color!r}")
    red, green, blue = (int(value) for value in values)
    return red, green, blue


def _named(name: str) -> Rgb | None:
    if name == "none":
        return None
    if name in LETTERS:
        return LETTERS[name]
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(name)[:3]
    except ValueError:
        known = (*LETTERS, *ImageColor.colormap, "none")
        raise ValueError(f"there is no colour {name!r}{did_you_mean(name, known)}") from None
    return red, green, blue


def readable_on(ground: Rgb) -> Rgb:
    """Return the colour of letters on a ground: black or white, whichever has the greater contrast (WCAG 2.1)."""
    luminance = sum(part * _linear(value / 255) for part, value in zip((0.2126, 0.7152, 0.0722), ground, strict=True))
    on_white, on_black = 1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05
    return (0, 0, 0) if on_black > on_white else (255, 255, 255)


def _linear(value: float) -> float:
    """Return how much light a part of an sRGB colour gives, both from 0 to 1."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def class_palette(count: int) -> list[Rgb]:
    """Return a colour for each of `count` classes, the same for every data set; neighbours are far apart in hue.

    Each hue is a golden angle on from the one before, so that any first few are spread over the circle; brightness
    falls in three steps, which tells apart what comes round to a like hue.
    """
    colors = []
    for index in range(count):
        red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.85, (1.0, 0.8, 0.6)[index // 8 % 3])
        colors.append((round(red * 255), round(green * 255), round(blue * 255)))
    return colors
