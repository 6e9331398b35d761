"""Rates of classes, from how many pixels of each class are taken for which.

Shapes: K classes, H rows, W columns.
"""

from __future__ import annotations

import torch

#: What each measure gives besides the accuracy of classes.
MEASURES: dict[str, tuple[str, ...]] = {
    "mIoU": ("IoU", "Acc"),
    "mDice": ("Dice", "Acc"),
    "mFscore": ("Fscore", "Precision", "Recall"),
}


#: Between the least and the largest value of a true map.
_MOST_ROWS = 1 << 16


class StrayLabelError(ValueError):
    """A true map has values that are neither classes nor ignored."""


def count_pixels(
    predicted: torch.Tensor, true: torch.Tensor, num_classes: int, ignore_index: int = 255
) -> torch.Tensor:
    """Return how many pixels of each true class (row) are said to be of each class (column), (K, K) long.

    Args:
        predicted: Classes, of any shape.
        true: The same shape; pixels of `ignore_index` do not count.
        num_classes: K.
        ignore_index: See above.

    Raises:
        ValueError: the shapes differ, or a predicted class is not below K.
        StrayLabelError: a true class is not, and is not ignored either.
    """
    if predicted.shape != true.shape:
        raise ValueError(f"the prediction is {tuple(predicted.shape)} large, the true map {tuple(true.shape)}")
    if not true.numel():
        return torch.zeros(num_classes, num_classes, dtype=torch.long, device=true.device)
    predicted, true = predicted.reshape(-1).long(), true.reshape(-1).long()
    predicted = _within(predicted, true, num_classes, ignore_index)
    low, high = (int(one) for one in true.aminmax())
    if high - low >= _MOST_ROWS:  # values far apart, which must not cost a row for each between them
        ignored = true == ignore_index
        if (((true < 0) | (true >= num_classes)) & ~ignored).any():
            raise _stray_labels(true, num_classes, ignore_index)
        return count_pixels(predicted, true.masked_fill(ignored, num_classes), num_classes, num_classes)
    # A row for each value that there is, so that one count tells of all pixels without looking at any twice.
    cells = (true - low if low else true) * num_classes + predicted
    rows = torch.bincount(cells, minlength=(high - low + 1) * num_classes).reshape(-1, num_classes)
    counts = rows.new_zeros(num_classes, num_classes)
    first, last = max(low, 0), min(high, num_classes - 1) + 1
    if first < last:
        counts[first:last] = rows[first - low : last - low]
        rows[first - low : last - low] = 0
    if low <= ignore_index <= high:
        rows[ignore_index - low] = 0
    if 0 <= ignore_index < num_classes:
        counts[ignore_index] = 0
    if rows.any():
        raise _stray_labels(true, num_classes, ignore_index)
    return counts


def _within(predicted: torch.Tensor, true: torch.Tensor, num_classes: int, ignore_index: int) -> torch.Tensor:
    """Return predicted classes, all of them below K; those of ignored pixels do not matter."""
    low, high = (int(one) for one in predicted.aminmax())
    if low >= 0 and high < num_classes:
        return predicted
    predicted = predicted.masked_fill(true == ignore_index, 0)
    low, high = (int(one) for one in predicted.aminmax())
    if low < 0 or high >= num_classes:
        wild = low if low < 0 else high
        raise ValueError(f"class {wild} is predicted, and the data has {num_classes} classes")
    return predicted


def _stray_labels(true: torch.Tensor, num_classes: int, ignore_index: int) -> StrayLabelError:
    values = true[((true < 0) | (true >= num_classes)) & (true != ignore_index)]
    return StrayLabelError(
        f"{len(values)} pixels of the true map have values that are neither one of the {num_classes} classes nor "
        f"ignored ({ignore_index}): {values.unique()[:8].tolist()}"
    )


def rates(counts: torch.Tensor, measure: str, beta: float = 1.0) -> dict[str, torch.Tensor]:
    """Return the rates (K,) of a measure, from 0 to 1; nan for a class that is not there.

    Args:
        counts: (K, K), rows true and columns predicted.
        measure: `mIoU`: intersection over union, and accuracy. `mDice`: Dice's coefficient, and accuracy. `mFscore`: F
            score, precision and recall.
        beta: How much more recall counts in the F score than precision.
    """
    counts = counts.double()
    right, said, had = counts.diagonal(), counts.sum(0), counts.sum(1)
    if measure == "mIoU":
        return {"IoU": right / (said + had - right), "Acc": right / had}
    if measure == "mDice":
        return {"Dice": 2 * right / (said + had), "Acc": right / had}
    precision, recall = right / said, right / had
    score = (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
    return {"Fscore": score, "Precision": precision, "Recall": recall}
