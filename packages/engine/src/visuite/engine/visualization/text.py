"""Fonts that have the letters, and labels that stay inside the picture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, cast

from visuite.engine.visualization.colors import Color, Rgb, parse_color

if TYPE_CHECKING:
    from PIL import ImageFont

#: Files looked for on this machine, best first. Pillow's own font comes before them: it is the same everywhere.
FAMILIES = {
    "sans-serif": ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "arial.ttf"),
    "serif": ("DejaVuSerif.ttf", "NotoSerif-Regular.ttf", "LiberationSerif-Regular.ttf", "times.ttf"),
    "monospace": ("DejaVuSansMono.ttf", "NotoSansMono-Regular.ttf", "LiberationMono-Regular.ttf", "cour.ttf"),
}
WIDE = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "SourceHanSansSC-Regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "msyh.ttc",
    "simhei.ttf",
    "PingFang.ttc",
    "Arial Unicode.ttf",
    "unifont.ttf",
)
OWN = "pillow"  # the font that comes with Pillow
_MISSING = "\U0010ffff"  # no font has it: what is drawn for it stands for any letter that a font lacks


@dataclass(frozen=True)
class LabelStyle:
    """How one text is drawn; sizes in pixels."""

    size: int
    color: Rgb
    vertical: str = "top"
    horizontal: str = "left"
    family: str = "sans-serif"
    font_path: str | None = None
    face: Rgb | None = None
    edge: Rgb | None = None
    alpha: float = 1.0
    pad: float = 0.0

    def __post_init__(self) -> None:
        ways = {"vertical": ("top", "center", "bottom"), "horizontal": ("left", "center", "right")}
        for axis, known in ways.items():
            value = getattr(self, axis)
            if value not in known:
                raise ValueError(f"the {axis} alignment of text is one of {known}, not {value!r}")


def box_style(box: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the `LabelStyle` fields for a documented text box: `facecolor`, `edgecolor`, `alpha`, `pad`."""
    if not box:
        return {}
    return {
        "face": parse_color(box.get("facecolor", "w")),
        "edge": parse_color(box.get("edgecolor", "none")),
        "alpha": float(box.get("alpha", 1.0) if box.get("alpha") is not None else 1.0),
        "pad": float(box.get("pad", 4)),
    }


def label_style(size: int, color: Color, **fields: Any) -> LabelStyle:
    """Make a style; `color` as users write it.

    Raises:
        ValueError: the colour is 'none'.
    """
    parsed = parse_color(color)
    if parsed is None:
        raise ValueError("text cannot have the colour 'none'")
    return LabelStyle(size=max(int(size), 1), color=parsed, **fields)


@lru_cache(maxsize=256)
def find_font(size: int, text: str, family: str = "sans-serif", path: str | None = None) -> ImageFont.FreeTypeFont:
    """Return a font of this size that has the letters of `text`, or, where none has, the first of its family.

    Raises:
        OSError: `path` is no font file.
    """
    if path is not None:
        try:
            return _open_font(os.fspath(path), size)
        except OSError as error:
            raise OSError(f"no font can be read from {os.fspath(path)!r}: {error}") from None
    odd = "".join(sorted({letter for letter in text if ord(letter) > 126}))
    named = [name for name in (*FAMILIES.get(family, FAMILIES["sans-serif"]), *WIDE) if _exists(name)]
    names = [*named, OWN] if family in ("serif", "monospace") else [OWN, *named]
    return _open_font(next((name for name in names if _has_letters(name, odd)), names[0]), size)


@lru_cache(maxsize=256)
def _open_font(name: str, size: int) -> ImageFont.FreeTypeFont:
    from PIL import ImageFont

    font = ImageFont.load_default(size) if name == OWN else ImageFont.truetype(name, size)
    return cast("ImageFont.FreeTypeFont", font)


@cache
def _exists(name: str) -> bool:
    """Tell whether the system has a font; asked once, as the search goes through all its folders."""
    try:
        _open_font(name, 12)
    except OSError:
        return False
    return True


@lru_cache(maxsize=1024)
def _has_letters(name: str, letters: str) -> bool:
    font = _open_font(name, 12)
    missing = bytes(font.getmask(_MISSING))
    return all(bytes(font.getmask(letter)) != missing or letter.isspace() for letter in letters)


def place_label(
    anchor: tuple[float, float], size: tuple[float, float], style: LabelStyle, within: tuple[int, int]
) -> tuple[int, int]:
    """Return the top left corner of a text of `size` (width, height), moved so that its box stays in the picture.

    Args:
        anchor: The point that the text is aligned to.
        size: Width and height of the text, without its padding.
        style: Alignment and padding.
        within: Width and height of the picture. What is larger begins at its left or upper edge.
    """
    shift = {"left": 0.0, "top": 0.0, "center": 0.5, "right": 1.0, "bottom": 1.0}
    left = anchor[0] - shift[style.horizontal] * size[0]
    top = anchor[1] - shift[style.vertical] * size[1]
    left = max(min(left, within[0] - size[0] - style.pad), style.pad)
    top = max(min(top, within[1] - size[1] - style.pad), style.pad)
    return round(left), round(top)
