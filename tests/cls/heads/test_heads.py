"""Heads."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from visuite.cls.heads import ClsHead, LinearClsHead
from visuite.cls.structures import DataSample

FEATS = (torch.zeros(1), torch.randn(4, 8))


def labelled() -> list[DataSample]:
    return [DataSample().set_gt_label(i % 3) for i in range(4)]


def test_linear_head() -> None:
    head = LinearClsHead(3, 8, topk=(1, 2), cal_acc=True)
    scores = F.linear(FEATS[-1], head.fc.weight, head.fc.bias)
    torch.testing.assert_close(head(FEATS), scores)
    losses = head.loss(FEATS, labelled())
    assert set(losses) == {"loss", "accuracy_top-1", "accuracy_top-2"}
    torch.testing.assert_close(losses["loss"], F.cross_entropy(scores, torch.tensor([0, 1, 2, 0])))
    found = head.predict(FEATS)
    torch.testing.assert_close(torch.stack([one.pred_score for one in found]), scores.softmax(1))
    assert [one.pred_label.item() for one in found] == scores.argmax(1).tolist()


def test_predictions_go_into_the_given_samples() -> None:
    samples = labelled()
    assert ClsHead().predict(FEATS, samples)[2] is samples[2]
    assert samples[2].gt_label.item() == 2


def test_soft_labels() -> None:
    soft = [DataSample().set_gt_score([0.5, 0.25, 0.25]) for _ in range(4)]
    head = LinearClsHead(3, 8, loss={"type": "CrossEntropyLoss", "use_soft": True})
    want = -(torch.tensor([0.5, 0.25, 0.25]) * head(FEATS).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(head.loss(FEATS, soft)["loss"], want)
    with pytest.raises(ValueError, match="cal_acc"):
        LinearClsHead(3, 8, cal_acc=True).loss(FEATS, soft)


def test_missing_truth() -> None:
    with pytest.raises(ValueError, match="sample 3"):
        ClsHead().loss(FEATS, [*labelled()[:3], DataSample()])
    with pytest.raises(ValueError, match="to_onehot"):
        ClsHead().loss(FEATS, [DataSample().set_gt_label([0, 1]) for _ in range(4)])
    with pytest.raises(ValueError, match="num_classes"):
        LinearClsHead(0, 8)


def test_initialisation() -> None:
    head = LinearClsHead(1000, 512)
    head.init_weights()
    assert head.fc.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert head.fc.bias.abs().sum() == 0
