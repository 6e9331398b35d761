"""Random sizes, several versions of an image, and tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from visuite.cv.transforms import (
    ImageToTensor,
    MultiScaleFlipAug,
    NumpyToPIL,
    PILToNumpy,
    RandomChoiceResize,
    RandomFlip,
    RandomResize,
    Resize,
    TestTimeAug,
    ToTensor,
    Transpose,
)
from visuite.engine.registry import TRANSFORMS


def sample() -> dict[str, Any]:
    img = np.random.default_rng(0).integers(0, 255, (30, 40, 3)).astype(np.uint8)
    return {"img": img, "img_shape": (30, 40), "gt_bboxes": np.array([[4, 3, 20, 15]], np.float32)}


def test_random_resize_by_a_ratio() -> None:
    resize = RandomResize((100, 50), (0.5, 2.0), keep_ratio=True)
    drawn = [resize.draw(sample()) for _ in range(300)]
    assert all(50 <= w <= 200 and abs(w / 2 - h) <= 1 for w, h in drawn)
    got = resize.apply(sample(), (60, 45))
    assert got["img_shape"] == (45, 60)
    assert got["scale"] == (60, 45)
    assert got["gt_bboxes"].tolist() == [[6, 4.5, 30, 22.5]]


def test_random_resize_between_two_scales() -> None:
    resize = RandomResize([(100, 50), (60, 70)])
    drawn = np.array([resize.draw(sample()) for _ in range(500)])
    assert (drawn.min(axis=0).tolist(), drawn.max(axis=0).tolist()) == ([70, 50], [100, 60])
    for scale, ratio in (((100, 50), None), ([(1, 2), (3, 4)], (1, 2)), ([(1, 2)], None)):
        with pytest.raises(ValueError, match="ratio_range"):
            RandomResize(scale, ratio)
    with pytest.raises(TypeError, match="keep_ratio"):
        RandomResize((100, 50), (1, 2), keep_ration=True)


def test_random_choice_resize() -> None:
    resize = RandomChoiceResize([(100, 50), 32], keep_ratio=False)
    assert {resize.draw(sample()) for _ in range(50)} == {0, 1}
    got = resize.apply(sample(), 1)
    assert (got["img_shape"], got["scale_idx"]) == ((32, 32), 1)
    with pytest.raises(ValueError, match="at least one"):
        RandomChoiceResize([])


def test_every_combination_of_transforms() -> None:
    flips = [RandomFlip(0.0), RandomFlip(1.0)]
    got = TestTimeAug([[Resize((20, 20)), Resize((10, 10))], flips])(sample())
    assert got["img_shape"] == [(20, 20), (20, 20), (10, 10), (10, 10)]
    assert got["flip"] == [False, True, False, True]
    np.testing.assert_array_equal(got["img"][0], got["img"][1][:, ::-1])
    with pytest.raises(ValueError, match="empty"):
        TestTimeAug([[Resize(3)], []])


@pytest.mark.parametrize("scaling", [{"scales": [(40, 40), (80, 80)]}, {"scale_factor": [1.0, 2.0]}])
def test_scales_and_flips(scaling: dict[str, Any]) -> None:
    augment = MultiScaleFlipAug([], allow_flip=True, flip_direction=["horizontal", "vertical"], **scaling)
    got = augment(sample())
    assert got["img_shape"] == [(30, 40)] * 3 + [(60, 80)] * 3
    assert got["flip_direction"] == [None, "horizontal", "vertical"] * 2
    with pytest.raises(ValueError, match="either"):
        MultiScaleFlipAug([])


def test_versions_need_the_same_keys() -> None:
    with pytest.raises(ValueError, match="dropped"):
        TestTimeAug([[lambda results: None]])({"img": 1})
    with pytest.raises(ValueError, match="different keys"):
        TestTimeAug([[lambda results: {"a": 1}, lambda results: {"b": 1}]])({"img": 1})


def test_tensors() -> None:
    got = ToTensor(["a", "b.c", "d"])({"a": np.arange(3), "b": {"c": [1.5]}, "d": 2})
    assert (got["a"].tolist(), got["b"]["c"].tolist(), got["d"].tolist()) == ([0, 1, 2], [1.5], [2])
    with pytest.raises(TypeError, match="str"):
        ToTensor(["a"])({"a": "text"})
    image = ImageToTensor(["img"])(sample())["img"]
    assert image.shape == (3, 30, 40)
    assert ImageToTensor(["img"])({"img": np.zeros((4, 5))})["img"].shape == (1, 4, 5)
    assert Transpose(["img"], (2, 0, 1))(sample())["img"].shape == (3, 30, 40)


def test_pillow_and_back() -> None:
    img = sample()["img"]
    pillow = NumpyToPIL(to_rgb=True)(sample())
    assert isinstance(pillow["img"], Image.Image)
    assert pillow["img"].getpixel((0, 0)) == tuple(img[0, 0, ::-1].tolist())
    np.testing.assert_array_equal(PILToNumpy(to_bgr=True)(pillow)["img"], img)


def test_torchvision_by_name() -> None:
    build = TRANSFORMS.build
    got = build({"type": "torchvision/RandomHorizontalFlip", "p": 1.0})(sample())
    np.testing.assert_array_equal(got["img"], sample()["img"][:, ::-1])
    assert got["gt_bboxes"].tolist() == [[20, 3, 36, 15]]
    got = build({"type": "torchvision/Resize", "size": [15, 20], "interpolation": "nearest"})(sample())
    assert got["img_shape"] == (15, 20)
    assert got["gt_bboxes"].tolist() == [[2, 1.5, 10, 7.5]]
    with pytest.raises(TypeError, match="did you mean 'degrees'"):
        build({"type": "torchvision/RandomRotation", "degree": 3})


def test_torchvision_sees_rgb() -> None:
    red = {"img": np.full((4, 4, 3), (0, 0, 200), np.uint8)}
    got = TRANSFORMS.build({"type": "torchvision/Grayscale", "num_output_channels": 3})(red)["img"]
    assert got.shape == (4, 4, 3)
    assert abs(int(got[0, 0, 0]) - 60) <= 1  # red weighs 0.299
    pillow = NumpyToPIL(to_rgb=True)(sample())
    tensor = TRANSFORMS.build({"type": "torchvision/ToTensor"})(pillow)["img"]
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(tensor[2] * 255, sample()["img"][..., 0], atol=1e-3)


def test_torchvision_moves_all_and_keeps_labels_with_boxes() -> None:
    mask = np.zeros((2, 30, 40), np.uint8)
    mask[0, 3:15, 4:20] = 1
    before = sample() | {
        "gt_bboxes": np.array([[4, 3, 20, 15], [30, 20, 30, 20]], np.float32),
        "gt_bboxes_labels": np.array([7, 8]),
        "gt_keypoints": np.array([[[4, 3, 2]], [[1, 1, 1]]], np.float32),
        "gt_masks": mask,
    }
    got = TRANSFORMS.build({"type": "torchvision/SanitizeBoundingBoxes"})(dict(before))
    assert (len(got["gt_bboxes"]), got["gt_bboxes_labels"].tolist(), len(got["gt_masks"])) == (1, [7], 1)
    assert got["gt_keypoints"].tolist() == [[[4, 3, 2]]]
    before["gt_seg_map"] = mask[0]
    got = TRANSFORMS.build({"type": "torchvision/RandomVerticalFlip", "p": 1.0})(before)
    np.testing.assert_array_equal(got["gt_masks"], mask[:, ::-1])
    np.testing.assert_array_equal(got["gt_seg_map"], mask[0, ::-1])
    assert got["gt_bboxes_labels"].tolist() == [7, 8]
    with pytest.raises(TypeError, match="arrays"):
        TRANSFORMS.build({"type": "torchvision/Identity"})(sample() | {"gt_masks": object()})


def test_torchvision_of_torchvision() -> None:
    flip = {"type": "torchvision/RandomHorizontalFlip", "p": 1.0}
    got = TRANSFORMS.build({"type": "torchvision/RandomApply", "transforms": [flip, flip], "p": 1.0})(sample())
    np.testing.assert_array_equal(got["img"], sample()["img"])
    crops = TRANSFORMS.build({"type": "torchvision/FiveCrop", "size": 8})({"img": sample()["img"]})["img"]
    assert [one.shape for one in crops] == [(8, 8, 3)] * 5
