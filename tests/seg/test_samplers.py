"""Hard pixels, against plain loops."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from visuite.seg.heads import FCNHead
from visuite.seg.registry import TASK_UTILS


def head(**arguments: Any) -> FCNHead:
    shared: dict[str, Any] = {"in_channels": 4, "channels": 4, "num_classes": 3, "in_index": 0}
    return FCNHead(**{**shared, **arguments})


def case() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (2, 1, 5, 6))
    labels[0, 0, 0] = 255
    return torch.randn(2, 3, 5, 6) * 2, labels


def own_probabilities(scores: torch.Tensor, labels: torch.Tensor) -> dict[tuple[int, ...], float]:
    probs = scores.softmax(1)
    places = [(i, y, x) for i in range(2) for y in range(5) for x in range(6) if labels[i, 0, y, x] != 255]
    return {(i, y, x): float(probs[i, labels[i, 0, y, x], y, x]) for i, y, x in places}


@pytest.mark.parametrize(("thresh", "min_kept"), [(0.3, 2), (0.01, 10), (0.9, 2), (0.5, 1000)])
def test_pixels_below_a_probability(thresh: float, min_kept: int) -> None:
    scores, labels = case()
    sampler = TASK_UTILS.build(
        {"type": "OHEMPixelSampler", "thresh": thresh, "min_kept": min_kept}, default_args={"context": head()}
    )
    found = sampler.sample(scores, labels)
    own = own_probabilities(scores, labels)
    kept = {place for place, prob in own.items() if prob < thresh}
    if len(kept) < 2 * min_kept:
        kept = set(sorted(own, key=own.__getitem__)[: 2 * min_kept])
    assert found.shape == (2, 5, 6)
    assert {tuple(place) for place in found.nonzero().tolist()} == kept
    assert set(found.unique().tolist()) <= {0.0, 1.0}


def test_pixels_with_the_greatest_losses() -> None:
    scores, labels = case()
    losses = [{"type": "CrossEntropyLoss", "use_sigmoid": True}, {"type": "CrossEntropyLoss", "loss_weight": 3.0}]
    owner = head(loss_decode=losses, sampler={"type": "OHEMPixelSampler", "min_kept": 7})
    found = owner.sampler.sample(scores, labels)
    wide = labels[:, 0].clone()
    wide[wide == 255] = 0
    each = 3 * F.cross_entropy(scores, wide, reduction="none")
    target = F.one_hot(wide, 3).permute(0, 3, 1, 2).float()
    each = each + F.binary_cross_entropy_with_logits(scores, target, reduction="none").sum(1)
    each[labels[:, 0] == 255] = -1
    expected = torch.zeros(60).index_fill(0, each.flatten().topk(14).indices, 1.0).reshape(2, 5, 6)
    assert torch.equal(found, expected)


def test_one_channel_and_no_pixels() -> None:
    loss = {"type": "CrossEntropyLoss", "use_sigmoid": True}
    owner = head(num_classes=2, out_channels=1, loss_decode=loss, sampler={"type": "OHEMPixelSampler", "thresh": 0.5})
    owner.sampler.min_kept = 0
    scores = torch.tensor([[[[2.0, -2.0, 2.0, -2.0]]]])
    labels = torch.tensor([[[[1, 1, 0, 0]]]])
    assert owner.sampler.sample(scores, labels).tolist() == [[[0, 1, 1, 0]]]
    assert not owner.sampler.sample(scores, torch.full_like(labels, 255)).any()


def test_hard_pixels_alone_are_learnt_from() -> None:
    scores, labels = case()
    owner = head(sampler={"type": "OHEMPixelSampler", "thresh": 0.3, "min_kept": 2})
    scores.requires_grad_()
    owner.losses_of(scores, labels)["loss_ce"].backward()
    assert scores.grad is not None
    touched = scores.grad.abs().sum(1) > 0
    assert torch.equal(touched, owner.sampler.sample(scores, labels) > 0)


def test_a_copied_head_has_a_sampler_of_its_own() -> None:
    owner = head(sampler={"type": "OHEMPixelSampler"})
    twin = copy.deepcopy(owner)
    assert twin.sampler.context is twin
    assert owner.sampler.context is owner


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="min_kept of OHEMPixelSampler is above 1"):
        head(sampler={"type": "OHEMPixelSampler", "min_kept": 1})
