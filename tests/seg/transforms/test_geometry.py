"""Whether maps move with their images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.painted import sample
from visuite.cv.transforms import BaseTransform, ResizeShortestEdge
from visuite.engine.registry import DefaultScope
from visuite.seg.registry import TRANSFORMS
from visuite.seg.transforms import RandomCrop, RandomMosaic, RandomRotate, RandomRotFlip, ResizeToMultiple
from visuite.seg.transforms.geometry import TurnAndFlip

MOVES: dict[str, BaseTransform] = {
    "crop": RandomCrop((30, 40)),
    "mixed-crop": RandomCrop((20, 24), 0.75),
    "rotate": RandomRotate(1.0, 40),
    "rotate-all": RandomRotate(1.0, (10, 80), auto_bound=True),
    "rotate-about": RandomRotate(1.0, 20, center=(5, 9)),
    "rot-flip": RandomRotFlip(0.5, 0.5, degree=30),
    "multiple": ResizeToMultiple(20),
    "shortest": ResizeShortestEdge(40, 70),
}


def scene() -> dict[str, Any]:
    """An image with a white rectangle, and a map that is 7 there."""
    made = sample((17, 9, 47, 40))
    return {"img": made["img"], "img_shape": made["img_shape"], "gt_seg_map": made["gt_seg_map"]}


@pytest.mark.parametrize("name", MOVES)
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_the_map_shows_what_the_image_shows(name: str, seed: int) -> None:
    np.random.seed(seed)
    got = MOVES[name](scene())
    assert got["gt_seg_map"].shape == got["img"].shape[:2] == got["img_shape"]
    white, said = got["img"][..., 0] > 127, got["gt_seg_map"] == 7
    border = np.abs(np.diff(said.astype(int), axis=0)).sum() + np.abs(np.diff(said.astype(int), axis=1)).sum()
    assert (white != said).sum() <= border + 4  # only on the outline, where an image has grey


@given(st.integers(0, 3), st.sampled_from([None, "horizontal", "vertical"]))
@settings(max_examples=12, deadline=None)
def test_quarters_and_flips_are_exact_and_so_is_the_homography(quarters: int, direction: str | None) -> None:
    before = scene()
    got = RandomRotFlip().apply(dict(before), TurnAndFlip(quarters, direction))
    assert ((got["img"][..., 0] > 0) == (got["gt_seg_map"] == 7)).all()
    wanted = np.rot90(before["gt_seg_map"], quarters)
    wanted = {None: wanted, "horizontal": wanted[:, ::-1], "vertical": wanted[::-1]}[direction]
    assert (got["gt_seg_map"] == wanted).all()
    if quarters or direction:
        corner = got["homography_matrix"] @ [17, 9, 1]  # a corner of the rectangle
        rows, columns = np.nonzero(got["gt_seg_map"])
        assert corner[0] in (columns.min(), columns.max() + 1)
        assert corner[1] in (rows.min(), rows.max() + 1)


def test_a_turn_without_bounds_keeps_all_of_the_map() -> None:
    got = RandomRotate(1.0, 90, auto_bound=True, pad_val=(9, 9, 9)).apply(scene(), 90.0)
    assert got["img_shape"] == (64, 48)
    assert (got["gt_seg_map"] == 7).sum() == (scene()["gt_seg_map"] == 7).sum()
    corners = RandomRotate(1.0, 45, pad_val=(9, 8, 7)).apply(scene(), 45.0)
    assert corners["img"][0, 0].tolist() == [9, 8, 7]
    assert corners["gt_seg_map"][0, 0] == 255


@pytest.mark.parametrize("size", [(30, 40), (500, 20), 500])
def test_a_crop_has_its_size_or_that_of_the_image(size: Any) -> None:
    wanted = (size, size) if isinstance(size, int) else size
    assert RandomCrop(size)(scene())["img_shape"] == (min(wanted[0], 48), min(wanted[1], 64))


def test_crops_avoid_windows_of_one_class() -> None:
    results = {"img": np.zeros((8, 400, 3), np.uint8), "gt_seg_map": np.zeros((8, 400), np.uint8)}
    results["gt_seg_map"][:, 150:] = 1
    results["gt_seg_map"][:, 250:] = 255  # which does not count as a class
    shares = []
    for seed in range(60):
        np.random.seed(seed)
        found = RandomCrop((8, 120), 0.75)(dict(results))["gt_seg_map"]
        counted = found[found != 255]
        shares.append(np.bincount(counted, minlength=2).max() / max(counted.size, 1))
    free = [RandomCrop((8, 120))(dict(results)) for _ in range(60)]
    pure = sum(len(np.unique(one["gt_seg_map"][one["gt_seg_map"] != 255])) < 2 for one in free)
    assert np.mean(np.array(shares) < 0.75) > 0.9
    assert pure > 6  # without the rule such windows are common


def test_ten_windows_in_vain_give_the_last() -> None:
    results = {"img": np.zeros((20, 20, 3), np.uint8), "gt_seg_map": np.zeros((20, 20), np.uint8)}
    assert RandomCrop((8, 8), 0.75)(results)["img_shape"] == (8, 8)


def test_a_mosaic_shows_four_images_and_their_maps() -> None:
    tiles = []
    for label in range(4):
        img = np.full((30, 60, 3), 50 + label, np.uint8)
        tiles.append({"img": img, "gt_seg_map": np.full((30, 60), label, np.uint8), "img_shape": (30, 60)})
    np.random.seed(0)
    got = RandomMosaic(1.0, (40, 80), pad_val=1)({**tiles[0], "mix_results": tiles[1:]})
    assert got["img_shape"] == got["gt_seg_map"].shape == (80, 160)  # img_scale is (h, w)
    assert set(np.unique(got["gt_seg_map"])) == {0, 1, 2, 3, 255}
    assert ((got["gt_seg_map"] == 255) == (got["img"][..., 0] == 1)).all()
    known = got["gt_seg_map"] != 255
    assert (got["img"][known][:, 0] == 50 + got["gt_seg_map"][known]).all()
    with pytest.raises(KeyError, match="MultiImageMixDataset"):
        RandomMosaic(1.0)(tiles[0])


def test_holes_are_cut_into_the_map_where_asked_for() -> None:
    with DefaultScope.overwrite_default_scope("seg"):
        hole = {"type": "RandomCutOut", "prob": 1.0, "n_holes": 2, "cutout_shape": [(5, 4)], "fill_in": (3, 3, 3)}
        plain, both = TRANSFORMS.build(hole), TRANSFORMS.build({**hole, "seg_fill_in": 255})
    got = both(scene())
    assert ((got["img"] == 3).all(axis=2) == (got["gt_seg_map"] == 255)).all()
    assert 20 <= (got["gt_seg_map"] == 255).sum() + 20 <= 60
    assert 255 not in plain(scene())["gt_seg_map"]
    with DefaultScope.overwrite_default_scope("seg"):
        never = TRANSFORMS.build({**hole, "prob": 0.0})
    assert not (never(scene())["img"] == 3).any()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RandomCrop((0, 4)), "crop_size"),
        (lambda: RandomCrop((4, 4), 0), "share"),
        (lambda: RandomRotate(2, 10), "no chance"),
        (lambda: RandomRotate(0.5, -10), "degree"),
        (lambda: RandomRotate(0.5, 10, center=(1, 1), auto_bound=True), "center"),
        (lambda: RandomRotFlip(1.5), "chances"),
    ],
)
def test_bad_arguments(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
