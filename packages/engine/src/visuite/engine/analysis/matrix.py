"""Tables of counts as pictures: which is taken for which."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from visuite.engine.visualization.canvas import Canvas
from visuite.engine.visualization.colors import Rgb
from visuite.engine.visualization.text import find_font, label_style

#: The colour of a full share; none is white.
_FULL: Rgb = (0, 90, 160)
_TEXT, _PALE, _GRID = (50, 50, 50), (255, 255, 255), (228, 228, 228)
_FONT, _TITLE, _PAD = 12, 15, 8
#: Letters of a name that are shown.
_LONGEST = 20


def matrix_chart(
    counts: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str = "",
    row_label: str = "",
    column_label: str = "",
) -> np.ndarray:
    """Draw a table of counts, each cell the darker the larger its share of the row; return a picture (H, W, 3) RGB.

    The counts stand in the cells, and names beside them, where there is room.

    Args:
        counts: (R, C), not negative.
        rows: Names of the R rows.
        columns: Names of the C columns.
        title: What stands above.
        row_label: What the rows are.
        column_label: What the columns are.

    Raises:
        ValueError: there are more or fewer names than rows and columns.
    """
    if counts.shape != (len(rows), len(columns)):
        raise ValueError(f"{len(rows)} and {len(columns)} names for a table of {counts.shape}")
    largest = _width(f"{counts.max(initial=0):g}")
    edge = max(4, min(64, 1280 // max(*counts.shape, 1)))
    edge = max(edge, largest + 6) if edge >= 24 else edge
    named = edge >= _FONT + 2
    names = [[name[:_LONGEST] if named else "" for name in some] for some in (rows, columns)]
    left, bottom = (max((_width(name) for name in some), default=0) + 3 * _PAD for some in names)
    top = _TITLE + 3 * _PAD
    height = top + edge * len(rows) + bottom + _FONT + _PAD
    width = max(left + edge * len(columns) + 2 * _PAD, _width(title, _TITLE) + 2 * _PAD)
    picture = np.full((height, width, 3), 255, np.uint8)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    picture[top : top + edge * len(rows), left : left + edge * len(columns)] = _cells(shares, edge)
    canvas = Canvas(picture)
    if edge >= 24:
        for row, column in np.argwhere(counts):
            color = _PALE if shares[row, column] > 0.5 else _TEXT
            style = label_style(_FONT, color, horizontal="center", vertical="center")
            place = (left + (column + 0.5) * edge, top + (row + 0.5) * edge)
            canvas.label(f"{counts[row, column]:g}", place, style)
    for row, name in enumerate(names[0]):
        place = (left - _PAD, top + (row + 0.5) * edge)
        canvas.label(name, place, label_style(_FONT, _TEXT, horizontal="right", vertical="center"))
    canvas.label(title, (_PAD, _PAD), label_style(_TITLE, _TEXT))
    canvas.label(f"rows: {row_label}" if row_label else "", (_PAD, height - _FONT - _PAD), label_style(_FONT, _TEXT))
    told = f"columns: {column_label}" if column_label else ""
    canvas.label(told, (width - _PAD, height - _FONT - _PAD), label_style(_FONT, _TEXT, horizontal="right"))
    return _with_upright_names(canvas.to_array(), names[1], left, top + edge * len(rows) + _PAD, edge)


def _cells(shares: np.ndarray, edge: int) -> np.ndarray:
    """Return squares (R * edge, C * edge, 3) uint8, coloured by shares (R, C), with lines between if there is room."""
    colors = (255 + (np.array(_FULL) - 255) * shares[..., None]).round().astype(np.uint8)
    cells = colors.repeat(edge, axis=0).repeat(edge, axis=1)
    if edge > 8:
        cells[::edge] = cells[:, ::edge] = _GRID
    return cells


def _with_upright_names(picture: np.ndarray, names: Sequence[str], left: int, top: int, edge: int) -> np.ndarray:
    """Write names below the columns, read from below."""
    for column, name in enumerate(names):
        if not name:
            continue
        label = Canvas(np.full((edge, _width(name) + 2, 3), 255, np.uint8))
        label.label(name, (0, edge / 2), label_style(_FONT, _TEXT, vertical="center"))
        upright = np.rot90(label.to_array())
        start = left + column * edge
        picture[top : top + len(upright), start : start + edge] = upright
    return picture


def _width(text: str, size: int = _FONT) -> int:
    return math.ceil(find_font(size, text).getlength(text)) if text else 0
