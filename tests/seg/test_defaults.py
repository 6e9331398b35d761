from __future__ import annotations

import torch
import torch.nn.functional as F

from visuite.seg.registry import MODELS


def test_cross_entropy_averages_by_class_weights():
    maps, label = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    weights = [1.0, 5.0, 0.2]
    want = F.cross_entropy(maps, label, weight=torch.tensor(weights))
    torch.testing.assert_close(MODELS.build(dict(type="CrossEntropyLoss", class_weight=weights))(maps, label), want)
    others = MODELS.build(dict(type="mmdet.CrossEntropyLoss", class_weight=weights))
    torch.testing.assert_close(
        others(maps, label), F.cross_entropy(maps, label, weight=torch.tensor(weights), reduction="none").mean()
    )


def test_focal_loss_weighs_both_sides_alike():
    assert MODELS.build(dict(type="FocalLoss")).alpha == 0.5
    assert MODELS.build(dict(type="mmdet.FocalLoss")).alpha == 0.25
