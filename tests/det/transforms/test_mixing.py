"""Several images in one: mosaics, mixing, pasting. Each image has channels of its own, so that objects can be told."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.painted import Box, assert_followed, objects
from visuite.cv.transforms.mosaic import Tiling
from visuite.det.structures import PolygonMasks
from visuite.det.transforms import CachedMixUp, CachedMosaic, CopyPaste, MixUp, Mosaic, PackDetInputs
from visuite.det.transforms.cache import SampleCache
from visuite.det.transforms.mixup import Blending
from visuite.engine.dataset import MultiImageMixDataset
from visuite.engine.dataset.seeding import SampleKey

seeds = st.integers(0, 2**32 - 1)
sizes = st.tuples(st.integers(20, 90), st.integers(20, 90))


def images(
    seed: int, count: int, *, polygons: bool = False, size: tuple[int, int] | None = None
) -> list[dict[str, Any]]:
    """Images of different sizes with up to two objects each, in channels 2 i and 2 i + 1."""
    rng = np.random.RandomState(seed)
    made = []
    for number in range(count):
        w, h = size or tuple(int(edge) for edge in rng.randint(20, 90, 2))
        drawn: list[Box] = []
        for _ in range(rng.randint(3)):
            x, y = int(rng.randint(w - 8)), int(rng.randint(h - 8))
            drawn.append((x, y, int(rng.randint(x + 6, w)) + 1, int(rng.randint(y + 6, h)) + 1))
        one = objects(drawn, (w, h), channels=2 * count, first=2 * number, polygons=polygons)
        made.append(one)
    return made


def mixed(seed: int, count: int, **options: Any) -> dict[str, Any]:
    first, *others = images(seed, count, **options)
    return {**first, "mix_results": others}


@settings(max_examples=60)
@given(seeds, st.booleans(), st.booleans())
def test_objects_follow_into_a_mosaic(seed: int, polygons: bool, clip: bool) -> None:
    np.random.seed(seed)
    got = Mosaic((48, 40), pad_val=0, bbox_clip_border=clip)(mixed(seed, 4, polygons=polygons))
    assert got is not None
    assert got["img_shape"] == (80, 96)
    assert_followed(got, tolerance=1.5)
    assert got["gt_seg_map"].shape == (80, 96)
    assert ((got["gt_seg_map"] == 1) != (got["img"].max(axis=2) > 127)).mean() < 0.05  # at edges, by interpolation
    assert len(got["gt_keypoints"]) == len(got["gt_bboxes"])


def test_where_the_four_images_lie() -> None:
    tiles = [objects([], (20, 10), channels=1) for _ in range(4)]
    for value, tile in enumerate(tiles, 1):
        tile["img"] += np.uint8(50 * value)
    mosaic = Mosaic((40, 40), pad_val=7)
    got = mosaic.apply(tiles[0], Tiling((30, 50), tiles[1:]))
    want = np.full((80, 80, 1), 7, np.uint8)
    want[30:50, 0:30] = 50  # 40 x 20 each, the first reaching over the left edge
    want[30:50, 30:70] = 100
    want[50:70, 0:30] = 150
    want[50:70, 30:70] = 200
    assert np.array_equal(got["img"], want)
    assert (got["gt_seg_map"] == 255).sum() == (want == 7).sum()


def test_centres_and_chances_of_mosaics() -> None:
    np.random.seed(0)
    mosaic = Mosaic((100, 200), center_ratio_range=(0.5, 1.5), prob=0.7)
    given_images = mixed(0, 4)
    drawn = [mosaic.draw(given_images) for _ in range(2000)]
    centres = np.array([one.centre for one in drawn if one is not None])
    assert len(centres) / 2000 == pytest.approx(0.7, abs=0.03)
    assert (centres.min(axis=0) >= (50, 100)).all()
    assert (centres.max(axis=0) < (150, 300)).all()
    assert centres.max(axis=0).tolist() == pytest.approx([149, 299], abs=2)
    before = mixed(0, 4)
    assert Mosaic(prob=0.0)(before) is before


def test_a_mosaic_without_maps_or_masks_and_one_image_lacking_them() -> None:
    given_images = mixed(1, 4)
    del given_images["gt_seg_map"]
    got = Mosaic((40, 40))(given_images)
    assert got is not None
    assert "gt_seg_map" not in got
    given_images = mixed(1, 4)
    del given_images["mix_results"][1]["gt_seg_map"]
    got = Mosaic((40, 40))(given_images)
    assert got is not None
    assert "gt_seg_map" not in got
    del given_images["mix_results"][1]["gt_masks"]
    with pytest.raises(KeyError, match="gt_masks"):
        Mosaic((40, 40))(given_images)


@settings(max_examples=60)
@given(seeds, sizes, st.booleans(), st.booleans())
def test_objects_follow_into_a_mixture(seed: int, size: tuple[int, int], polygons: bool, clip: bool) -> None:
    np.random.seed(seed)
    given_images = mixed(seed, 2, polygons=polygons)
    partner_has_objects = len(given_images["mix_results"][0]["gt_bboxes"]) > 0
    shape = given_images["img_shape"]
    got = MixUp(size, pad_val=0, bbox_clip_border=clip)(given_images)
    assert got is not None
    assert got["img_shape"] == shape
    # Of an object at half its brightness, a quarter is half.
    assert_followed(got, tolerance=1.5, white=63 if partner_has_objects else 127)


def test_mixing_is_half_and_half() -> None:
    one, other = objects([(0, 0, 4, 4)], (20, 10), channels=1), objects([(0, 0, 4, 4)], (20, 10), channels=1)
    one["img"][:] = 100
    other["img"][:] = 200
    got = MixUp((20, 10), pad_val=0).apply(one, Blending(other, 0.5, False, (0.0, 0.0)))
    assert (got["img"][:5, :10] == 150).all()
    assert (got["img"][5:] == 50).all()
    assert (got["img"][:, 10:] == 50).all()
    assert got["gt_bboxes"].tolist() == [[0, 0, 4, 4], [0, 0, 2, 2]]
    flipped = MixUp((20, 10), pad_val=0).apply(objects([], (20, 10), channels=1), Blending(other, 1.0, True, (0, 0)))
    assert flipped["gt_bboxes"].tolist() == [[16, 0, 20, 4]]
    large = MixUp((20, 10), pad_val=0).apply(objects([], (20, 10), channels=1), Blending(other, 2.0, False, (0.5, 0)))
    assert large["gt_bboxes"].tolist() == []  # its part begins at column 10, the object ends at column 8


def test_images_without_objects_are_not_mixed_in() -> None:
    one = {**objects([(0, 0, 4, 4)]), "mix_results": [objects([])]}
    before = one["img"].copy()
    got = MixUp((40, 40))(one)
    assert got is not None
    assert np.array_equal(got["img"], before)


class Records:
    """A data set of which one sample alone has objects."""

    def __len__(self) -> int:
        return 20

    def get_data_info(self, index: int) -> dict[str, Any]:
        return {"instances": [1] if index == 7 else []}


def test_partners_are_drawn_from_the_data_set() -> None:
    np.random.seed(0)
    indexes = np.array([Mosaic().get_indexes(Records()) for _ in range(500)])
    assert indexes.shape == (500, 3)
    assert set(indexes.reshape(-1).tolist()) == set(range(20))
    found = [MixUp(max_iters=200).get_indexes(Records()) for _ in range(50)]
    assert set(found) == {7}
    assert {MixUp(max_iters=1).get_indexes(Records()) for _ in range(300)} == set(range(20))
    assert {CopyPaste().get_indexes(Records()) for _ in range(300)} == set(range(20))
    plain = [objects([]), objects([(0, 0, 5, 5)])]
    assert {MixUp(max_iters=50).get_indexes(plain) for _ in range(20)} == {1}


@pytest.mark.parametrize("kind", [Mosaic, MixUp, CopyPaste])
def test_missing_partners_are_named(kind: type[Any]) -> None:
    with pytest.raises(KeyError, match=rf"{kind.__name__} needs \d more samples.*MultiImageMixDataset"):
        kind()(objects([(0, 0, 9, 9)]))


@pytest.mark.parametrize("kind", [CachedMosaic, CachedMixUp])
def test_cached_images_come_back(kind: type[Any]) -> None:
    np.random.seed(0)
    transform = kind((40, 40), pad_val=0, max_cached_images=5)
    shapes = set()
    for one in images(3, 12):
        kept = copy.deepcopy(one)
        got = transform(dict(one))
        shapes.add(got["img_shape"])
        assert len(transform.cache) <= 5
        for key in ("img", "gt_bboxes"):
            assert np.array_equal(one[key], kept[key])
    assert ((80, 80) in shapes) == (kind is CachedMosaic)


def test_a_cached_mosaic_waits_for_four_images() -> None:
    np.random.seed(1)
    mosaic = CachedMosaic((40, 40), pad_val=0)
    for number, one in enumerate(images(3, 8, polygons=True)):
        got = mosaic(dict(one))
        assert got is not None
        assert (got["img_shape"] == (80, 80)) == (number >= 3)
        assert isinstance(got["gt_masks"], PolygonMasks)


@pytest.mark.parametrize("random_pop", [True, False])
def test_what_leaves_the_cache(random_pop: bool) -> None:
    np.random.seed(0)
    cache, left = SampleCache(3, random_pop), []
    for number in range(200):
        before = {one["number"] for one in cache.samples}
        cache.push({"number": number})
        kept = {one["number"] for one in cache.samples}
        assert number in kept
        left += list(before - kept)
    assert len(cache) == 3
    assert (left == sorted(left)) == (not random_pop)


def test_bad_options_of_mixing() -> None:
    for make in (
        lambda: Mosaic(center_ratio_range=(1.5, 0.5)),
        lambda: Mosaic(prob=2),
        lambda: CachedMosaic(max_cached_images=3),
        lambda: CachedMixUp(max_cached_images=1),
        lambda: MixUp(ratio_range=(0, 1)),
    ):
        with pytest.raises(ValueError, match=r"range|max_cached_images"):
            make()


class Loaded:
    """A data set of ready-made samples."""

    metainfo: dict[str, Any] = {}

    def __init__(self) -> None:
        self.samples = images(5, 8)

    def full_init(self) -> None:
        pass

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return dict(self.samples[index])


def test_what_is_mixed_follows_from_seed_epoch_and_index_alone() -> None:
    pipeline = [Mosaic((40, 40), pad_val=0), MixUp((60, 50)), PackDetInputs()]

    def made(order: list[int], epoch: int = 0) -> dict[int, torch.Tensor]:
        mixed_set = MultiImageMixDataset(Loaded(), pipeline)
        return {i: mixed_set[SampleKey(i, 7, epoch)]["inputs"] for i in order}

    one, other = made([0, 1, 2, 3]), made([3, 1, 0, 2])
    assert all(torch.equal(one[i], other[i]) for i in one)
    assert not all(torch.equal(one[i], later) for i, later in made([0, 1, 2, 3], epoch=1).items())


# ---------------------------------------------------------------------- pasting


@settings(max_examples=40)
@given(seeds, st.booleans())
def test_pasted_objects_are_seen_and_cover_others(seed: int, polygons: bool) -> None:
    np.random.seed(seed)
    given_images = mixed(seed, 2, polygons=polygons, size=(60, 50))
    got = CopyPaste(bbox_occluded_thr=3, mask_occluded_thr=40)(given_images)
    assert got is not None
    # Channels of pasted objects are seen over the whole object; those underneath only where nothing is pasted.
    assert_followed(got, tolerance=1, may_drop=True)
    assert got["gt_masks"].masks.any() == (len(got["gt_bboxes"]) > 0)


def test_pasting_by_hand() -> None:
    under = [(0, 0, 20, 20), (30, 0, 50, 20), (0, 30, 20, 40), (40, 30, 55, 45)]
    over = [(10, 0, 20, 20), (30, 0, 50, 19), (0, 20, 60, 29)]
    one = objects(under, (60, 50), channels=7)
    other = objects(over, (60, 50), channels=7, first=4)
    got = CopyPaste(bbox_occluded_thr=5, mask_occluded_thr=150).apply({**one, "mix_results": [other]}, np.array([0, 1]))
    # The first loses 10 columns but keeps 200 pixels; the second keeps one row; the others are not touched.
    assert got["gt_bboxes_labels"].tolist() == [0, 2, 3, 4, 5]
    assert got["gt_bboxes"].tolist() == [[0, 0, 10, 20], list(under[2]), list(under[3]), list(over[0]), list(over[1])]
    assert got["gt_masks"].areas.tolist() == [200, 200, 225, 200, 380]
    assert (got["img"][0:20, 10:20, 4] == 255).all()
    assert (got["img"][0:20, 10:20, 0] == 0).all()
    assert (got["img"][..., 6] == 0).all()


def test_pasting_nothing_changes_nothing() -> None:
    one, other = objects([(0, 0, 20, 20)]), objects([(0, 0, 9, 9)])
    got = CopyPaste().apply({**one, "mix_results": [other]}, np.zeros(0, np.int64))
    assert np.array_equal(got["img"], one["img"])
    assert got["gt_bboxes"].tolist() == one["gt_bboxes"].tolist()


def test_what_is_pasted() -> None:
    np.random.seed(0)
    given_images = {**objects([]), "mix_results": [objects([(i, i, i + 9, i + 9) for i in range(3)])]}
    assert CopyPaste(selected=False).draw(given_images).tolist() == [0, 1, 2]
    drawn = [CopyPaste(max_num_pasted=2).draw(given_images).tolist() for _ in range(200)]
    assert {len(one) for one in drawn} == {0, 1, 2}
    assert {i for one in drawn for i in one} == {0, 1, 2}
    assert all(len(set(one)) == len(one) for one in drawn)


def test_pasting_by_boxes_and_without_masks() -> None:
    one, other = objects([(0, 0, 20, 20)], masks=False), objects([(10, 0, 30, 20)], first=1, masks=False)
    with pytest.raises(KeyError, match="paste_by_box"):
        CopyPaste()({**one, "mix_results": [other]})
    got = CopyPaste(paste_by_box=True, selected=False)({**one, "mix_results": [other]})
    assert got is not None
    assert got["gt_bboxes"].tolist() == [[0, 0, 10, 20], [10, 0, 30, 20]] or got["gt_bboxes_labels"].tolist() == [1]
    assert "gt_masks" not in got
    small = objects([(0, 0, 5, 5)], (30, 30))
    with pytest.raises(ValueError, match="one size"):
        CopyPaste()({**objects([(0, 0, 5, 5)]), "mix_results": [small]})
