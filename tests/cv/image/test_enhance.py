"""Colours and light, held against Pillow and against plain formulas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from visuite.cv import image as vi
from visuite.cv.image.enhance import top_value


def picture(seed: int = 0, h: int = 24, w: int = 31) -> np.ndarray:
    """A smooth BGR image with noise that does not reach black or white."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(40, 190, w)[None, :, None] + np.linspace(0, 30, h)[:, None, None] * [1, -1, 0.5]
    return (ramp + rng.integers(-9, 9, (h, w, 3))).astype(np.uint8)


def with_pillow(change: Callable[[Image.Image], Image.Image], img: np.ndarray) -> np.ndarray:
    return np.asarray(change(Image.fromarray(img[..., ::-1])))[..., ::-1]


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 1.7])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (vi.adjust_brightness, ImageEnhance.Brightness),
        (vi.adjust_contrast, ImageEnhance.Contrast),
        (vi.adjust_color, ImageEnhance.Color),
        (vi.adjust_sharpness, ImageEnhance.Sharpness),
    ],
)
def test_adjustments_are_those_of_pillow(ours: Callable, theirs: Callable, factor: float) -> None:
    img = picture()
    want = with_pillow(lambda one: theirs(one).enhance(factor), img)
    inner = np.s_[1:-1, 1:-1]  # Pillow does not smooth the border
    assert np.abs(ours(img, factor)[inner].astype(int) - want[inner]).max() <= 2


def test_point_operations_are_those_of_pillow() -> None:
    img = picture()
    np.testing.assert_array_equal(vi.iminvert(img), with_pillow(ImageOps.invert, img))
    np.testing.assert_array_equal(vi.posterize(img, 3), with_pillow(lambda one: ImageOps.posterize(one, 3), img))
    np.testing.assert_array_equal(vi.solarize(img, 99), with_pillow(lambda one: ImageOps.solarize(one, 99), img))
    np.testing.assert_array_equal(vi.imequalize(img), with_pillow(ImageOps.equalize, img))
    assert np.abs(vi.auto_contrast(img).astype(int) - with_pillow(ImageOps.autocontrast, img)).max() <= 1
    np.testing.assert_array_equal(vi.solarize_add(img, 70, 100), np.where(img < 100, img + 70.0, img).astype(np.uint8))


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_other_kinds_of_pixels_give_the_same_pictures(dtype: type) -> None:
    img = picture()
    other = img.astype(dtype) * (257 if dtype is np.uint16 else 1)
    unit = top_value(other) / 255
    changes: list[Callable] = [
        vi.iminvert, vi.auto_contrast, vi.imequalize,
        lambda one: vi.adjust_brightness(one, 1.4), lambda one: vi.adjust_contrast(one, 1.4),
        lambda one: vi.adjust_color(one, 0.4), lambda one: vi.adjust_sharpness(one, 0.4),
        lambda one: vi.solarize(one, 99 * top_value(one) / 255), lambda one: vi.adjust_hue(one, 0.25),
        lambda one: vi.gaussian_blur(one, 1.2),
    ]  # fmt: skip
    for change in changes:
        got = change(other)
        assert got.dtype == dtype
        assert np.abs(got / unit - change(img)).max() <= 4  # 8 bits of hue


@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 1), (9, 8, 6)])
def test_any_number_of_channels(shape: tuple[int, ...]) -> None:
    img = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    for change in (vi.iminvert, vi.auto_contrast, vi.imequalize, vi.adjust_contrast, vi.adjust_color,
                   vi.adjust_sharpness):  # fmt: skip
        assert change(img).shape == shape
    assert vi.gaussian_blur(img, 2).shape == vi.adjust_hue(img, 0.1).shape == shape


@given(st.integers(0, 1000))
def test_inverting_twice_is_nothing(seed: int) -> None:
    img = picture(seed)
    np.testing.assert_array_equal(vi.iminvert(vi.iminvert(img)), img)


def test_hue_turns_colours() -> None:
    red = np.array([[[0, 0, 250]]], np.uint8)
    assert np.abs(vi.adjust_hue(red, 1 / 3).astype(int) - [[[0, 250, 0]]]).max() <= 6
    assert np.abs(vi.adjust_hue(picture(), 0).astype(int) - picture()).max() <= 4
    with pytest.raises(ValueError, match=r"0\.6"):
        vi.adjust_hue(red, 0.6)
