"""Cross entropy against its definitions, written out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from visuite.cv.losses import CrossEntropyLoss
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


def test_one_weight_is_that_of_positive_targets() -> None:
    targets = (LABELS[:, None] == torch.arange(SCORES.shape[1])).float()
    told = CrossEntropyLoss(use_sigmoid=True, pos_weight=0.7)(SCORES, targets)
    assert torch.equal(CrossEntropyLoss(use_sigmoid=True, class_weight=0.7)(SCORES, targets), told)
    for options in ({}, {"use_sigmoid": True, "pos_weight": 2.0}):
        with pytest.raises(ValueError, match=r"class_weight=0\.7 is no weight per class"):
            CrossEntropyLoss(class_weight=0.7, **options)


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


def test_class_weights_from_tensors_and_files(tmp_path: Path) -> None:
    weights = [1.0, 2.0, 0.5, 0.0, 3.0]
    np.save(tmp_path / "weights.npy", np.array(weights))
    (tmp_path / "weights.json").write_text(str(weights))
    want = CrossEntropyLoss(class_weight=weights)(SCORES, LABELS)
    for told in (torch.tensor(weights), str(tmp_path / "weights.npy"), str(tmp_path / "weights.json")):
        torch.testing.assert_close(CrossEntropyLoss(class_weight=told)(SCORES, LABELS), want)


def test_average_by_class_weights() -> None:
    weights = [1.0, 2.0, 0.5, 0.0, 3.0]
    labels = LABELS.clone()
    labels[1] = 255
    rows = by_hand(weights)
    loss = CrossEntropyLoss(class_weight=weights, avg_class_weight=True)
    want = (sum(rows) - rows[1]) / sum(weights[label] for label in (0, 2, 2, 1, 3))
    assert loss(SCORES, labels, ignore_index=255).item() == pytest.approx(want, rel=1e-5)
    torch.testing.assert_close(
        loss(SCORES, labels, ignore_index=255),
        F.cross_entropy(SCORES, labels, weight=torch.tensor(weights), ignore_index=255),
    )
    told = loss(SCORES, labels, avg_factor=2, ignore_index=255)
    assert told.item() == pytest.approx((sum(rows) - rows[1]) / 2, rel=1e-5)
    assert CrossEntropyLoss(avg_class_weight=True)(SCORES, LABELS).item() == pytest.approx(sum(by_hand()) / 6, rel=1e-5)


def test_sigmoid_of_maps_with_ignored_pixels() -> None:
    scores, labels = torch.randn(2, 4, 3, 3), torch.randint(0, 4, (2, 3, 3))
    one_hot = F.one_hot(labels, 4).permute(0, 3, 1, 2).float()
    labels[0, 0] = 255
    labels[1, 2, 2] = -1  # below 0 is ignored too
    valid = ((labels != 255) & (labels >= 0)).unsqueeze(1)
    rows = F.binary_cross_entropy_with_logits(scores, one_hot, reduction="none") * valid
    loss = CrossEntropyLoss(use_sigmoid=True)
    torch.testing.assert_close(loss(scores, labels, ignore_index=255), rows.mean())
    averaged = CrossEntropyLoss(use_sigmoid=True, avg_non_ignore=True)
    torch.testing.assert_close(averaged(scores, labels, ignore_index=255), rows.sum() / (4 * valid.sum()))
    weight = torch.rand(2, 3, 3)
    weighed = loss(scores, labels, weight, ignore_index=255)
    torch.testing.assert_close(weighed, (rows * weight[:, None]).mean())
    beyond = torch.full_like(labels, 200)  # no class, and not ignored: background
    torch.testing.assert_close(loss(scores, beyond, ignore_index=255), F.softplus(scores).mean())


def test_a_map_of_one_channel_tells_object_from_background() -> None:
    scores, labels = torch.randn(2, 1, 3, 3), torch.randint(0, 2, (2, 3, 3))
    labels[0, 0, 0] = 255
    rows = F.binary_cross_entropy_with_logits(scores[:, 0], (labels == 1).float(), reduction="none")
    rows[0, 0, 0] = 0
    averaged = CrossEntropyLoss(use_sigmoid=True, avg_non_ignore=True)
    torch.testing.assert_close(averaged(scores, labels, ignore_index=255), rows.sum() / 17)
    with pytest.raises(ValueError, match="255"):
        averaged(scores, labels)


def test_one_score_for_class_zero() -> None:
    """A box head with one class: label 0 is the object, label 1 the background."""
    scores, labels = SCORES[:, :1], torch.tensor([0, 1, 0, 0, 1, -1])
    rows = F.binary_cross_entropy_with_logits(scores[:5, 0], (labels[:5] == 0).float(), reduction="sum")
    torch.testing.assert_close(CrossEntropyLoss(use_sigmoid=True)(scores, labels), rows / 6)
    averaged = CrossEntropyLoss(use_sigmoid=True, avg_non_ignore=True)
    torch.testing.assert_close(averaged(scores, labels), rows / 5)


def test_scores_without_classes() -> None:
    targets = torch.tensor([0.0, 1, 0.3, 1, 0, 1])
    want = F.binary_cross_entropy_with_logits(SCORES[:, 0], targets, pos_weight=torch.tensor(2.0))
    torch.testing.assert_close(CrossEntropyLoss(use_sigmoid=True, pos_weight=2.0)(SCORES[:, 0], targets), want)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="at most one"):
        CrossEntropyLoss(use_sigmoid=True, use_soft=True)
    with pytest.raises(ValueError, match="use_sigmoid"):
        CrossEntropyLoss(pos_weight=2.0)
    with pytest.raises(TypeError, match="third argument"):
        CrossEntropyLoss(use_mask=True)(torch.zeros(1, 2, 3, 3), torch.zeros(1, 3, 3))


@pytest.mark.parametrize("name", ["loss_ce", "loss_aux"])
def test_name(name: str) -> None:
    assert CrossEntropyLoss(loss_name=name).loss_name == name


def test_registered_for_all_scopes() -> None:
    for scope in ("", "mmdet.", "mmpretrain."):
        try:
            assert isinstance(MODELS.build({"type": f"{scope}CrossEntropyLoss"}), CrossEntropyLoss)
        except ModuleNotFoundError as error:
            pytest.skip(str(error))
