"""The data preprocessor of segmentation."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from visuite.engine.structures import PixelData
from visuite.seg.preprocessor import SegDataPreProcessor
from visuite.seg.registry import MODELS
from visuite.seg.structures import SegDataSample


def sample(height: int, width: int, **maps: torch.Tensor) -> SegDataSample:
    made = SegDataSample(metainfo={"ori_shape": (7, 7)})
    made.gt_sem_seg = PixelData(data=torch.ones(1, height, width, dtype=torch.long))
    for name, value in maps.items():
        setattr(made, name, PixelData(data=value))
    return made


def batch(*sizes: tuple[int, int]) -> dict[str, Any]:
    images = [torch.full((3, *size), 10 * i + 10, dtype=torch.uint8) for i, size in enumerate(sizes)]
    return {"inputs": images, "data_samples": [sample(*size) for size in sizes]}


def test_normalises_and_swaps_channels() -> None:
    image = torch.arange(3, dtype=torch.uint8).reshape(3, 1, 1).expand(3, 4, 5)
    done = SegDataPreProcessor(mean=[1, 2, 3], std=[2, 2, 2], bgr_to_rgb=True)({"inputs": [image]})
    assert done["inputs"][0, :, 0, 0].tolist() == [0.5, -0.5, -1.5]
    assert done["data_samples"] is None


@pytest.mark.parametrize(("rule", "padded"), [({"size": (8, 9)}, (8, 9)), ({"size_divisor": 4}, (8, 8)), ({}, (6, 5))])
def test_pads_images_and_maps_while_training(rule: dict[str, Any], padded: tuple[int, int]) -> None:
    done = SegDataPreProcessor(pad_val=7, seg_pad_val=99, **rule)(batch((4, 5), (6, 3)), True)
    assert done["inputs"].shape == (2, 3, *padded)
    first, second = done["data_samples"]
    assert done["inputs"][0, :, :4, :5].eq(10).all()
    assert done["inputs"][0, :, 4:].eq(7).all()
    assert done["inputs"][1, :, :, 3:].eq(7).all()
    assert first.gt_sem_seg.shape == padded
    assert first.gt_sem_seg.data[:, :4, :5].eq(1).all()
    assert first.gt_sem_seg.data.eq(99).sum() == padded[0] * padded[1] - 20
    assert first.img_shape == (4, 5)
    assert first.pad_shape == second.pad_shape == padded
    assert second.img_padding_size == (0, padded[1] - 3, 0, padded[0] - 6)
    assert second.ori_shape == (7, 7)


def test_larger_images_stay_larger() -> None:
    done = SegDataPreProcessor(size=(4, 9))(batch((6, 5)), True)
    assert done["inputs"].shape == (1, 3, 6, 9)


def test_tests_by_another_rule_and_leaves_the_truth() -> None:
    plain = SegDataPreProcessor(size=(8, 8))(batch((4, 5)))
    assert plain["inputs"].shape == (1, 3, 4, 5)
    assert plain["data_samples"][0].img_padding_size == (0, 0, 0, 0)
    padded = SegDataPreProcessor(size=(9, 9), test_cfg={"size_divisor": 8})(batch((4, 5)))
    assert padded["inputs"].shape == (1, 3, 8, 8)
    assert padded["data_samples"][0].gt_sem_seg.shape == (4, 5)
    assert padded["data_samples"][0].img_padding_size == (0, 3, 0, 4)
    mixed = SegDataPreProcessor()(batch((4, 5), (6, 3)))
    assert mixed["inputs"].shape == (2, 3, 6, 5)


def test_a_tensor_is_a_batch_too() -> None:
    given = {
        "inputs": torch.zeros(2, 3, 4, 5, dtype=torch.uint8),
        "data_samples": batch((4, 5), (4, 5))["data_samples"],
    }
    done = SegDataPreProcessor(size_divisor=8)(given, True)
    assert done["inputs"].shape == (2, 3, 8, 8)
    assert done["data_samples"][1].gt_sem_seg.shape == (8, 8)


def test_all_true_maps_are_padded_and_the_given_stay() -> None:
    edges, depth = torch.zeros(1, 4, 5, dtype=torch.uint8), torch.ones(1, 4, 5)
    given = {"inputs": [torch.zeros(3, 4, 5)], "data_samples": [sample(4, 5, gt_edge_map=edges, gt_depth_map=depth)]}
    (done,) = SegDataPreProcessor(size=(6, 6))(given, True)["data_samples"]
    assert done.gt_edge_map.shape == done.gt_depth_map.shape == (6, 6)
    assert done.gt_edge_map.data.dtype == torch.uint8
    assert done.gt_depth_map.data[0, 5, 5] == 255
    assert given["data_samples"][0].gt_sem_seg.shape == (4, 5)
    assert "pad_shape" not in given["data_samples"][0]


def test_a_map_of_another_size_is_named() -> None:
    given = {"inputs": [torch.zeros(3, 4, 5)] * 2, "data_samples": [sample(4, 5), sample(4, 6)]}
    with pytest.raises(ValueError, match=r"sample 1: gt_sem_seg is \(4, 6\) high and wide, its image \(4, 5\)"):
        SegDataPreProcessor()(given, True)


def darken(inputs: torch.Tensor, samples: list[SegDataSample]) -> tuple[torch.Tensor, list[SegDataSample]]:
    return inputs * 0, samples[::-1]


def test_augments_while_training_only() -> None:
    preprocessor = SegDataPreProcessor(batch_augments=[darken])
    assert preprocessor(batch((4, 5)), True)["inputs"].eq(0).all()
    assert preprocessor(batch((4, 5)))["inputs"].eq(10).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": (4, 4), "size_divisor": 2}, "set one"),
        ({"test_cfg": {"size": (4, 4), "size_divisor": 2}}, "set one"),
        ({"size": 4}, "height, width"),
        ({"test_cfg": {"divisor": 2}}, "'divisor'"),
    ],
)
def test_bad_rules(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SegDataPreProcessor(**arguments)


def test_any_number_of_channels_by_its_documented_name() -> None:
    preprocessor = MODELS.build({"type": "SegDataPreProcessor", "mean": [1] * 5, "std": [2] * 5, "size_divisor": 4})
    done = preprocessor({"inputs": [torch.full((5, 6, 6), 3, dtype=torch.uint16)]}, True)
    assert done["inputs"].shape == (1, 5, 8, 8)
    assert done["inputs"][0, :, 0, 0].eq(1).all()
