"""Heads of several linear layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from visuite.cls.heads import StackedLinearClsHead
from visuite.cls.structures import DataSample

FEATS = (torch.zeros(1), torch.randn(4, 8))


def test_layers_one_after_the_other() -> None:
    head = StackedLinearClsHead(
        3, 8, mid_channels=[6, 5], dropout_rate=0.5, norm_cfg={"type": "BN1d"}, act_cfg={"type": "HSwish"}
    ).eval()
    x = FEATS[-1]
    for layer in head.layers[:2]:
        x = F.hardswish(layer.norm(F.linear(x, layer.fc.weight, layer.fc.bias)))
    torch.testing.assert_close(head.pre_logits(FEATS), x)
    torch.testing.assert_close(head(FEATS), F.linear(x, head.layers[2].fc.weight, head.layers[2].fc.bias))
    assert {"layers.0.fc.weight", "layers.1.norm.running_mean", "layers.2.fc.bias"} <= set(head.state_dict())
    assert not any(name.startswith("layers.2.norm") for name in head.state_dict())


def test_dropout_is_between_layers_alone() -> None:
    head = StackedLinearClsHead(3, 8, mid_channels=[64], dropout_rate=0.5).train()
    hidden = head.pre_logits((torch.rand(16, 8),))
    rate = (hidden == 0).float().mean() - (head.eval().pre_logits((torch.rand(16, 8),)) == 0).float().mean()
    assert 0.05 < rate < 0.6
    assert head.layers[-1].dropout(hidden) is hidden


def test_learns() -> None:
    head = StackedLinearClsHead(3, 8, mid_channels=[6], topk=(1,), cal_acc=True)
    samples = [DataSample().set_gt_label(i % 3) for i in range(4)]
    losses = head.loss(FEATS, samples)
    losses["loss"].backward()
    assert set(losses) == {"loss", "accuracy_top-1"}
    assert all(parameter.grad is not None for parameter in head.parameters())
    assert len(head.predict(FEATS)) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"mid_channels": []}, "hidden"), ({"mid_channels": 6}, "list"), ({"num_classes": 0}, "num")],
)
def test_bad_arguments(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        StackedLinearClsHead(**{"num_classes": 3, "in_channels": 8, "mid_channels": [4], **arguments})
