"""Image files: all backends agree, and broken files say so."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from visuite.cv.image import ImageError, image_size, imfrombytes, imread, imwrite
from visuite.cv.image.integrity import truncation


def picture(h: int = 24, w: int = 40) -> np.ndarray:
    y, x = np.mgrid[:h, :w]
    return np.stack([x * 255 // w, y * 255 // h, (x + y) * 255 // (h + w)], -1).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("backend", ["cv2", "pillow", "torchvision"])
def test_round_trip(tmp_path: Path, suffix: str, backend: str) -> None:
    path = tmp_path / "deep" / f"a{suffix}"
    assert imwrite(picture(), path)
    got = imread(path, backend=backend)
    assert got.shape == picture().shape
    assert np.abs(got.astype(int) - picture()).mean() < (0 if suffix in (".png", ".bmp", ".tif") else 3) + 1e-9


def test_channel_order_and_flags(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    rgba = np.dstack([picture(), np.full((24, 40), 7, np.uint8)])
    imwrite(rgba, path)
    for backend in ("cv2", "pillow"):
        assert np.array_equal(imread(path, backend=backend), picture())
        assert np.array_equal(imread(path, channel_order="rgb", backend=backend), picture()[..., ::-1])
        assert np.array_equal(imread(path, "unchanged", backend=backend), rgba)
        assert imread(path, "grayscale", backend=backend).shape == (24, 40)


def test_sixteen_bits_stay_unchanged(tmp_path: Path) -> None:
    deep = np.arange(24 * 40, dtype=np.uint16).reshape(24, 40) * 60
    imwrite(deep, tmp_path / "a.png")
    assert np.array_equal(imread(tmp_path / "a.png", "unchanged"), deep)


@pytest.mark.parametrize("backend", ["cv2", "pillow", "torchvision"])
def test_exif_turns_the_image(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.fromarray(picture()).save(path, exif=exif, quality=95)
    assert imread(path, backend=backend).shape == (40, 24, 3)
    assert imread(path, "color_ignore_orientation", backend=backend).shape == (24, 40, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_a_cut_file_is_named(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"whole{suffix}"
    imwrite(picture(200, 300), path)
    data = path.read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=f"cut{suffix}"):
        imread(cut)


def test_a_thumbnail_does_not_pass_for_the_picture() -> None:
    done, body = cv2.imencode(".jpg", picture(64, 64))
    thumbnail = body.tobytes()
    header = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail  # with an end mark inside
    whole = thumbnail[:2] + header + thumbnail[2:]
    assert done
    assert truncation(whole) is None
    assert truncation(whole[:-30]) is not None
    assert truncation(whole + b"trailing bytes that cameras add") is None


@pytest.mark.parametrize("content", [b"", b"this is text, not a picture", b"\xff\xd8\xff"])
def test_no_image(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=r"x\.jpg"):
        imread(tmp_path / "x.jpg")


def test_a_missing_file_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        imread(tmp_path / "none.jpg")


def test_bad_choices() -> None:
    with pytest.raises(ValueError, match="grayscale"):
        imfrombytes(b"", "greyscale")
    with pytest.raises(ValueError, match="pillow"):
        imfrombytes(b"", backend="pilow")
    with pytest.raises(ValueError, match="encode"):
        imwrite(picture(), "a.nothing")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_sizes_are_those_of_images_that_are_read(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    Image.fromarray(picture()).save(path, exif=exif)
    assert image_size(path) == imread(path).shape[:2]


def test_sizes_of_other_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((5, 7, 9), np.uint8))
    assert image_size(tmp_path / "a.npy") == (5, 7)
    (tmp_path / "x.jpg").write_bytes(b"this is text, not a picture")
    with pytest.raises(ImageError, match=r"x\.jpg"):
        image_size(tmp_path / "x.jpg")
    with pytest.raises(FileNotFoundError):
        image_size(tmp_path / "none.jpg")
