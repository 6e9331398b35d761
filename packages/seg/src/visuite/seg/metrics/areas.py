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
    predicted, true = predicted.reshape(-1).long(), true.reshape(-1).long()
    ignored, square = true == ignore_index, num_classes**2
    strays = ((true < 0) | (true >= num_classes)) & ~ignored
    wild = ((predicted < 0) | (predicted >= num_classes)) & ~ignored
    # Ignored pixels and errors get numbers of their own, so that one count tells of all without selecting any.
    cells = (true * num_classes + predicted).masked_fill(ignored, square)
    cells = cells.masked_fill(wild, square + 1).masked_fill(strays, square + 2)
    counts = torch.bincount(cells, minlength=square + 3)
    bad_predictions, bad_labels = counts[square + 1 :].tolist()
    if bad_labels:
        values = sorted(set(true[strays].unique().tolist()))[:8]
        raise StrayLabelError(
            f"{bad_labels} pixels of the true map have values that are neither one of the {num_classes} classes nor "
            f"ignored ({ignore_index}): {values}"
        )
    if bad_predictions:
        said = int(predicted[wild].max())
        raise ValueError(f"class {said} is predicted, and the data has {num_classes} classes")
    return counts[:square].reshape(num_classes, num_classes)


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
