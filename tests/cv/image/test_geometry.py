"""Moving pixels, against NumPy and by properties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visuite.cv.image import (
    bgr2gray,
    bgr2rgb,
    blank,
    imcrop,
    imdenormalize,
    imflip,
    imnormalize,
    impad,
    impad_to_multiple,
    imrescale,
    imresize,
    rescale_size,
    to_planes,
)

RNG = np.random.default_rng(0)


def noise(h: int = 13, w: int = 17, c: int | None = 3) -> np.ndarray:
    return RNG.integers(0, 256, (h, w) if c is None else (h, w, c), dtype=np.uint8)


@pytest.mark.parametrize("channels", [None, 1, 3, 4, 9])
@pytest.mark.parametrize("backend", ["cv2", "pillow"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_resize_keeps_layout_and_constants(channels: int | None, backend: str, interpolation: str) -> None:
    flat = np.full_like(noise(c=channels), 77)
    got = imresize(flat, (31, 9), interpolation=interpolation, backend=backend)
    assert got.shape == (9, 31, *flat.shape[2:])
    assert got.dtype == np.uint8
    assert (got == 77).all()


def test_resize_of_many_channels_is_that_of_each() -> None:
    img = noise(c=7)
    each = [imresize(img[..., i], (8, 6)) for i in range(7)]
    assert np.array_equal(imresize(img, (8, 6)), np.stack(each, -1))


def test_area_of_a_whole_factor_is_the_mean() -> None:
    img = noise(12, 16).astype(np.float32)
    want = img.reshape(6, 2, 8, 2, 3).mean((1, 3))
    np.testing.assert_allclose(imresize(img, (8, 6), interpolation="area"), want, rtol=1e-5)


def test_resize_tells_its_factors() -> None:
    _, fx, fy = imresize(noise(10, 20), (5, 40), return_scale=True)
    assert (fx, fy) == (0.25, 4.0)


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(10, 1500), st.integers(10, 1500))
def test_rescaled_sizes_fit_and_touch(w: int, h: int, a: int, b: int) -> None:
    (new_w, new_h), factor = rescale_size((w, h), (a, b), return_scale=True)
    assert max(new_w, new_h) <= max(a, b)
    assert min(new_w, new_h) <= min(a, b)
    assert abs(new_w - w * factor) <= 0.5 + 1e-6
    assert max(new_w, new_h) == max(a, b) or min(new_w, new_h) == min(a, b)


def test_rescale_by_a_factor() -> None:
    assert imrescale(noise(10, 20), 1.5).shape == (15, 30, 3)
    with pytest.raises(ValueError, match="positive"):
        imrescale(noise(), 0)


@pytest.mark.parametrize("direction", ["horizontal", "vertical", "diagonal"])
@pytest.mark.parametrize("channels", [None, 3])
def test_flip_twice_is_nothing(direction: str, channels: int | None) -> None:
    img = noise(c=channels)
    assert np.array_equal(imflip(imflip(img, direction), direction), img)
    assert not np.array_equal(imflip(img, direction), img)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 600), (0, 7, 3), (5, 0)])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "int32", "int64", "float16", "float32", "float64"])
def test_flip_is_that_of_numpy(shape: tuple[int, ...], dtype: str) -> None:
    img = (np.random.default_rng(0).random(shape) * 2**40 % 60000).astype(dtype)
    for direction, axes in {"horizontal": 1, "vertical": 0, "diagonal": (0, 1)}.items():
        given = img.copy()
        flipped = imflip(given, direction)
        assert flipped.dtype == img.dtype
        assert flipped.flags.c_contiguous
        assert np.array_equal(flipped, np.flip(img, axes))
        flipped[...] = 0
        assert np.array_equal(given, img)  # it is no view


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4), (5, 7, 6), (0, 7, 3)])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "int64", "float16", "float32", "float64"])
def test_planes_are_those_of_numpy(shape: tuple[int, ...], dtype: str) -> None:
    img = (np.random.default_rng(0).random(shape) * 2**40 % 60000).astype(dtype)
    for part in (img, img[1:4, 2:5], img[:, ::-1]):
        planes = to_planes(part)
        assert planes.dtype == img.dtype
        assert planes.flags.c_contiguous
        assert np.array_equal(planes, np.atleast_3d(part).transpose(2, 0, 1))


def test_flip_of_a_part_of_an_image() -> None:
    img = noise(c=3)
    assert np.array_equal(imflip(img[2:9, 1:6]), img[2:9, 5:0:-1])


def test_flip_in_no_known_direction() -> None:
    with pytest.raises(ValueError, match="'sideways' is none of 'horizontal'"):
        imflip(noise(), "sideways")


@settings(max_examples=60)
@given(
    st.sampled_from(["constant", "edge", "reflect", "symmetric"]),
    st.lists(st.integers(0, 5), min_size=4, max_size=4),
    st.sampled_from([None, 1, 3, 6]),
)
def test_pad_is_that_of_numpy(mode: str, widths: list[int], channels: int | None) -> None:
    img = noise(c=channels)
    left, top, right, bottom = widths
    around = [(top, bottom), (left, right), (0, 0)][: img.ndim]
    assert np.array_equal(impad(img, padding=widths, padding_mode=mode), np.pad(img, around, mode=mode))


def test_pad_values_shapes_and_multiples() -> None:
    padded = impad(noise(4, 5), shape=(6, 9), pad_val=(1, 2, 3))
    assert padded.shape == (6, 9, 3)
    assert (padded[5, 8] == (1, 2, 3)).all()
    assert impad(noise(4, 5), padding=(1, 2)).shape == (8, 7, 3)
    assert impad(noise(4, 5), shape=(2, 9)).shape == (4, 9, 3)
    assert impad_to_multiple(noise(13, 17), 8).shape == (16, 24, 3)
    with pytest.raises(ValueError, match="either"):
        impad(noise(), shape=(1, 1), padding=1)
    with pytest.raises(ValueError, match="padding_mode"):
        impad(noise(), padding=1, padding_mode="mirror")


def test_crop_has_its_last_row_and_column() -> None:
    img = noise()
    assert np.array_equal(imcrop(img, np.array([2, 3, 5, 7])), img[3:8, 2:6])
    several = imcrop(img, np.array([[0, 0, 0, 0], [-4, -4, 30, 30]]))
    assert several[0].shape == (1, 1, 3)
    assert np.array_equal(several[1], img)
    filled = imcrop(img, np.array([-2, -1, 3, 3]), pad_fill=9)
    assert filled.shape == (5, 6, 3)
    assert (filled[0] == 9).all()
    assert np.array_equal(filled[1:, 2:], img[:4, :4])
    outside = imcrop(img, np.array([50, 50, 53, 54]), pad_fill=9)
    assert outside.shape == (5, 4, 3)


def test_normalise_and_back() -> None:
    img, mean, std = noise(), (10.0, 20.0, 30.0), (2.0, 3.0, 4.0)
    normal = imnormalize(img, mean, std)
    np.testing.assert_allclose(normal, (img[..., ::-1].astype(float) - mean) / std, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(imdenormalize(normal, mean, std), img, rtol=1e-4, atol=1e-3)


def test_colours() -> None:
    img = noise()
    assert np.array_equal(bgr2rgb(img), img[..., ::-1])
    assert bgr2gray(img, keepdim=True).shape == (13, 17, 1)
    assert bgr2rgb.__name__ == "bgr2rgb"


@pytest.mark.parametrize(("shape", "value"), [((3, 4), 7), ((3, 4, 3), (1, 2, 3)), ((1, 2, 5), 9.0), ((0, 4, 3), 1)])
def test_blank_images(shape: tuple[int, ...], value: Any) -> None:
    got = blank(shape, np.uint8, value)
    assert np.array_equal(got, np.full(shape, value, np.uint8))
