"""Heads for several classes per image, and with margins."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from visuite.cls.heads import ArcFaceClsHead, MultiLabelClsHead, MultiLabelLinearClsHead
from visuite.cls.registry import MODELS
from visuite.cls.structures import DataSample
from visuite.engine.registry import init_default_scope


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope("cls")


SCORES = torch.tensor([[2.0, -1.0, 0.5], [-3.0, -2.0, -1.0]])


def test_multi_label_loss_is_binary_cross_entropy() -> None:
    samples = [DataSample().set_gt_label([0, 2]), DataSample().set_gt_score([0.0, 0.5, 0.0])]
    truth = torch.tensor([[1.0, 0, 1], [0, 0.5, 0]])
    got = MultiLabelClsHead().loss((SCORES,), samples)["loss"]
    torch.testing.assert_close(got, F.binary_cross_entropy_with_logits(SCORES, truth, reduction="sum") / 2)


def test_multi_label_predictions() -> None:
    first, second = MultiLabelClsHead().predict((SCORES,))
    assert (first.pred_label.tolist(), second.pred_label.tolist()) == ([0, 2], [])
    torch.testing.assert_close(first.pred_score, SCORES[0].sigmoid())
    assert [one.pred_label.tolist() for one in MultiLabelClsHead(topk=2).predict((SCORES,))] == [[0, 2], [2, 1]]
    assert MultiLabelClsHead(thr=0.7).predict((SCORES,), [DataSample(), DataSample()])[0].pred_label.tolist() == [0]


def test_multi_label_linear() -> None:
    head = MODELS.build({"type": "MultiLabelLinearClsHead", "num_classes": 3, "in_channels": 8})
    head.init_weights()
    assert list(head.state_dict()) == ["fc.weight", "fc.bias"]
    assert head((torch.rand(2, 8),)).shape == (2, 3)
    samples = [DataSample().set_gt_label([]), DataSample().set_gt_label([1, 2])]
    head.loss((torch.rand(2, 8),), samples)["loss"].backward()
    assert head.fc.weight.grad is not None
    with pytest.raises(ValueError, match="positive"):
        MultiLabelLinearClsHead(0, 8)


@pytest.mark.parametrize("easy", [False, True])
def test_arcface_enlarges_the_angle_to_the_true_class(easy: bool) -> None:
    head = ArcFaceClsHead(2, 2, scale=10.0, margin=0.3, easy_margin=easy)
    head.norm_product.weight.data = torch.eye(2) * 5
    angle = 0.4
    feats = (torch.tensor([[math.cos(angle), math.sin(angle)]]) * 7,)
    torch.testing.assert_close(head(feats), 10 * torch.tensor([[math.cos(angle), math.sin(angle)]]))
    want = 10 * torch.tensor([[math.cos(angle + 0.3), math.sin(angle)]])
    torch.testing.assert_close(head(feats, torch.tensor([0])), want)
    torch.testing.assert_close(head(feats, torch.tensor([[1.0, 0.0]])), want)
    away = head((torch.tensor([[-1.0, 0.01]]),), torch.tensor([0]))[0, 0]
    straight = -math.cos(0.01) - (0 if easy else 0.3 * math.sin(0.3))
    assert away.item() == pytest.approx(10 * straight, abs=1e-3)


def test_arcface_margins_of_classes_and_centres() -> None:
    head = ArcFaceClsHead(3, 4, num_subcenters=2, margin=[0.1, 0.2, 0.3])
    assert {name: tuple(value.shape) for name, value in head.state_dict().items()} == {"norm_product.weight": (6, 4)}
    feats = (torch.rand(5, 4),)
    centres = F.normalize(head.norm_product.weight).reshape(3, 2, 4)
    cosines = torch.einsum("bc,ksc->bks", F.normalize(feats[0]), centres).amax(2)
    torch.testing.assert_close(head(feats), 64 * cosines)
    target = torch.tensor([0, 1, 2, 0, 1])
    angles = cosines.clamp(-1, 1).acos()[range(5), target] + torch.tensor([0.1, 0.2, 0.3, 0.1, 0.2])
    got = head(feats, target)[range(5), target]
    torch.testing.assert_close(got, 64 * angles.cos(), atol=1e-3, rtol=0)
    samples = [DataSample().set_gt_label(int(one)) for one in target]
    head.loss(feats, samples)["loss"].backward()
    assert head.norm_product.weight.grad is not None
    assert torch.isfinite(head.norm_product.weight.grad).all()
    assert len(head.predict(feats)) == 5
    with pytest.raises(ValueError, match="2 margins for 3"):
        head.set_margins([0.1, 0.2])


def test_arcface_gradients_stay_finite_at_a_centre() -> None:
    head = ArcFaceClsHead(2, 2)
    head.norm_product.weight.data = torch.eye(2)
    head.loss((torch.tensor([[3.0, 0.0]]),), [DataSample().set_gt_label(0)])["loss"].backward()
    assert head.norm_product.weight.grad is not None
    assert torch.isfinite(head.norm_product.weight.grad).all()
