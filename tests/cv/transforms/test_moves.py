"""Geometric transforms: what belongs to an image moves with it."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.painted import extent, sample
from visuite.cv.image import imwarp
from visuite.cv.transforms import (
    BaseTransform,
    CenterCrop,
    EfficientNetCenterCrop,
    EfficientNetRandomCrop,
    Normalize,
    Pad,
    RandomAffine,
    RandomCrop,
    RandomFlip,
    RandomResizedCrop,
    Resize,
    ResizeEdge,
    Rotate,
    Shear,
    Translate,
)

TRANSFORMS: dict[str, BaseTransform] = {
    "flip": RandomFlip(1.0),
    "flip-vertical": RandomFlip(1.0, "vertical"),
    "flip-diagonal": RandomFlip(1.0, "diagonal"),
    "resize": Resize((90, 50)),
    "resize-ratio": Resize((90, 50), keep_ratio=True),
    "resize-factor": Resize(scale_factor=(1.5, 0.75)),
    "resize-edge": ResizeEdge(80),
    "center": CenterCrop((30, 26)),
    "center-pad": CenterCrop((70, 26), auto_pad=True),
    "pad": Pad(size_divisor=32),
    "pad-square": Pad(pad_to_square=True),
    "random-crop": RandomCrop((28, 40), padding=(3, 5)),
    "random-resized-crop": RandomResizedCrop(40, crop_ratio_range=(0.5, 1.0)),
    "efficientnet": EfficientNetRandomCrop(40, crop_ratio_range=(0.5, 1.0)),
    "efficientnet-center": EfficientNetCenterCrop(40),
    "translate": Translate(0.2, pad_val=0, seg_pad_val=0, prob=1.0),
    "translate-down": Translate(0.2, pad_val=0, seg_pad_val=0, prob=1.0, direction="vertical"),
}


#: These turn rectangles into other shapes: boxes hold the rectangle, while corner points leave their edges.
OBLIQUE: dict[str, BaseTransform] = {
    "rotate": Rotate(20.0, pad_val=(0, 0, 0), seg_pad_val=0, prob=1.0),
    "shear": Shear(0.2, pad_val=0, seg_pad_val=0, prob=1.0, interpolation="bilinear"),
    "affine": RandomAffine(border_val=0, scaling_ratio_range=(0.8, 1.2)),
    "shear-down": Shear(0.2, pad_val=0, seg_pad_val=0, prob=1.0, direction="vertical", interpolation="nearest"),
}


class ListOfMasks:
    """A mask container of its own kind: full-size maps that only know how to be indexed."""

    def __init__(self, masks: np.ndarray) -> None:
        self.masks = masks

    def flip(self, flip_direction: str = "horizontal") -> ListOfMasks:
        axes = {"horizontal": (2,), "vertical": (1,), "diagonal": (1, 2)}[flip_direction]
        return ListOfMasks(np.flip(self.masks, axes))

    def resize(self, out_shape: tuple[int, int]) -> ListOfMasks:
        rows = np.arange(out_shape[0]) * self.masks.shape[1] // out_shape[0]
        columns = np.arange(out_shape[1]) * self.masks.shape[2] // out_shape[1]
        return ListOfMasks(self.masks[:, rows][:, :, columns])

    def crop(self, bbox: np.ndarray) -> ListOfMasks:
        x1, y1, x2, y2 = bbox
        return ListOfMasks(self.masks[:, y1:y2, x1:x2])

    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> ListOfMasks:
        below, right = out_shape[0] - self.masks.shape[1], out_shape[1] - self.masks.shape[2]
        return ListOfMasks(np.pad(self.masks, [(0, 0), (0, below), (0, right)], constant_values=pad_val))

    def warp_affine(self, out_shape: tuple[int, int], matrix: np.ndarray) -> ListOfMasks:
        moved = [imwarp(mask, matrix, out_shape[::-1], interpolation="nearest") for mask in self.masks]
        return ListOfMasks(np.stack(moved))

    def expand(self, expanded_h: int, expanded_w: int, top: int, left: int) -> ListOfMasks:
        below, right = expanded_h - top - self.masks.shape[1], expanded_w - left - self.masks.shape[2]
        return ListOfMasks(np.pad(self.masks, [(0, 0), (top, below), (left, right)]))


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("seed", range(5))
def test_everything_follows_the_painted_rectangle(name: str, seed: int) -> None:
    np.random.seed(seed)
    got = TRANSFORMS[name](sample())
    assert got is not None
    seen = got["img"][..., 0] > 127
    assert got["img_shape"] == seen.shape == got["gt_masks"].shape[1:] == got["gt_seg_map"].shape
    assert np.abs(extent(seen) - got["gt_bboxes"][0]).max() <= 1
    assert np.abs(extent(got["gt_masks"][0]) - got["gt_bboxes"][0]).max() <= 1
    assert np.abs(extent(got["gt_seg_map"] == 7) - got["gt_bboxes"][0]).max() <= 1
    corners = got["gt_keypoints"][0, :, :2]
    around = np.concatenate([corners.min(0), corners.max(0)])
    inside = around.clip(0, np.tile(got["img_shape"][::-1], 2))
    np.testing.assert_allclose(inside, got["gt_bboxes"][0], atol=1e-3)


@pytest.mark.parametrize("name", OBLIQUE)
@pytest.mark.parametrize("seed", range(5))
def test_boxes_follow_oblique_rectangles(name: str, seed: int) -> None:
    np.random.seed(seed)
    got = OBLIQUE[name](sample())
    assert got is not None
    assert np.abs(extent(got["img"][..., 0] > 127) - got["gt_bboxes"][0]).max() <= 1.5
    assert np.abs(extent(got["gt_masks"][0]) - got["gt_bboxes"][0]).max() <= 1
    assert np.abs(extent(got["gt_seg_map"] == 7) - got["gt_bboxes"][0]).max() <= 1.5
    assert got["gt_keypoints"].shape == (1, 2, 3)


@given(st.integers(16, 34), st.integers(12, 24), st.integers(4, 12), st.integers(4, 12), st.floats(-180, 180))
def test_boxes_follow_turned_rectangles(x: int, y: int, w: int, h: int, angle: float) -> None:
    # So near the middle, nothing is cut off: of a cut rectangle, less may be seen than its box holds.
    got = Rotate(1.0, pad_val=(0, 0, 0), seg_pad_val=0).apply(sample((x, y, x + w, y + h)), angle)
    # The tip of a turned corner is narrower than a pixel, so that no pixel in its row or column may be set.
    assert np.abs(extent(got["gt_masks"][0]) - got["gt_bboxes"][0]).max() <= 2
    back = Rotate(1.0).apply(got, -angle)["gt_keypoints"][0, :, :2]
    np.testing.assert_allclose(back, [[x, y], [x + w, y + h]], atol=1e-3)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_mask_containers_are_asked_to_move(name: str) -> None:
    np.random.seed(0)
    before = sample()
    before["gt_masks"] = ListOfMasks(before["gt_masks"])
    got = TRANSFORMS[name](before)
    assert got is not None
    assert got["gt_masks"].masks.shape[1:] == got["img_shape"]
    assert np.abs(extent(got["gt_masks"].masks[0]) - got["gt_bboxes"][0]).max() <= 1


@pytest.mark.parametrize("name", [*TRANSFORMS, *OBLIQUE])
def test_given_arrays_are_not_written_to(name: str) -> None:
    np.random.seed(0)
    before = sample()
    kept = copy.deepcopy(before)
    (TRANSFORMS | OBLIQUE)[name](dict(before))
    for key, value in kept.items():
        assert np.array_equal(before[key], value), key


@pytest.mark.parametrize("name", [*TRANSFORMS, *OBLIQUE])
def test_an_image_without_objects(name: str) -> None:
    np.random.seed(0)
    empty = sample()
    empty |= {
        "gt_bboxes": np.zeros((0, 4), np.float32),
        "gt_masks": np.zeros((0, 48, 64), np.uint8),
        "gt_keypoints": np.zeros((0, 17, 3), np.float32),
    }
    got = (TRANSFORMS | OBLIQUE)[name](empty)
    assert got is not None
    assert got["gt_bboxes"].shape == (0, 4)
    assert got["gt_masks"].shape == (0, *got["img_shape"])


@given(
    st.sampled_from(["horizontal", "vertical", "diagonal"]),
    st.integers(0, 30), st.integers(0, 20), st.integers(1, 33), st.integers(1, 27),
)  # fmt: skip
def test_flip_twice_is_nothing(direction: str, x: int, y: int, w: int, h: int) -> None:
    before, flip = sample((x, y, x + w, y + h)), RandomFlip(1.0, direction)
    after = flip(flip(copy.deepcopy(before)))
    assert after is not None
    for key in ("img", "gt_bboxes", "gt_keypoints", "gt_masks", "gt_seg_map"):
        assert np.array_equal(after[key], before[key])


@pytest.mark.parametrize("name", [*TRANSFORMS, *OBLIQUE])
@pytest.mark.parametrize("seed", range(3))
def test_the_homography_maps_points_as_keypoints_move(name: str, seed: int) -> None:
    np.random.seed(seed)
    got = (TRANSFORMS | OBLIQUE)[name](RandomFlip(1.0)(sample()))
    before = sample()["gt_keypoints"][0, :, :2]
    mapped = np.column_stack([before, np.ones(2)]) @ got["homography_matrix"].T
    assert np.allclose(mapped[:, 2], 1)
    moved, (h, w) = got["gt_keypoints"][0, :, :2], got["img_shape"]
    clipped = name.startswith(("resize", "random-resized", "efficientnet"))
    np.testing.assert_allclose(mapped[:, :2].clip(0, (w, h)) if clipped else mapped[:, :2], moved, atol=1e-3)


def test_proposals_move_as_boxes_do() -> None:
    for transform in (TRANSFORMS | OBLIQUE).values():
        before = sample()
        got = transform(before | {"proposals": np.repeat(before["gt_bboxes"], 2, axis=0)})
        assert np.array_equal(got["proposals"], np.repeat(got["gt_bboxes"], 2, axis=0))


def test_flip_swaps_sides() -> None:
    got = RandomFlip(1.0, swap_seg_labels=[(7, 3)])(sample())
    assert got is not None
    assert set(np.unique(got["gt_seg_map"])) == {0, 3}
    assert (got["flip"], got["flip_direction"]) == (True, "horizontal")


def test_flip_chances() -> None:
    np.random.seed(0)
    flip = RandomFlip([0.2, 0.5], ["horizontal", "vertical"])
    drawn = [flip.draw({}) for _ in range(4000)]
    shares = [drawn.count(one) / len(drawn) for one in ("horizontal", "vertical", None)]
    np.testing.assert_allclose(shares, [0.2, 0.5, 0.3], atol=0.03)
    assert RandomFlip(0.4, ["horizontal", "vertical"]).prob == [0.2, 0.2]
    assert RandomFlip()({"img": np.zeros((2, 2, 3)), "img_shape": (2, 2)})["flip"] is False
    for bad in (1.5, [0.7, 0.7], [0.1, 0.1, 0.1]):
        with pytest.raises(ValueError, match="chance"):
            RandomFlip(bad, ["horizontal", "vertical"])
    with pytest.raises(ValueError, match="sideways"):
        RandomFlip(0.5, "sideways")


def test_resize_tells_what_it_did() -> None:
    got = Resize((100, 60), keep_ratio=True)(sample(size=(64, 48)))
    assert got is not None
    assert got["img_shape"] == (60, 80)
    assert got["scale_factor"] == (1.25, 1.25)
    assert got["keep_ratio"] is True
    assert Resize(32)(sample())["img_shape"] == (32, 32)
    with pytest.raises(ValueError, match="scale"):
        Resize()


@pytest.mark.parametrize(
    ("edge", "shape"), [("short", (36, 48)), ("long", (27, 36)), ("width", (27, 36)), ("height", (36, 48))]
)
def test_resize_edge(edge: str, shape: tuple[int, int]) -> None:
    assert ResizeEdge(36, edge)(sample())["img_shape"] == shape


def test_boxes_may_stay_unclipped() -> None:
    got = CenterCrop((10, 10), clip_object_border=False)(sample())
    assert got is not None
    assert got["gt_bboxes"].min() < 0


def test_points_cut_off_become_invisible() -> None:
    got = CenterCrop((10, 10))(sample())
    assert got is not None
    assert (got["gt_keypoints"][..., 2] == 0).all()


def test_pad_values() -> None:
    got = Pad(size=(70, 50), pad_val={"img": (1, 2, 3), "seg": 9})(sample())
    assert got is not None
    assert (got["img"][-1, -1] == (1, 2, 3)).all()
    assert got["gt_seg_map"][-1, -1] == 9
    assert got["pad_shape"] == (50, 70, 3)
    with pytest.raises(ValueError, match="either"):
        Pad()


def test_normalize() -> None:
    got = Normalize([1, 2, 3], [2, 2, 2])(sample())
    assert got is not None
    assert got["img"].dtype == np.float32
    np.testing.assert_allclose(got["img"][0, 0], [-0.5, -1, -1.5])


@given(st.integers(0, 2**32 - 1))
def test_random_crop_reaches_every_place_and_no_other(seed: int) -> None:
    np.random.seed(seed)
    crop = RandomCrop(32, padding=4)
    drawn = crop.draw({"img": np.zeros((32, 32, 3), np.uint8)})
    x1, y1, x2, y2 = drawn.window
    assert drawn.padding == (4, 4, 4, 4)
    assert (x2 - x1, y2 - y1) == (32, 32)
    assert 0 <= x1 <= 8
    assert 0 <= y1 <= 8


def test_random_crop_of_a_small_image() -> None:
    with pytest.raises(ValueError, match="pad_if_needed"):
        RandomCrop(100)(sample())
    got = RandomCrop(100, pad_if_needed=True, pad_val=5)(sample())
    assert got is not None
    assert got["img"].shape == (100, 100, 3)


@given(st.integers(0, 2**32 - 1), st.integers(8, 200), st.integers(8, 200))
def test_random_resized_crop_keeps_its_ranges(seed: int, h: int, w: int) -> None:
    np.random.seed(seed)
    crop = RandomResizedCrop(16, crop_ratio_range=(0.2, 0.9), aspect_ratio_range=(0.5, 2.0), max_attempts=1)
    x1, y1, x2, y2 = crop.draw({"img": np.empty((h, w, 3), np.uint8)})
    assert 0 <= x1 < x2 <= w
    assert 0 <= y1 < y2 <= h
    assert 0.5 * 0.8 <= (x2 - x1) / (y2 - y1) <= 2.0 * 1.25  # rounding to pixels


def test_draws_can_be_fixed() -> None:
    crop = RandomResizedCrop((20, 30))
    got = crop.apply(sample(), (5, 6, 35, 26))
    assert got["img"].shape == (20, 30, 3)
    np.testing.assert_array_equal(got["img"], sample()["img"][6:26, 5:35])


def test_random_affine_drops_what_left_the_image() -> None:
    before = sample() | {"gt_bboxes": np.array([[12, 10, 40, 33], [0, 0, 5, 5]], np.float32)}
    before |= {"gt_bboxes_labels": np.array([4, 5]), "gt_ignore_flags": np.array([False, True])}
    del before["gt_masks"], before["gt_keypoints"]
    got = RandomAffine(border=(-10, -8)).apply(before, np.array([[1.0, 0, -8], [0, 1, -6]]))
    assert got["img_shape"] == (32, 44)
    assert got["gt_bboxes"].tolist() == [[4, 4, 32, 27]]
    assert (got["gt_bboxes_labels"].tolist(), got["gt_ignore_flags"].tolist()) == ([4], [False])
    with pytest.raises(ValueError, match="scaling_ratio_range"):
        RandomAffine(scaling_ratio_range=(0, 1))


@given(st.integers(0, 2**32 - 1))
def test_random_affine_draws_within_its_ranges(seed: int) -> None:
    np.random.seed(seed)
    matrix = RandomAffine(30, 0.2, scaling_ratio_range=(0.5, 2.0), max_shear_degree=0).draw(sample())
    factor = np.sqrt(np.linalg.det(matrix[:, :2]))
    assert 0.5 <= factor <= 2.0
    assert abs(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))) <= 30
    assert (np.abs(matrix[:, 2]) <= 0.2 * np.array([64, 48])).all()
