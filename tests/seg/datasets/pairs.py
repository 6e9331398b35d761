"""Folders of images and maps, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def write_pairs(root: Path, maps: Mapping[str, np.ndarray], *, suffixes: tuple[str, str] = (".jpg", ".png")) -> Path:
    """Write a map (H, W) and a black image of its size for each name, below `root/img` and `root/ann`."""
    for name, seg_map in maps.items():
        for folder, suffix in zip(("img", "ann"), suffixes, strict=True):
            (root / folder / name).parent.mkdir(parents=True, exist_ok=True)
            picture = np.zeros((*seg_map.shape, 3), np.uint8) if folder == "img" else seg_map
            Image.fromarray(picture).save(f"{root / folder / name}{suffix}")
    return root


PREFIX = {"img_path": "img", "seg_map_path": "ann"}
