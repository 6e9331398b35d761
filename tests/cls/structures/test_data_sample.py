"""Data samples of classification."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from visuite.cls.structures import DataSample, one_hot


@pytest.mark.parametrize("value", [3, np.int64(3), [3], np.array([3]), torch.tensor(3), torch.tensor([3])])
def test_labels_of_all_kinds(value: Any) -> None:
    sample = DataSample().set_gt_label(value)
    assert torch.equal(sample.gt_label, torch.tensor([3]))
    assert torch.equal(sample.set_pred_label(value).pred_label, torch.tensor([3]))


@pytest.mark.parametrize("value", [[0.1, 0.9], (0.1, 0.9), np.array([0.1, 0.9]), torch.tensor([0.1, 0.9])])
def test_scores_of_all_kinds(value: Any) -> None:
    sample = DataSample().set_pred_score(value)
    torch.testing.assert_close(sample.pred_score, torch.tensor([0.1, 0.9]))
    assert sample.num_classes == 2
    with pytest.raises(ValueError, match="3 classes, where 2"):
        sample.set_gt_score([0, 0, 1])


@pytest.mark.parametrize(
    ("value", "error"), [("cat", TypeError), (1.5, TypeError), ([[1]], ValueError), (None, TypeError)]
)
def test_bad_labels(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        DataSample().set_gt_label(value)


@pytest.mark.parametrize(("value", "error"), [(0.5, TypeError), ("ab", TypeError), ([[0.5]], ValueError)])
def test_bad_scores(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        DataSample().set_pred_score(value)


def test_one_hot() -> None:
    assert one_hot(DataSample().set_gt_label([1, 3]), 4).tolist() == [0, 1, 0, 1]
    assert one_hot(DataSample().set_gt_score([0.5, 0.5]), 2).tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match="label 4 among 4"):
        one_hot(DataSample().set_gt_label(4), 4)
    with pytest.raises(ValueError, match="neither"):
        one_hot(DataSample(), 4)
