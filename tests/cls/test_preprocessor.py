"""The data preprocessor of classification."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from visuite.cls.batch_augment import RandomBatchAugment
from visuite.cls.preprocessor import ClsDataPreprocessor
from visuite.cls.structures import DataSample


def reverse(inputs: torch.Tensor, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix each image with the one at the other end of the batch."""
    return (inputs + inputs.flip(0)) / 2, (scores + scores.flip(0)) / 2


def batch(n: int = 2) -> dict[str, list]:
    images = [torch.full((3, 4, 5), 10 * i + 1, dtype=torch.uint8) for i in range(n)]
    return {"inputs": images, "data_samples": [DataSample().set_gt_label(i) for i in range(n)]}


def test_normalises_and_swaps_channels() -> None:
    image = torch.arange(3, dtype=torch.uint8).reshape(3, 1, 1).expand(3, 4, 5)
    done = ClsDataPreprocessor(mean=[1, 2, 3], std=[2, 2, 2], to_rgb=True)({"inputs": [image]})
    assert done["inputs"][0, :, 0, 0].tolist() == [0.5, -0.5, -1.5]
    assert done["data_samples"] is None


def test_pads_images_of_different_sizes() -> None:
    images = [torch.ones(3, 4, 5, dtype=torch.uint8), torch.ones(3, 6, 3, dtype=torch.uint8)]
    done = ClsDataPreprocessor(pad_size_divisor=4, pad_value=7)({"inputs": images})["inputs"]
    assert done.shape == (2, 3, 8, 8)
    assert done[0, 0, 3, 4] == 1
    assert done[0, 0, 4, 0] == 7


def test_a_pair_is_a_batch_too() -> None:
    given = batch()
    done = ClsDataPreprocessor()((given["inputs"], given["data_samples"]))
    assert done["inputs"].shape == (2, 3, 4, 5)
    assert done["data_samples"][1].gt_label.item() == 1


def test_one_hot() -> None:
    samples = ClsDataPreprocessor(to_onehot=True, num_classes=3)(batch())["data_samples"]
    assert samples[1].gt_score.tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match="num_classes"):
        ClsDataPreprocessor(to_onehot=True)


def test_mixes_while_training_only() -> None:
    preprocessor = ClsDataPreprocessor(num_classes=2, batch_augments={"augments": reverse})
    mixed = preprocessor(batch(), True)
    assert (mixed["inputs"] == 6).all()
    assert mixed["data_samples"][0].gt_score.tolist() == [0.5, 0.5]
    plain = preprocessor(batch(), False)
    assert plain["inputs"][1].eq(11).all()
    assert "gt_score" not in plain["data_samples"][0]


def test_chances_of_batch_augments() -> None:
    np.random.seed(0)
    augment = RandomBatchAugment([reverse, lambda x, y: (x, y)], [0.25, 0.5])
    drawn = [augment.draw() for _ in range(4000)]
    assert drawn.count(reverse) / 4000 == pytest.approx(0.25, abs=0.03)
    assert drawn.count(None) / 4000 == pytest.approx(0.25, abs=0.03)
    assert RandomBatchAugment([reverse, reverse]).probs == [0.5, 0.5]
    for bad in ([0.5], [0.7, 0.7]):
        with pytest.raises(ValueError, match="chances"):
            RandomBatchAugment([reverse, reverse], bad)
