"""Mosaics, mixtures and pasting: where images go, whether objects follow, and where partners come from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.det.transforms.test_mixing import images
from tests.painted import assert_followed, objects
from visuite.cv.transforms.mosaic import Tiling
from visuite.engine.dataset.seeding import derived_randomness
from visuite.yolo.transforms import Mosaic, Mosaic9, YOLOv5CopyPaste, YOLOv5MixUp, YOLOXMixUp
from visuite.yolo.transforms.mixup import Blending
from visuite.yolo.transforms.mosaic import Window, nine_corners

seeds = st.integers(0, 2**32 - 1)


class Painted:
    """A data set whose records are ready-made samples."""

    def __init__(self, samples: list[dict[str, Any]]) -> None:
        self.samples = samples
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.samples)

    def get_data_info(self, index: int) -> dict[str, Any]:
        self.asked.append(index)
        return dict(self.samples[index])


def one_colour(value: int, size: tuple[int, int]) -> dict[str, Any]:
    img = objects([], size)
    img["img"] = np.full((size[1], size[0], 3), value, np.uint8)
    return img


# ---------------------------------------------------------------------- mosaics


@settings(max_examples=40)
@given(seeds, st.booleans(), st.booleans(), st.integers(0, 47), st.integers(0, 39))
def test_objects_follow_into_a_mosaic_of_nine(seed: int, polygons: bool, clip: bool, x: int, y: int) -> None:
    first, *others = images(seed, 9, polygons=polygons)
    mosaic = Mosaic9((48, 40), pad_val=0, bbox_clip_border=clip)
    got = mosaic.apply(first, Window((x, y), others))
    assert got["img_shape"] == (80, 96)
    assert_followed(got, tolerance=1.5)


def test_four_colours_lie_in_their_quadrants() -> None:
    tiles = [one_colour(value, (40, 40)) for value in (50, 100, 150, 200)]
    got = Mosaic((40, 40)).apply(tiles[0], Tiling((40, 40), tiles[1:]))
    assert (got["img"][:40, :40] == 50).all()
    assert (got["img"][:40, 40:] == 100).all()
    assert (got["img"][40:, :40] == 150).all()
    assert (got["img"][40:, 40:] == 200).all()


def test_nine_colours_lie_around_the_middle_one() -> None:
    tiles = [one_colour(20 * value, (30, 30)) for value in range(1, 10)]
    got = Mosaic9((30, 30)).apply(tiles[0], Window((15, 15), tiles[1:]))["img"][..., 0] // 20
    # All squares: a board of 3 x 3, of which the window shows half of each outer one.
    places = got[[7, 30, 52]][:, [7, 30, 52]].tolist()
    assert places == [[9, 2, 3], [8, 1, 4], [7, 6, 5]]


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=9, max_size=9))
def test_nine_images_touch_but_do_not_overlap(sizes: list[tuple[int, int]]) -> None:
    corners = nine_corners(sizes)
    boxes = np.concatenate([corners, corners + sizes], axis=1)
    for number, one in enumerate(boxes):
        for other in boxes[:number]:
            inner = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
            assert (inner <= 0).any()
    for ring in ((0, 1), (1, 2), (0, 3), (3, 4), (0, 5), (5, 6), (0, 7), (7, 8)):
        one, other = boxes[list(ring)]
        inner = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
        assert inner.min() == 0  # they share an edge
        assert inner.max() > 0


def test_what_mosaics_draw() -> None:
    np.random.seed(0)
    dataset = Painted([objects([(0, 0, 9, 9)]) for _ in range(30)])
    mosaic, nine = Mosaic((100, 200), prob=0.7), Mosaic9((100, 200))
    drawn = [mosaic.draw({"dataset": dataset}) for _ in range(500)]
    centres = np.array([one.centre for one in drawn if one is not None])
    assert len(centres) / 500 == pytest.approx(0.7, abs=0.06)
    assert centres.min(axis=0).tolist() == pytest.approx([50, 100], abs=4)
    assert centres.max(axis=0).tolist() == pytest.approx([149, 299], abs=4)
    assert set(dataset.asked) == set(range(30))
    assert len(dataset.asked) == 3 * len(centres)
    corners = np.array([nine.draw({"dataset": dataset}).corner for _ in range(200)])
    assert corners.min() >= 0
    assert (corners.max(axis=0) < (100, 200)).all()


# ---------------------------------------------------------------------- partners


def test_partners_go_through_their_own_transforms_with_their_own_randomness() -> None:
    dataset = Painted([objects([(0, 0, 9, 9)]) for _ in range(10)])

    def greedy(results: dict[str, Any]) -> dict[str, Any]:
        assert results["dataset"] is dataset
        results["drawn"] = np.random.random(5).tolist()
        return results

    def drawn(pre_transform: list[Any]) -> tuple[Any, float]:
        np.random.seed(3)
        tiling = Mosaic(pre_transform=pre_transform).draw({"dataset": dataset})
        return tiling, np.random.random()

    (few, after_few), (many, after_many) = drawn([]), drawn([greedy])
    assert few.centre == many.centre
    assert after_few == after_many  # what partners draw does not change what comes after
    streams = [tuple(one["drawn"]) for one in many.partners]
    assert len(set(streams)) == 3
    assert drawn([greedy])[0].partners[0]["drawn"] == many.partners[0]["drawn"]


def test_a_derived_stream() -> None:
    np.random.seed(0)
    with derived_randomness():
        first = np.random.random()
    after = np.random.random()
    np.random.seed(0)
    with derived_randomness():
        np.random.random(100)
    assert np.random.random() == after
    np.random.seed(1)
    with derived_randomness():
        assert np.random.random() != first


def test_dropped_partners_are_drawn_again() -> None:
    dataset = Painted([{**objects([(0, 0, 9, 9)]), "number": i} for i in range(10)])

    def only_even(results: dict[str, Any]) -> dict[str, Any] | None:
        return results if results["number"] % 2 == 0 else None

    np.random.seed(0)
    for _ in range(20):
        tiling = Mosaic(pre_transform=[only_even], max_refetch=50).draw({"dataset": dataset})
        assert all(one["number"] % 2 == 0 for one in tiling.partners)
    with pytest.raises(RuntimeError, match="dropped 15 samples in a row"):
        Mosaic(pre_transform=[lambda results: None]).draw({"dataset": dataset})


@pytest.mark.parametrize("kind", [Mosaic, Mosaic9, YOLOv5MixUp, YOLOXMixUp])
def test_without_a_data_set(kind: type[Any]) -> None:
    with pytest.raises(KeyError, match=r"YOLOv5CocoDataset.*use_cached"):
        kind()(objects([(0, 0, 9, 9)]))
    results = objects([(0, 0, 9, 9)])
    assert kind(prob=0.0)(results) is results  # nothing is asked for


@pytest.mark.parametrize(("kind", "least"), [(Mosaic, 4), (Mosaic9, 9), (YOLOv5MixUp, 2), (YOLOXMixUp, 2)])
def test_cached_images_come_back(kind: type[Any], least: int) -> None:
    np.random.seed(0)
    options = {} if kind is YOLOv5MixUp else {"img_scale": (40, 40), "pad_val": 0}
    transform = kind(use_cached=True, max_cached_images=least, **options)
    for number, one in enumerate(images(3, 12, size=(40, 40)), 1):
        before = len(one["gt_bboxes"]), one["img"].copy()
        got = transform({**one, "dataset": object()})
        assert len(transform.others.cache) == min(number, least)
        assert all("dataset" not in kept for kept in transform.others.cache.samples)
        if number < least:
            assert len(got["gt_bboxes"]) == before[0]
        assert np.array_equal(one["img"], before[1])
    with pytest.raises(ValueError, match="max_cached_images"):
        kind(use_cached=True, max_cached_images=least - 1)


# ---------------------------------------------------------------------- mixtures


def test_a_share_of_each_image() -> None:
    one, other = one_colour(100, (20, 10)), one_colour(200, (20, 10))
    one.update(gt_bboxes=np.array([[0, 0, 4, 4]], np.float32), gt_bboxes_labels=np.array([1]))
    other.update(gt_bboxes=np.array([[5, 5, 9, 9]], np.float32), gt_bboxes_labels=np.array([2]))
    got = YOLOv5MixUp().apply(one, Blending(other, 0.75))
    assert (got["img"] == 125).all()
    assert got["gt_bboxes"].tolist() == [[0, 0, 4, 4], [5, 5, 9, 9]]
    assert got["gt_bboxes_labels"].tolist() == [1, 2]
    with pytest.raises(ValueError, match="images of one size"):
        YOLOv5MixUp().apply(one_colour(1, (20, 10)), Blending(one_colour(1, (10, 20)), 0.5))


def test_shares_are_beta_distributed() -> None:
    np.random.seed(0)
    dataset = Painted([one_colour(0, (4, 4))])
    shares = np.array([YOLOv5MixUp(8.0, 8.0).draw({"dataset": dataset}).share for _ in range(800)])
    assert shares.mean() == pytest.approx(0.5, abs=0.02)
    assert shares.std() == pytest.approx((1 / (4 * 17)) ** 0.5, rel=0.1)  # sqrt(ab / ((a + b)^2 (a + b + 1)))


@settings(max_examples=40)
@given(seeds, st.booleans())
def test_objects_follow_into_a_mixture(seed: int, polygons: bool) -> None:
    np.random.seed(seed)
    first, other = images(seed, 2, polygons=polygons)
    mixed_in = len(other["gt_bboxes"]) > 0
    got = YOLOXMixUp((60, 50), pad_val=0)({**first, "dataset": Painted([other])})
    assert_followed(got, tolerance=1.5, white=63 if mixed_in else 127)


# ---------------------------------------------------------------------- pasting


def test_the_mirror_image_of_an_object_is_pasted() -> None:
    one = objects([(2, 4, 12, 14), (40, 20, 50, 30)], (60, 40), polygons=True)
    got = YOLOv5CopyPaste().apply(one, np.array([0]))
    assert got["gt_bboxes"].tolist() == [[2, 4, 12, 14], [40, 20, 50, 30], [48, 4, 58, 14]]
    assert got["gt_bboxes_labels"].tolist() == [0, 1, 0]
    assert (got["img"][5:13, 49:57, 0] == 255).all()
    assert got["gt_masks"].get_bboxes().tolist() == got["gt_bboxes"].tolist()
    assert got["gt_keypoints"][2, :, :2].tolist() == [[58, 4], [48, 14]]


@pytest.mark.parametrize("polygons", [True, False])
def test_what_would_hide_too_much_is_not_pasted(polygons: bool) -> None:
    boxes = [(2, 4, 12, 14), (44, 4, 54, 14)]  # the mirror image of the first is (48, 4, 58, 14): it hides 6 of 10
    for most, count in ((0.5, 2), (0.7, 3)):
        got = YOLOv5CopyPaste(ioa_thresh=most).apply(objects(boxes, (60, 40), polygons=polygons), np.array([0]))
        assert len(got["gt_bboxes"]) == count
    middle = objects([(25, 4, 35, 14)], (60, 40))
    assert YOLOv5CopyPaste().apply(middle, np.array([0])) is middle  # it would hide itself


def test_which_objects_are_tried() -> None:
    np.random.seed(0)
    one = objects([(i, i, i + 5, i + 5) for i in range(10)], channels=10)
    drawn = [YOLOv5CopyPaste(prob=0.3).draw(one) for _ in range(100)]
    assert {len(numbers) for numbers in drawn} == {3}
    assert {number for numbers in drawn for number in numbers} == set(range(10))
    del one["gt_masks"]
    before = one["img"]
    assert YOLOv5CopyPaste(prob=1.0)(one)["img"] is before


def test_bad_options() -> None:
    for make in (
        lambda: Mosaic(prob=2),
        lambda: Mosaic(center_ratio_range=(1.5, 0.5)),
        lambda: Mosaic9(prob=-1),
        lambda: YOLOv5MixUp(alpha=0),
        lambda: YOLOXMixUp(ratio_range=(0, 1)),
        lambda: YOLOv5CopyPaste(prob=1.5),
    ):
        with pytest.raises(ValueError, match=r"chance|range|lie between"):
            make()
