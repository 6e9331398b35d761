"""Loading images in a pipeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visuite.cv.image import ImageError, imwrite
from visuite.cv.transforms import LoadImageFromFile


def test_keys(tmp_path: Path) -> None:
    imwrite(np.full((4, 6, 3), 9, np.uint8), tmp_path / "a.png")
    got = LoadImageFromFile(to_float32=True)({"img_path": str(tmp_path / "a.png")})
    assert got is not None
    assert got["img"].dtype == np.float32
    assert got["img_shape"] == got["ori_shape"] == (4, 6)


def test_ignore_empty_drops_broken_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    for name, error in (("broken.jpg", ImageError), ("none.jpg", FileNotFoundError)):
        assert LoadImageFromFile(ignore_empty=True)({"img_path": str(tmp_path / name)}) is None
        with pytest.raises(error, match=name):
            LoadImageFromFile()({"img_path": str(tmp_path / name)})


def test_two_names_for_one_thing() -> None:
    with pytest.raises(ValueError, match="old name"):
        LoadImageFromFile(backend_args={"a": 1}, file_client_args={"backend": "disk"})
