"""Heads with two layers, and heads of single architectures."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from visuite.cls.heads import ConformerHead, CSRAClsHead, EfficientFormerClsHead, LeViTClsHead, VigClsHead
from visuite.cls.structures import DataSample
from visuite.cv.layers.reparam import switch_to_deploy

LABELS = torch.tensor([0, 2])


def samples() -> list[DataSample]:
    return [DataSample().set_gt_label(int(label)) for label in LABELS]


def predicted(head: Any, feats: Any) -> torch.Tensor:
    return torch.stack([one.pred_score for one in head.eval().predict(feats, samples())])


def test_conformer_adds_scores_and_averages_losses() -> None:
    head = ConformerHead(3, (4, 5), cal_acc=True)
    assert set(dict(head.named_parameters())) == {
        f"{name}.{kind}" for name in ("conv_cls_head", "trans_cls_head") for kind in ("weight", "bias")
    }
    pair = [torch.randn(2, 4), torch.randn(2, 5)]
    one, other = head.conv_cls_head(pair[0]), head.trans_cls_head(pair[1])
    feats = ([torch.randn(2, 4)] * 2, pair)
    torch.testing.assert_close(head(feats), one + other)
    torch.testing.assert_close(predicted(head, feats), (one + other).softmax(1))
    losses = head.loss(feats, samples())
    torch.testing.assert_close(losses["loss"], (F.cross_entropy(one, LABELS) + F.cross_entropy(other, LABELS)) / 2)
    hits = (one.argmax(1) == LABELS).float().mean() + (other.argmax(1) == LABELS).float().mean()
    assert losses["accuracy_top-1"].item() == pytest.approx(50 * hits.item())


@pytest.mark.parametrize("distillation", [True, False])
def test_efficientformer(distillation: bool) -> None:
    head = EfficientFormerClsHead(3, 4, distillation=distillation)
    assert hasattr(head, "dist_head") == distillation
    x = torch.randn(2, 4)
    scores = [head.head(x)] + ([head.dist_head(x)] if distillation else [])
    torch.testing.assert_close(head((x * 2, x)), sum(scores) / len(scores))
    wanted = sum(F.cross_entropy(one, LABELS) for one in scores) / len(scores)
    torch.testing.assert_close(head.loss((x,), samples())["loss"], wanted)


def trained_levit(**kwargs: Any) -> LeViTClsHead:
    head = LeViTClsHead(3, in_channels=4, **kwargs)
    for _ in range(3):
        head((torch.randn(8, 4) * 3 + 1,))
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    return head.eval()


def test_levit_is_the_mean_of_normalised_layers() -> None:
    head = trained_levit()
    x = torch.randn(2, 4)

    def by_hand(layer: Any) -> torch.Tensor:
        normed = (x - layer.bn.running_mean) / (layer.bn.running_var + layer.bn.eps).sqrt()
        return (normed * layer.bn.weight + layer.bn.bias) @ layer.linear.weight.T + layer.linear.bias

    torch.testing.assert_close(head((x,)), (by_hand(head.head) + by_hand(head.head_dist)) / 2)


@pytest.mark.parametrize("distillation", [True, False])
def test_levit_fused_predicts_the_same(distillation: bool) -> None:
    head = trained_levit(distillation=distillation)
    x = torch.randn(2, 4)
    before = head((x,))
    switch_to_deploy(head)
    torch.testing.assert_close(head((x,)), before)
    made = LeViTClsHead(3, in_channels=4, distillation=distillation, deploy=True)
    made.load_state_dict(head.state_dict())
    torch.testing.assert_close(made((x,)), before)
    with pytest.raises(ValueError, match="in_channels"):
        LeViTClsHead(3)


def test_vig() -> None:
    head = VigClsHead(3, 4, hidden_dim=6, dropout=0.9).eval()
    x = torch.randn(2, 4)
    inner = F.gelu(head.bn(head.fc1(x)))
    torch.testing.assert_close(head.pre_logits((x,)), inner)
    torch.testing.assert_close(head((x,)), head.fc2(inner))


@pytest.mark.parametrize(("count", "temperatures"), [(1, [1]), (2, [1, 99]), (4, [1, 2, 4, 99])])
def test_csra_by_the_papers_formula(count: int, temperatures: list[int]) -> None:
    """Equations 2 to 6, with the largest temperature standing for the maximum."""
    head = CSRAClsHead(3, 4, num_heads=count, lam=0.2)
    x = torch.randn(2, 4, 3, 5)
    wanted = torch.zeros(2, 3)
    for part, temperature in zip(head.csra_heads, temperatures, strict=True):
        for b in range(2):
            for k in range(3):
                m = part.head.weight[k, :, 0, 0]
                scores = torch.stack([x[b, :, i, j] @ m / m.norm() for i in range(3) for j in range(5)])
                weights = (temperature * scores).exp() / (temperature * scores).exp().sum()
                attended = scores.max() if temperature == 99 else (weights * scores).sum()
                wanted[b, k] += scores.mean() + 0.2 * attended
    torch.testing.assert_close(head((x,)), wanted)
    several = [DataSample().set_gt_label([0, 2]), DataSample().set_gt_label([])]
    truth = torch.tensor([[1.0, 0, 1], [0, 0, 0]])
    loss = head.loss((x,), several)["loss"]
    torch.testing.assert_close(loss, F.binary_cross_entropy_with_logits(wanted, truth, reduction="sum") / 2)
    assert head.predict((x,))[0].pred_label.tolist() == (wanted[0].sigmoid() >= 0.5).nonzero().flatten().tolist()
    with pytest.raises(ValueError, match="num_heads"):
        CSRAClsHead(3, 4, num_heads=3, lam=0.2)
