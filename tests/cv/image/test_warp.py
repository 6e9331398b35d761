"""Affine maps of images."""

from __future__ import annotations

import numpy as np
import pytest

from visuite.cv.image import cutout, imrotate, imshear, imtranslate, imwarp


def test_quarter_turns_are_those_of_arrays() -> None:
    img = np.random.default_rng(0).integers(0, 255, (9, 9, 3)).astype(np.uint8)
    np.testing.assert_array_equal(imrotate(img, 90), np.rot90(img, -1))
    np.testing.assert_array_equal(imrotate(img, 360), img)
    tall = img[:, :5]
    np.testing.assert_array_equal(imrotate(tall, 90, auto_bound=True), np.rot90(tall, -1))
    with pytest.raises(ValueError, match="auto_bound"):
        imrotate(img, 90, (1, 1), auto_bound=True)


def test_translation_moves_and_fills() -> None:
    img = np.arange(30, dtype=np.uint8).reshape(5, 6)
    np.testing.assert_array_equal(imtranslate(img, 2)[:, 2:], img[:, :-2])
    assert (imtranslate(img, 2, border_value=99)[:, :2] == 99).all()
    np.testing.assert_array_equal(imtranslate(img, -1, "vertical")[:-1], img[1:])
    with pytest.raises(ValueError, match="sideways"):
        imtranslate(img, 1, "sideways")


def test_shear_moves_each_row_by_its_number() -> None:
    img = np.zeros((5, 12), np.uint8)
    img[:, 3] = 200
    assert imshear(img, 1.0).argmax(axis=1).tolist() == [3, 4, 5, 6, 7]
    assert imshear(img.T, -0.5, "vertical", interpolation="nearest").shape == (12, 5)


def test_many_channels_move_alike() -> None:
    img = np.repeat(np.random.default_rng(0).integers(0, 255, (8, 9, 1)), 7, axis=2).astype(np.uint8)
    turned = imrotate(img, 30, border_value=range(7))
    assert turned.shape == img.shape
    assert turned[0, 0].tolist() == list(range(7))
    with pytest.raises(ValueError, match="2 border values for 7"):
        imwarp(img, np.eye(2, 3), border_value=(1, 2))
    with pytest.raises(ValueError, match="bilinear"):
        imwarp(img, np.eye(2, 3), interpolation="bilinaer")


def test_cutout() -> None:
    img = np.zeros((10, 12, 3), np.uint8)
    got = cutout(img, (4, 6), (1, 2, 3), center=(6, 5))
    assert (got[3:7, 3:9] == (1, 2, 3)).all()
    assert got[..., 0].sum() == 24
    assert not img.any()
    np.random.seed(0)
    assert cutout(img, 4, 9)[..., 0].sum() <= 16 * 9
