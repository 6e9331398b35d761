"""Random colours and light, and erasing."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visuite.cv.transforms import ColorJitter, Lighting, PhotoMetricDistortion, RandomErasing, RandomGrayscale
from visuite.cv.transforms.photometric import Distortion

IMG = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)


def sample(img: np.ndarray = IMG) -> dict[str, Any]:
    return {"img": img, "img_shape": img.shape[:2]}


def test_jitter_draws_within_its_ranges_in_any_order() -> None:
    np.random.seed(0)
    jitter = ColorJitter(0.4, (0.5, 0.9), saturation=2.0, hue=0.1)
    limits = {"brightness": (0.6, 1.4), "contrast": (0.5, 0.9), "saturation": (0.0, 3.0), "hue": (-0.1, 0.1)}
    assert jitter.ranges == limits
    orders = set()
    for _ in range(300):
        drawn = jitter.draw(sample())
        orders.add(tuple(name for name, _ in drawn))
        assert all(limits[name][0] <= factor <= limits[name][1] for name, factor in drawn)
    assert len(orders) == 24
    assert [name for name, _ in ColorJitter(brightness=0.3).draw(sample())] == ["brightness"]


def test_jitter_applies_what_was_drawn() -> None:
    got = ColorJitter().apply(sample(), [("brightness", 0.5), ("saturation", 0.0)])["img"]
    assert np.ptp(got, axis=2).max() == 0
    assert got.mean() == pytest.approx(cv2.cvtColor(IMG, cv2.COLOR_BGR2GRAY).mean() / 2, abs=1)
    for wrong in ({"brightness": -1}, {"hue": 0.7}, {"contrast": (3, 2)}, {"backend": "x"}):
        with pytest.raises(ValueError, match=r"negative|range|backend"):
            ColorJitter(**wrong)


def test_grey() -> None:
    got = RandomGrayscale(1.0, keep_channels=True)(sample())["img"]
    np.testing.assert_allclose(got[..., 0], np.rint(IMG.mean(axis=2)), atol=1)
    assert got.shape == IMG.shape
    red = RandomGrayscale(1.0, channel_weights=(1, 0, 0), color_format="rgb")(sample())["img"]
    np.testing.assert_array_equal(red[..., 0], IMG[..., 2])
    assert red.shape == (20, 30, 1)
    assert RandomGrayscale(0.0)(sample())["img"] is IMG


def test_lighting_adds_one_colour() -> None:
    lighting = Lighting([2.0, 1.0, 0.5], np.eye(3).tolist(), to_rgb=True)
    got = lighting.apply(sample(), np.array([1.0, 2.0, 4.0]))["img"]
    np.testing.assert_allclose(got - IMG[..., ::-1], np.full(IMG.shape, 2.0), atol=1e-4)
    assert got.dtype == np.float32
    np.random.seed(0)
    assert np.std([lighting.draw({}) for _ in range(2000)]) == pytest.approx(0.1, abs=0.01)
    with pytest.raises(ValueError, match="eigenvalues"):
        Lighting([1.0, 2.0], np.eye(3).tolist())


def test_distortion_by_hand() -> None:
    transform = PhotoMetricDistortion()
    got = transform.apply(sample(), Distortion(brightness=20, contrast=1.5, channels=(2, 0, 1)))["img"]
    want = ((IMG.astype(float) + 20) * 1.5).clip(0, 255)[..., [2, 0, 1]]
    assert np.abs(got - want).max() <= 1
    assert transform.apply(sample(), Distortion())["img"].tolist() == IMG.tolist()
    late = transform.apply(sample(), Distortion(contrast=1.5, contrast_first=False, saturation=1.2, hue=5.0))["img"]
    early = transform.apply(sample(), Distortion(contrast=1.5, contrast_first=True, saturation=1.2, hue=5.0))["img"]
    assert (late != early).any()
    grey = transform.apply(sample(), Distortion(saturation=1e-9))["img"]
    np.testing.assert_array_equal(grey[..., 0], IMG.max(axis=2))


@given(st.integers(0, 2**32 - 1), st.sampled_from([np.uint8, np.uint16, np.float32]))
def test_distortion_keeps_kind_and_range(seed: int, dtype: type) -> None:
    np.random.seed(seed)
    img = IMG.astype(dtype) * (257 if dtype is np.uint16 else 1)
    transform = PhotoMetricDistortion(swap_channels=False)
    drawn = transform.draw(sample(img))
    assert drawn.channels is None
    got = transform.apply(sample(img), drawn)["img"]
    assert got.dtype == dtype
    assert got.min() >= 0
    assert got.max() <= (65535 if dtype is np.uint16 else 255)


@given(st.integers(0, 2**32 - 1))
def test_erasing_fills_one_rectangle_of_the_right_size(seed: int) -> None:
    np.random.seed(seed)
    img = np.zeros((40, 60, 3), np.uint8)
    got = RandomErasing(1.0, 0.1, max_area_ratio=0.2, aspect_range=(0.5, 2), fill_color=(7, 8, 9))(sample(img))["img"]
    ys, xs = np.nonzero(got[..., 0])
    tall, wide = np.ptp(ys) + 1, np.ptp(xs) + 1
    assert (got[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1] == (7, 8, 9)).all()
    assert len(ys) == tall * wide
    assert 0.08 <= tall * wide / img[..., 0].size <= 0.23
    assert 0.4 <= tall / wide <= 2.5
    assert not img.any()


def test_erasing_with_noise() -> None:
    np.random.seed(0)
    even = RandomErasing(1.0, 0.3, mode="rand")(sample(np.zeros((50, 50, 3), np.uint8)))["img"]
    assert even.max() > 240
    normal = RandomErasing(1.0, 0.3, mode="rand", fill_color=(100, 100, 100), fill_std=5)
    pixels = normal.draw(sample()).pixels  # type: ignore[union-attr]
    assert (pixels.mean(), pixels.std()) == (pytest.approx(100, abs=2), pytest.approx(5, abs=1))
    assert RandomErasing(0.0)(sample())["img"] is IMG
    assert RandomErasing(1.0)(sample(np.zeros((9, 9), np.uint8)))["img"].shape == (9, 9)
    for wrong in ({"mode": "x"}, {"erase_prob": 2}, {"min_area_ratio": 0.5}, {"aspect_range": (2, 1)}):
        with pytest.raises(ValueError, match=r"mode|erase_prob|aspect_range"):
            RandomErasing(**wrong)
