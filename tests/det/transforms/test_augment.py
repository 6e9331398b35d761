"""Automatic augmentation under detection's arguments."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.painted import objects
from visuite.cv.image import (
    adjust_brightness,
    adjust_color,
    adjust_contrast,
    adjust_sharpness,
    auto_contrast,
    imequalize,
    iminvert,
    posterize,
    solarize,
    solarize_add,
)
from visuite.det import transforms
from visuite.det.registry import TRANSFORMS
from visuite.det.transforms import AutoAugment, RandAugment, Rotate, ShearX, ShearY, TranslateX, YOLOXHSVRandomAug
from visuite.engine.registry import init_default_scope

MOVES = ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")
COLOURS: dict[str, tuple[tuple[float, float], Any]] = {
    "Color": ((0.1, 1.9), adjust_color),
    "Brightness": ((0.1, 1.9), adjust_brightness),
    "Contrast": ((0.1, 1.9), adjust_contrast),
    "Sharpness": ((0.1, 1.9), adjust_sharpness),
    "Solarize": ((0, 256), solarize),
    "SolarizeAdd": ((0, 110), solarize_add),
    "Posterize": ((0, 4), lambda img, strength: posterize(img, math.ceil(strength))),
    "Equalize": ((0.1, 1.9), lambda img, strength: imequalize(img)),
    "AutoContrast": ((0.1, 1.9), lambda img, strength: auto_contrast(img)),
    "Invert": ((0.1, 1.9), lambda img, strength: iminvert(img)),
}
ENDS = {name: ends for name, (ends, _) in COLOURS.items()}
ENDS |= {"Rotate": (0, 30), "ShearX": (0, 30), "ShearY": (0, 30), "TranslateX": (0, 0.1), "TranslateY": (0, 0.1)}


def picture() -> np.ndarray:
    return np.random.RandomState(0).randint(0, 256, (12, 16, 3), np.uint8)


@pytest.mark.parametrize("name", ENDS)
def test_levels_lie_between_the_ends(name: str) -> None:
    np.random.seed(0)
    kind = getattr(transforms, name)
    low, high = ENDS[name]
    options = {} if name in COLOURS else {"reversal_prob": 0.0}
    for level in (0, 3, 10):
        assert kind(level=level, **options).draw({}) == pytest.approx(low + (high - low) * level / 10)
    anywhere = [kind(**options).draw({}) for _ in range(1000)]
    assert min(anywhere) >= low
    assert max(anywhere) <= high
    assert np.mean(anywhere) == pytest.approx((low + high) / 2, abs=0.05 * (high - low))
    assert kind(level=5, min_mag=4, max_mag=8, **options).draw({}) == 6
    with pytest.raises(ValueError, match=r"level 11.*0 and 10"):
        kind(level=11)


@pytest.mark.parametrize("name", MOVES)
def test_chances_of_moves(name: str) -> None:
    np.random.seed(0)
    drawn = [getattr(transforms, name)(0.6, 10, reversal_prob=0.25).draw({}) for _ in range(3000)]
    kept = [one for one in drawn if one is not None]
    assert len(kept) / 3000 == pytest.approx(0.6, abs=0.03)
    assert np.mean([one < 0 for one in kept]) == pytest.approx(0.25, abs=0.03)


def test_which_way_things_move() -> None:
    def moved(transform: Any, strength: float) -> list[float]:
        return transform.apply(objects([(20, 10, 30, 20)]), strength)["gt_bboxes"][0].tolist()

    assert moved(TranslateX(), 0.1) == [14, 10, 24, 20]
    assert moved(transforms.TranslateY(), -0.1) == [20, 14, 30, 24]
    angle = math.degrees(math.atan(0.5))
    assert moved(ShearX(), angle) == pytest.approx([10.25, 10, 25.25, 20])  # rows' middles lie half a pixel lower
    assert moved(ShearY(), -angle) == pytest.approx([20, 19.75, 30, 34.75])
    # A quarter counter-clockwise about the middle of 64 x 48: (x, y) -> (y + 8, 56 - x).
    assert moved(Rotate(), 90) == pytest.approx([18, 26, 28, 36])


def test_moves_fill_and_drop() -> None:
    got = TranslateX(img_border_value=(1, 2, 3), seg_ignore_label=9).apply(objects([(0, 0, 5, 5), (30, 0, 40, 5)]), 0.2)
    assert (got["img"][:, -12:] == (1, 2, 3)).all()
    assert (got["gt_seg_map"][:, -12:] == 9).all()
    assert got["gt_bboxes_labels"].tolist() == [1]
    with pytest.raises(ValueError, match="mask_border_value"):
        Rotate(mask_border_value=1)


@pytest.mark.parametrize("name", COLOURS)
def test_colours_are_those_of_the_shared_functions(name: str) -> None:
    _, change = COLOURS[name]
    results = objects([(0, 0, 5, 5)]) | {"img": picture()}
    got = getattr(transforms, name)().apply(dict(results), 1.7)
    assert np.array_equal(got["img"], change(picture(), 1.7))
    assert got["gt_bboxes"] is results["gt_bboxes"]
    assert getattr(transforms, name)(0.0)(dict(results))["img"] is results["img"]


def test_both_names_of_colour() -> None:
    init_default_scope("det")
    assert TRANSFORMS.get("ColorTransform") is TRANSFORMS.get("Color") is transforms.Color


@given(st.integers(0, 2**32 - 1))
def test_hsv_shifts(seed: int) -> None:
    np.random.seed(seed)
    jitter = YOLOXHSVRandomAug(5, 30, value_delta=20)
    drawn = jitter.draw({})
    assert (np.abs(drawn) <= (5, 30, 20)).all()
    got = jitter.apply({"img": picture()}, drawn)["img"]
    hsv = cv2.cvtColor(picture(), cv2.COLOR_BGR2HSV).astype(int)
    want = np.stack(
        [(hsv[..., 0] + drawn[0]) % 180, (hsv[..., 1] + drawn[1]).clip(0, 255), (hsv[..., 2] + drawn[2]).clip(0, 255)],
        2,
    )
    assert np.array_equal(got, cv2.cvtColor(want.astype(np.uint8), cv2.COLOR_HSV2BGR))


def test_each_hsv_shift_is_left_out_half_the_time() -> None:
    np.random.seed(0)
    drawn = np.array([YOLOXHSVRandomAug(90, 90, value_delta=90).draw({}) for _ in range(2000)])
    np.testing.assert_allclose((drawn == 0).mean(axis=0), 0.5, atol=0.04)
    with pytest.raises(TypeError, match="bytes"):
        YOLOXHSVRandomAug()({"img": picture().astype(np.float32)})


def add(amount: int) -> Any:
    return lambda results: {**results, "sum": results.get("sum", 0) + amount}


def test_auto_augment_takes_one_policy() -> None:
    np.random.seed(0)
    augment = AutoAugment([[add(1), add(10)], [add(100)]], prob=[0.2, 0.8])
    sums = [augment({})["sum"] for _ in range(1000)]  # type: ignore[index]
    assert set(sums) == {11, 100}
    assert sums.count(11) / 1000 == pytest.approx(0.2, abs=0.04)


def test_rand_augment_does_some_policies_in_turn() -> None:
    np.random.seed(0)
    augment = RandAugment([[add(1)], [add(10)], [add(100)]], 2)
    sums = [augment({})["sum"] for _ in range(900)]  # type: ignore[index]
    assert set(sums) == {2, 20, 200, 11, 101, 110}
    assert sums.count(11) / 900 == pytest.approx(2 / 9, abs=0.05)
    assert RandAugment([[lambda results: None]], 3)({}) is None


@pytest.mark.parametrize("kind", [AutoAugment, RandAugment])
def test_policies_that_need_no_words(kind: type[Any]) -> None:
    init_default_scope("mmdet")
    augment = kind()
    for seed in range(20):
        np.random.seed(seed)
        got = augment(objects([(20, 15, 40, 30)]))
        assert got["img"].shape == (48, 64, 3)
        assert got["img"].dtype == np.uint8
        assert len(got["gt_bboxes"]) == len(got["gt_masks"])
    assert (
        all(isinstance(one, transforms.geometric.GeometricTransform) for one in augment.policies[-1])
        or kind is AutoAugment
    )


def test_bad_policies() -> None:
    with pytest.raises(ValueError, match="at least one"):
        AutoAugment([])
    with pytest.raises(ValueError, match="one chance"):
        RandAugment([[add(1)]], prob=[0.5, 0.5])
