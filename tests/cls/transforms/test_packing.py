"""Packing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from visuite.cls.transforms import PackInputs
from visuite.cv.transforms import image_to_tensor


def test_packs_image_truth_and_meta() -> None:
    img = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    meta = {"img_shape": (2, 4), "flip": True, "junk": 1}
    results = {"img": img, "gt_label": 2, "gt_score": [0, 0, 1], "mask": torch.ones(2), **meta}
    packed = PackInputs(algorithm_keys=("mask",))(results)
    assert torch.equal(packed["inputs"], torch.from_numpy(img).permute(2, 0, 1))
    sample = packed["data_samples"]
    assert sample.gt_label.tolist() == [2]
    assert sample.gt_score.tolist() == [0, 0, 1]
    assert (sample.img_shape, sample.flip) == ((2, 4), True)
    assert sample.mask.tolist() == [1, 1]
    assert "junk" not in sample


def test_a_missing_key_is_named() -> None:
    with pytest.raises(KeyError, match="mask"):
        PackInputs(algorithm_keys=("mask",))({"img": np.zeros((2, 2, 3))})


def test_images_of_all_kinds() -> None:
    assert image_to_tensor(np.zeros((4, 5))).shape == (1, 4, 5)
    assert image_to_tensor(Image.new("RGB", (5, 4))).shape == (3, 4, 5)
    assert image_to_tensor(torch.zeros(3, 4, 5)).shape == (3, 4, 5)
    assert image_to_tensor(np.zeros((4, 5, 9), np.float32)[:, ::-1]).is_contiguous()
    with pytest.raises(TypeError, match="image"):
        image_to_tensor("a.jpg")
