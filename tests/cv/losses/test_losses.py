"""Losses against their definitions, written out."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from visuite.cv.losses import CrossEntropyLoss, LabelSmoothLoss, accuracy, weight_reduce_loss
from visuite.engine.registry import MODELS

torch.manual_seed(0)
SCORES, LABELS = torch.randn(6, 5), torch.tensor([0, 4, 2, 2, 1, 3])


def by_hand(weights: list[float] | None = None) -> list[float]:
    """Cross entropy of each row, in plain Python."""
    out = []
    for row, label in zip(SCORES.tolist(), LABELS.tolist(), strict=True):
        total = sum(math.exp(value) for value in row)
        out.append(-math.log(math.exp(row[label]) / total) * (weights[label] if weights else 1))
    return out


def test_softmax_cross_entropy() -> None:
    rows = by_hand()
    assert CrossEntropyLoss()(SCORES, LABELS).item() == pytest.approx(sum(rows) / 6, rel=1e-5)
    assert CrossEntropyLoss(reduction="sum", loss_weight=2)(SCORES, LABELS).item() == pytest.approx(
        2 * sum(rows), rel=1e-5
    )
    assert CrossEntropyLoss()(SCORES, LABELS, avg_factor=3).item() == pytest.approx(sum(rows) / 3, rel=1e-5)
    none = CrossEntropyLoss()(SCORES, LABELS, reduction_override="none")
    torch.testing.assert_close(none, torch.tensor(rows))
    weight = torch.tensor([1.0, 0, 0, 0, 0, 0])
    assert CrossEntropyLoss()(SCORES, LABELS, weight).item() == pytest.approx(rows[0] / 6, rel=1e-5)


def test_class_weights() -> None:
    weights = [1.0, 2.0, 0.5, 0.0, 3.0]
    got = CrossEntropyLoss(class_weight=weights)(SCORES, LABELS)
    assert got.item() == pytest.approx(sum(by_hand(weights)) / 6, rel=1e-5)


def test_ignored_labels() -> None:
    labels = LABELS.clone()
    labels[1] = 255
    rows = by_hand()
    rest = sum(rows) - rows[1]
    assert CrossEntropyLoss(ignore_index=255)(SCORES, labels).item() == pytest.approx(rest / 6, rel=1e-5)
    averaged = CrossEntropyLoss(ignore_index=255, avg_non_ignore=True)(SCORES, labels)
    assert averaged.item() == pytest.approx(rest / 5, rel=1e-5)
    nothing = CrossEntropyLoss(ignore_index=255, avg_non_ignore=True)(SCORES, torch.full((6,), 255))
    assert nothing.item() == 0


def test_maps_of_classes() -> None:
    scores, labels = torch.randn(2, 4, 3, 3), torch.randint(0, 4, (2, 3, 3))
    torch.testing.assert_close(CrossEntropyLoss()(scores, labels), F.cross_entropy(scores, labels))
    one_hot = F.one_hot(labels, 4).permute(0, 3, 1, 2).float()
    want = F.binary_cross_entropy_with_logits(scores, one_hot)
    torch.testing.assert_close(CrossEntropyLoss(use_sigmoid=True)(scores, labels), want)


def test_soft_targets_of_one_class_are_that_class() -> None:
    one_hot = F.one_hot(LABELS, 5).float()
    torch.testing.assert_close(CrossEntropyLoss(use_soft=True)(SCORES, one_hot), CrossEntropyLoss()(SCORES, LABELS))


def test_sigmoid_by_hand() -> None:
    targets = torch.randint(0, 2, (6, 5)).float()
    p = SCORES.sigmoid()
    terms = -(3 * targets * p.log() + (1 - targets) * (1 - p).log())
    got = CrossEntropyLoss(use_sigmoid=True, pos_weight=3.0)(SCORES, targets)
    torch.testing.assert_close(got, terms.mean())
    background = CrossEntropyLoss(use_sigmoid=True)(SCORES, torch.full((6,), 5))
    torch.testing.assert_close(background, F.softplus(SCORES).mean())
    weighted = CrossEntropyLoss(use_sigmoid=True)(SCORES, LABELS, torch.tensor([0.0, 0, 0, 0, 0, 1]))
    only = F.binary_cross_entropy_with_logits(SCORES[5], F.one_hot(LABELS[5], 5).float())
    torch.testing.assert_close(weighted * 6, only)


def test_masks_of_their_own_classes() -> None:
    masks, targets, classes = torch.randn(3, 4, 7, 7), torch.randint(0, 2, (3, 7, 7)), torch.tensor([1, 3, 0])
    own = torch.stack([masks[0, 1], masks[1, 3], masks[2, 0]])
    got = CrossEntropyLoss(use_mask=True)(masks, targets, classes)
    torch.testing.assert_close(got, F.binary_cross_entropy_with_logits(own, targets.float())[None])
    empty = CrossEntropyLoss(use_mask=True)(masks[:0], targets[:0], classes[:0])
    assert empty.sum() == 0


def test_empty_input_has_a_finite_loss_and_gradients() -> None:
    scores = torch.zeros(0, 5, requires_grad=True)
    for loss in (CrossEntropyLoss(), CrossEntropyLoss(use_sigmoid=True)):
        value = loss(scores, torch.zeros(0, dtype=torch.long))
        value.backward()
        assert value.item() == 0


@pytest.mark.parametrize(
    ("mode", "hit", "miss"), [("original", 0.9 + 0.02, 0.02), ("classy_vision", 1.02 / 1.1, 0.02 / 1.1)]
)
def test_smoothed_targets(mode: str, hit: float, miss: float) -> None:
    loss = LabelSmoothLoss(0.1, mode=mode)
    target = torch.full((6, 5), miss).scatter(1, LABELS[:, None], hit)
    torch.testing.assert_close(loss.smooth(LABELS, 5), target)
    want = (-target * SCORES.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss(SCORES, LABELS), want)


def test_smoothed_multi_label_targets() -> None:
    targets = torch.randint(0, 2, (6, 5))
    want = F.binary_cross_entropy_with_logits(SCORES, targets * 0.9 + (1 - targets) * 0.1)
    torch.testing.assert_close(LabelSmoothLoss(0.1, mode="multi_label")(SCORES, targets), want)


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        (CrossEntropyLoss, {"use_sigmoid": True, "use_soft": True}, "at most one"),
        (CrossEntropyLoss, {"reduction": "average"}, "average"),
        (CrossEntropyLoss, {"pos_weight": 2.0}, "use_sigmoid"),
        (LabelSmoothLoss, {"label_smooth_val": 1.5}, "1.5"),
        (LabelSmoothLoss, {"label_smooth_val": 0.1, "mode": "half"}, "half"),
    ],
)
def test_bad_arguments(kind: Any, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kind(**arguments)


def test_wrong_number_of_classes() -> None:
    with pytest.raises(ValueError, match="10"):
        LabelSmoothLoss(0.1, num_classes=10)(SCORES, LABELS)


def test_reduction() -> None:
    loss = torch.arange(6.0).reshape(2, 3)
    assert weight_reduce_loss(loss, torch.tensor([1.0, 0.0])).item() == 0.5
    assert weight_reduce_loss(loss, avg_factor=5).item() == pytest.approx(3)
    assert weight_reduce_loss(loss, avg_factor=0).isfinite()
    with pytest.raises(ValueError, match="avg_factor"):
        weight_reduce_loss(loss, reduction="sum", avg_factor=5)


def test_accuracy() -> None:
    scores = torch.tensor([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3]])
    target = torch.tensor([2, 1, 0])
    assert accuracy(scores, target).item() == pytest.approx(100 / 3)
    top1, top2 = accuracy(scores, target, topk=(1, 2))
    assert (top1.item(), top2.item()) == (pytest.approx(100 / 3), pytest.approx(200 / 3))
    assert accuracy(scores, target, thresh=0.8).item() == 0
    assert accuracy(scores[:0], target[:0]).item() == 0
    with pytest.raises(ValueError, match="top-4"):
        accuracy(scores, target, topk=4)


def test_registered_for_all_scopes() -> None:
    for scope in ("", "mmdet.", "mmpretrain."):
        try:
            assert isinstance(MODELS.build({"type": f"{scope}CrossEntropyLoss"}), CrossEntropyLoss)
        except ModuleNotFoundError as error:
            pytest.skip(str(error))
