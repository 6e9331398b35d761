"""Mask containers: bitmaps against plain loops, polygons against bitmaps of the same shape."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from visuite.cv.image import imflip, impad, imresize, imrotate
from visuite.cv.masks import BitmapMasks, InstanceMasks, PolygonMasks
from visuite.cv.masks.polygon import clip_polygon, polygon_area

H, W = 40, 56
#: A concave polygon, one of two parts, and one that touches three borders.
SHAPES = [
    [np.array([10.0, 5, 40, 8, 41, 14, 24, 17, 40, 26, 38, 33, 8, 30])],
    [np.array([3.0, 3, 20, 3, 20, 14, 3, 14]), np.array([30.0, 20, 50, 22, 46, 38, 38, 38])],
    [np.array([0.0, 0, 56, 0, 56, 40, 40, 40, 30, 12, 0, 8])],
]
KINDS: list[type[Any]] = [BitmapMasks, PolygonMasks]


def polygons() -> PolygonMasks:
    return PolygonMasks(SHAPES, H, W)


def bitmaps() -> BitmapMasks:
    return BitmapMasks(np.stack([painted(one, (H, W)) for one in SHAPES]), H, W)


def masks_of(kind: type[Any]) -> Any:
    return bitmaps() if kind is BitmapMasks else polygons()


def empty(kind: type[Any]) -> Any:
    return kind([], H, W)


def painted(parts: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """The union of polygons, a pixel being set where its middle lies inside (even-odd, pixel by pixel)."""
    ys, xs = np.mgrid[: shape[0], : shape[1]] + 0.5
    out = np.zeros(shape, bool)
    for part in parts:
        x, y = part[0::2], part[1::2]
        inside = np.zeros(shape, bool)
        for x1, y1, x2, y2 in zip(x, y, np.roll(x, -1), np.roll(y, -1), strict=True):
            if y1 != y2:
                inside ^= ((y1 > ys) != (y2 > ys)) & (xs < (x2 - x1) * (ys - y1) / (y2 - y1) + x1)
        out |= inside
    return out.astype(np.uint8)


def near(one: np.ndarray, other: np.ndarray, pixels: int = 1) -> bool:
    """Whether each of two bitmaps lies within the other, grown by some pixels."""
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return not (one & ~cv2.dilate(other, kernel) & 1).any() and not (other & ~cv2.dilate(one, kernel) & 1).any()


MOVES: dict[str, Callable[[Any], Any]] = {
    "rescale": lambda m: m.rescale((80, 50)),
    "rescale-factor": lambda m: m.rescale(0.5),
    "resize": lambda m: m.resize((60, 30)),
    "flip": lambda m: m.flip(),
    "flip-vertical": lambda m: m.flip("vertical"),
    "flip-diagonal": lambda m: m.flip("diagonal"),
    "pad": lambda m: m.pad((50, 60)),
    "crop": lambda m: m.crop(np.array([12, 7, 37, 30])),
    "crop-beyond": lambda m: m.crop(np.array([-5, 20, 30, 90])),
    "expand": lambda m: m.expand(70, 90, 20, 13),
    "expand-cut": lambda m: m.expand(30, 50, 10, 20),
    "translate": lambda m: m.translate((H, W), 9),
    "translate-up": lambda m: m.translate((30, 70), -6.25, "vertical"),
    "rotate": lambda m: m.rotate((H, W), 25.0),
    "rotate-center": lambda m: m.rotate((50, 50), -70.0, center=(10, 12), scale=0.8),
    "shear": lambda m: m.shear((H, W), 0.3),
    "shear-vertical": lambda m: m.shear((H, W), -0.2, "vertical"),
    "warp": lambda m: m.warp_affine((30, 70), np.array([[0.9, 0.2, 3.0], [-0.3, 1.1, 8.5]])),
}


@pytest.mark.parametrize("name", MOVES)
def test_polygons_and_bitmaps_move_together(name: str) -> None:
    moved, drawn = MOVES[name](polygons()), MOVES[name](bitmaps())
    assert (moved.height, moved.width) == (drawn.height, drawn.width)
    assert len(moved) == len(drawn) == 3
    for one, other in zip(moved.to_ndarray(), drawn.to_ndarray(), strict=True):
        assert near(one, other)
        assert abs(int(one.sum()) - int(other.sum())) <= 0.05 * other.sum() + 12
    np.testing.assert_allclose(moved.areas, drawn.areas, rtol=0.06, atol=8)
    # A tip narrower than a pixel may set none.
    np.testing.assert_allclose(moved.get_bboxes().numpy(), drawn.get_bboxes().numpy(), atol=2.6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MOVES)
def test_moves_of_no_masks_and_without_writing(name: str, kind: type[Any]) -> None:
    shape = MOVES[name](masks_of(kind)).to_ndarray().shape[1:]
    got = MOVES[name](empty(kind))
    assert isinstance(got, kind)
    assert got.to_ndarray().shape == (0, *shape)
    assert got.areas.shape == (0,)
    assert got.get_bboxes().shape == (0, 4)
    before = masks_of(kind)
    kept = copy.deepcopy(before)
    moved = MOVES[name](before)
    for array in moved.masks if kind is BitmapMasks else [part for mask in moved.masks for part in mask]:
        array += 0  # the result may be looked at, and is of the container's kind
    assert np.array_equal(before.to_ndarray(), kept.to_ndarray())


def test_bitmaps_move_as_images_do() -> None:
    masks = bitmaps()
    for i, mask in enumerate(masks):
        assert np.array_equal(masks.flip("diagonal").masks[i], imflip(mask, "diagonal"))
        assert np.array_equal(masks.resize((61, 33)).masks[i], imresize(mask, (33, 61), interpolation="nearest"))
        assert np.array_equal(masks.pad((50, 70), 1).masks[i], impad(mask, shape=(50, 70), pad_val=1))
        assert np.array_equal(masks.rotate((H, W), 20).masks[i], imrotate(mask, 20))
        assert np.array_equal(masks.crop(np.array([5, 6, 30, 20])).masks[i], mask[6:20, 5:30])
        assert np.array_equal(masks.expand(80, 90, 7, 9).masks[i], np.pad(mask, [(7, 33), (9, 25)]))
        shifted = np.zeros((30, W), np.uint8)
        shifted[:, 4:] = mask[:30, :-4]
        assert np.array_equal(masks.translate((30, W), 4).masks[i], shifted)
    assert masks.translate((H, W), 4, border_value=1).masks[:, :, :4].all()


@given(
    st.integers(-10, 60), st.integers(-10, 45), st.integers(1, 70), st.integers(1, 60),
    st.lists(st.tuples(st.floats(-20, 80), st.floats(-20, 60)), min_size=3, max_size=8),
)  # fmt: skip
def test_clipping_a_polygon_is_cropping_its_picture(
    x: int, y: int, w: int, h: int, corners: list[tuple[float, float]]
) -> None:
    points = np.round(np.array(corners), 2) + 0.003  # no middle of a pixel lies on an edge
    inside = clip_polygon(points - (x, y), (h, w))
    want = painted([(points - (x, y)).reshape(-1)], (h, w))
    got = painted([inside.reshape(-1)], (h, w)) if len(inside) else np.zeros((h, w), np.uint8)
    assert np.array_equal(got, want)
    assert (inside >= 0).all()
    assert (inside <= (w, h)).all()


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=3, max_size=7), st.floats(-1e4, 1e4))
def test_area_is_the_sum_of_signed_triangles(corners: list[tuple[float, float]], shift: float) -> None:
    points = np.array(corners)
    a = points[0]
    total = sum(np.cross([*(b - a), 0], [*(c - a), 0])[2] for b, c in itertools.pairwise(points)) / 2
    assert polygon_area(points) == pytest.approx(abs(total), abs=1e-9)
    assert polygon_area(points + shift) == pytest.approx(abs(total), abs=1e-6)


def test_areas_and_boxes() -> None:
    masks = bitmaps()
    assert masks.areas.tolist() == [int(mask.sum()) for mask in masks.masks]
    for box, mask in zip(masks.get_bboxes(), masks.masks, strict=True):
        ys, xs = np.nonzero(mask)
        assert box.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    for area, parts in zip(polygons().areas, SHAPES, strict=True):
        assert area == sum(cv2.contourArea(part.reshape(-1, 2).astype(np.float32)) for part in parts)
    assert polygons().get_bboxes()[1].tolist() == [3, 3, 50, 38]
    nothing = BitmapMasks(np.zeros((1, H, W), bool), H, W)
    assert nothing.get_bboxes().tolist() == [[0, 0, 0, 0]]
    assert nothing.areas.tolist() == [0]


def test_what_is_cut_away_stays_in_its_place_with_no_area() -> None:
    for kind in KINDS:
        cut = masks_of(kind).crop(np.array([0, 36, 3, 40]))
        assert len(cut) == 3
        assert cut.areas.tolist() == [0, 0, 0]
        assert cut.get_bboxes().tolist() == [[0, 0, 0, 0]] * 3
        assert not cut.to_ndarray().any()


def regions() -> tuple[torch.Tensor, torch.Tensor]:
    boxes = torch.tensor([[8.0, 4, 41, 34], [10.5, 7.25, 30, 20], [2, 2, 22, 15], [-4, -3, 60, 44], [20, 10, 20, 10]])
    return boxes, torch.tensor([0, 0, 1, 2, 2])


def bilinear(mask: np.ndarray, x: float, y: float) -> float:
    """Read a map at a point whose origin is the corner of the first pixel, as RoIAlign does."""
    x, y = x - 0.5, y - 0.5
    if not (-1 <= x <= mask.shape[1] and -1 <= y <= mask.shape[0]):
        return 0.0
    x, y = min(max(x, 0), mask.shape[1] - 1), min(max(y, 0), mask.shape[0] - 1)
    x0, y0 = int(x), int(y)
    x1, y1 = min(x0 + 1, mask.shape[1] - 1), min(y0 + 1, mask.shape[0] - 1)
    top = mask[y0, x0] * (1 - (x - x0)) + mask[y0, x1] * (x - x0)
    return float(top * (1 - (y - y0)) + (mask[y1, x0] * (1 - (x - x0)) + mask[y1, x1] * (x - x0)) * (y - y0))


def test_crop_and_resize_of_bitmaps_reads_bilinearly() -> None:
    boxes, inds = regions()
    h, w = 7, 6
    got = bitmaps().crop_and_resize(boxes, (h, w), inds, binarize=False)
    for k, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        mask, bin_w, bin_h = bitmaps().masks[int(inds[k])], (x2 - x1) / w, (y2 - y1) / h
        across, down = (max(int(np.ceil(edge)), 0) for edge in (bin_w, bin_h))
        for i in range(h):
            for j in range(w):
                points = [
                    bilinear(mask, x1 + bin_w * (j + (b + 0.5) / across), y1 + bin_h * (i + (a + 0.5) / down))
                    for a in range(down) for b in range(across)
                ]  # fmt: skip
                assert got.masks[k, i, j] == pytest.approx(sum(points) / max(len(points), 1), abs=1e-4)
    binary = bitmaps().crop_and_resize(boxes, (h, w), inds)
    assert binary.masks.dtype == np.uint8
    assert np.array_equal(binary.masks, (got.masks >= 0.5).astype(np.uint8))
    tensor = bitmaps().crop_to_tensor(boxes, (h, w), inds)
    assert np.array_equal(tensor.numpy(), binary.masks)


def test_crop_and_resize_of_polygons_and_bitmaps_agree() -> None:
    boxes, inds = regions()
    boxes, inds = boxes[:-1], inds[:-1]
    from_polygons = polygons().crop_and_resize(boxes, (28, 28), inds)
    from_bitmaps = bitmaps().crop_and_resize(boxes, (28, 28), inds)
    assert (len(from_polygons), from_polygons.height, from_polygons.width) == (4, 28, 28)
    for one, other in zip(from_polygons.to_ndarray(), from_bitmaps.to_ndarray(), strict=True):
        assert near(one, other, 2)
        assert (one != other).mean() < 0.06
    tensor = polygons().crop_to_tensor(boxes, (28, 28), inds)
    assert np.array_equal(tensor.numpy(), from_polygons.to_ndarray())


@pytest.mark.parametrize("kind", KINDS)
def test_crop_and_resize_of_nothing(kind: type[Any]) -> None:
    none = torch.zeros(0, 4), (14, 10), torch.zeros(0, dtype=torch.long)
    for masks in (masks_of(kind), empty(kind)):
        got = masks.crop_and_resize(*none)
        assert (len(got), got.height, got.width) == (0, 14, 10)
        assert masks.crop_to_tensor(*none).shape == (0, 14, 10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("index", "chosen"),
    [
        (1, [1]), (-1, [2]), (slice(1, None), [1, 2]), ([2, 0], [2, 0]), ([], []),
        (np.array([True, False, True]), [0, 2]),
        (torch.tensor([2, 1]), [2, 1]), (torch.tensor([False, True, False]), [1]), (torch.zeros(3, dtype=bool), []),
        (np.int64(1), [1]), (np.zeros(0, np.int64), []), (torch.tensor(1), [1]),
    ],
)  # fmt: skip
def test_choosing(kind: type[Any], index: Any, chosen: list[int]) -> None:
    masks = masks_of(kind)
    got = masks[index]
    assert isinstance(got, kind)
    assert np.array_equal(got.to_ndarray(), masks.to_ndarray()[chosen])


@pytest.mark.parametrize("kind", KINDS)
def test_choosing_what_is_not_there(kind: type[Any]) -> None:
    for bad in (3, [0, 7], np.array([True, False])):
        with pytest.raises(IndexError):
            masks_of(kind)[bad]


@pytest.mark.parametrize("kind", KINDS)
def test_cat(kind: type[Any]) -> None:
    masks = masks_of(kind)
    joined = kind.cat([masks[:1], empty(kind), masks[1:]])
    assert np.array_equal(joined.to_ndarray(), masks.to_ndarray())
    assert len(list(joined)) == len(joined) == 3
    with pytest.raises(ValueError, match="nothing"):
        kind.cat([])
    with pytest.raises(ValueError, match="sizes"):
        kind.cat([masks, masks.pad((99, 99))])
    with pytest.raises(TypeError, match="list"):
        kind.cat([masks, []])


@pytest.mark.parametrize("kind", KINDS)
def test_tensors(kind: type[Any]) -> None:
    tensor = masks_of(kind).to_tensor(torch.bool, "cpu")
    assert (tensor.shape, tensor.dtype) == ((3, H, W), torch.bool)
    assert np.array_equal(tensor.numpy(), masks_of(kind).to_ndarray().astype(bool))
    assert empty(kind).to_tensor(torch.float32, "cpu").shape == (0, H, W)
    assert repr(masks_of(kind)) == f"{kind.__name__}(num_masks=3, height=40, width=56)"


@pytest.mark.parametrize("kind", KINDS)
def test_random_masks(kind: type[Any]) -> None:
    one, same, other = kind.random(5, 30, 20, rng=1), kind.random(5, 30, 20, rng=1), kind.random(5, 30, 20, rng=2)
    assert isinstance(one, InstanceMasks)
    assert one.to_ndarray().shape == (5, 30, 20)
    assert (one.areas > 0).all()
    assert np.array_equal(one.to_ndarray(), same.to_ndarray())
    assert not np.array_equal(one.to_ndarray(), other.to_ndarray())
    assert len(kind.random(0)) == 0


def test_to_bitmap() -> None:
    drawn = polygons().to_bitmap()
    assert isinstance(drawn, BitmapMasks)
    for one, other in zip(drawn.masks, bitmaps().masks, strict=True):
        assert near(one, other)
        assert (one != other).mean() < 0.02


def test_wrong_masks_are_named() -> None:
    with pytest.raises(ValueError, match=r"40x56.*\(3, 4\)"):
        BitmapMasks([np.zeros((3, 4))], H, W)
    with pytest.raises(ValueError, match=r"mask 1.*three points"):
        PolygonMasks([SHAPES[0], [np.zeros(4)]], H, W)
    with pytest.raises(ValueError, match="mask 0"):
        PolygonMasks([[np.zeros(7)]], H, W)
    with pytest.raises(TypeError, match="mask 0 is a list"):
        PolygonMasks([np.zeros(6)], H, W)
    with pytest.raises(ValueError, match="bitmaps first"):
        polygons().pad((90, 90), 1)
    with pytest.raises(ValueError, match="sideways"):
        polygons().flip("sideways")


def test_bools_and_whole_numbers_become_what_can_be_moved() -> None:
    assert BitmapMasks(np.ones((1, H, W), bool), H, W).masks.dtype == np.uint8
    assert PolygonMasks([[np.array([0, 0, 5, 0, 5, 5])]], H, W).resize((H, 2 * W)).masks[0][0][2] == 10.0
