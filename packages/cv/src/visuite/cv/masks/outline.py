"""Polygons out of others, and out of bitmaps; and what of them can be seen in an image, exactly.

Shapes: N masks, each of one or several polygons; P polygons, E edges of them all; H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

#: Corners of one image that lie nearer than this are the same corner, in parts of a pixel.
_SAME = 64


def visible_boxes(
    masks: Sequence[Sequence[np.ndarray]], shape: tuple[int, int], matrix: np.ndarray | None = None
) -> np.ndarray:
    """Return the boxes around what an image shows of masks: nothing of them is cut first, nothing is approximated.

    The outermost point of a polygon in a window lies on an edge of the polygon, or is a corner of the window that lies
    in the polygon. Edges that are run along both there and back, such as `joined_polygons` makes, bound nothing.

    Args:
        masks: N lists of polygons, each x1, y1, x2, y2, ... in pixels.
        shape: (h, w) of the image.
        matrix: (2, 3), maps the polygons' points into the image; by default they are in it.

    Returns:
        (N, 4) float32 xyxy; zeros where nothing of a mask is seen.
    """
    if not len(masks):
        return np.zeros((0, 4), np.float32)
    parts = [part.reshape(-1, 2) for mask in masks for part in mask]
    counts = np.array([len(part) for part in parts])
    begins = np.cumsum(counts) - counts  # of each polygon, among the edges
    starts = np.concatenate(parts).astype(np.float64)
    following = np.arange(1, len(starts) + 1)
    following[begins + counts - 1] = begins
    owners = np.repeat(np.repeat(np.arange(len(masks)), [len(mask) for mask in masks]), counts)  # (E,)
    bounding = ~_there_and_back(starts, starts[following], owners)
    if matrix is not None:
        starts = starts @ matrix[:, :2].T + matrix[:, 2]
    ends = starts[following]
    limits = np.array([shape[1], shape[0]], np.float64)
    first, last, seen = _clipped(starts, ends, limits)
    seen &= bounding
    corners = limits * [[0, 0], [1, 0], [1, 1], [0, 1]]
    inside = _contain(starts, ends, begins, corners)  # (P, 4)
    low = np.where(seen[:, None], np.minimum(first, last), np.inf)
    high = np.where(seen[:, None], np.maximum(first, last), -np.inf)
    held = inside[..., None]
    low[begins] = np.minimum(low[begins], np.where(held, corners, np.inf).min(axis=1))
    high[begins] = np.maximum(high[begins], np.where(held, corners, -np.inf).max(axis=1))
    of_mask = np.searchsorted(owners, np.arange(len(masks)))
    boxes = np.concatenate([np.minimum.reduceat(low, of_mask), np.maximum.reduceat(high, of_mask)], axis=1)
    return np.where(np.isfinite(boxes).all(axis=1, keepdims=True), boxes, 0).astype(np.float32)


def joined_polygons(polygons: Sequence[np.ndarray]) -> np.ndarray:
    """Return one polygon x1, y1, x2, y2, ... for several: each next one is entered and left where it is nearest.

    The area stays the same, as the way between two is gone there and back; where polygons overlap, there is a hole.
    """
    joined = polygons[0].reshape(-1, 2)
    for other in polygons[1:]:
        points = other.reshape(-1, 2)
        distances = np.square(joined[:, None] - points).sum(axis=2)
        leave, enter = np.unravel_index(distances.argmin(), distances.shape)
        around = np.roll(points, -enter, axis=0)
        joined = np.concatenate([joined[: leave + 1], around, around[:1], joined[leave:]])
    return joined.reshape(-1)


def bitmap_to_polygons(bitmap: np.ndarray) -> list[np.ndarray]:
    """Return a bitmap (H, W) as polygons x1, y1, x2, y2, ..., one for each piece, a quarter of a pixel within its edge.

    Holes are joined to what is around them as `joined_polygons` does.
    """
    rows, columns = (np.flatnonzero(bitmap.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return []
    corner = np.array([columns[0], rows[0]])
    piece = bitmap[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8)
    # Contours run through the middles of pixels: of halves of pixels, these are near the edges.
    halves = np.kron(piece, np.ones((2, 2), np.uint8))
    contours, family = cv2.findContours(halves, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    points = [(contour.reshape(-1, 2) + 0.5) / 2 + corner for contour in contours]
    parents = family[0, :, 3]
    around = [number for number in np.flatnonzero(parents < 0) if len(points[number]) > 2]
    return [joined_polygons([points[i], *(points[j] for j in np.flatnonzero(parents == i))]) for i in around]


def _clipped(starts: np.ndarray, ends: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut edges (E, 2) to the window from 0 to `limits` (2,). Liang and Barsky, 1984.

    Returns:
        Where each begins and ends in the window, (E, 2) each, and whether it is seen at all, (E,) bool.
    """
    along = ends - starts
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = -starts / along, (limits - starts) / along  # (E, 2): the shares of the edge at the borders
    flat = along == 0
    within = (starts >= 0) & (starts <= limits)
    enter = np.where(flat, np.where(within, -np.inf, np.inf), np.minimum(low, high)).max(axis=1).clip(min=0)
    leave = np.where(flat, np.where(within, np.inf, -np.inf), np.maximum(low, high)).min(axis=1).clip(max=1)
    seen = enter <= leave
    enter, leave = (np.where(seen, share, 0)[:, None] for share in (enter, leave))
    return (starts + enter * along).clip(0, limits), (starts + leave * along).clip(0, limits), seen


def _contain(starts: np.ndarray, ends: np.ndarray, begins: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Whether polygons hold points (Q, 2): (P, Q) bool, by how often a ray to the right crosses their edges."""
    x, y = points[:, 0], points[:, 1]
    (x1, y1), (x2, y2) = starts.T[..., None], ends.T[..., None]  # (E, 1) each
    spans = (y1 > y) != (y2 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crosses = spans & (x < x1 + (y - y1) / (y2 - y1) * (x2 - x1))
    return np.add.reduceat(crosses, begins, axis=0, dtype=np.int64) % 2 == 1


def _there_and_back(starts: np.ndarray, ends: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Whether each edge (E, 2) of a mask is run along as often one way as the other, (E,) bool."""
    weights = np.array([0x9E3779B1, 0x85EBCA77], np.int64)
    first, last = (np.rint(points * _SAME).astype(np.int64) @ weights for points in (starts, ends))
    # Edges are told by the sum of their ends' numbers and by their product, which wraps around, in any order.
    number = (first + last) ^ (first * last + owners * 0x27D4EB2F)
    _, place = np.unique(number, return_inverse=True)
    balance = np.bincount(place, weights=np.sign(first - last))
    return (balance[place] == 0) & (first != last)
