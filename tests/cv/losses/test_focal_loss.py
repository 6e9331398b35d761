from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import sigmoid_focal_loss

from tests.cv.ops.checks import random_tensor
from visuite.cv.losses import FocalLoss, focal_loss

LOGITS = random_tensor(6, 4, dtype=torch.float64)
LABELS = torch.tensor([0, 3, 4, 1, 2, -1])  # 4 and -1 are background


def by_hand(x, t, gamma=2.0, alpha=0.25):
    """The paper's formula, for a target of 0 or 1."""
    p = 1 / (1 + math.exp(-x))
    p_t, alpha_t = (p, alpha) if t else (1 - p, 1 - alpha)
    return -alpha_t * (1 - p_t) ** gamma * math.log(p_t)


def test_classes():
    rows = zip(LOGITS, LABELS, strict=True)
    want = torch.tensor([[by_hand(x, c == label) for c, x in enumerate(row)] for row, label in rows])
    torch.testing.assert_close(focal_loss(LOGITS, LABELS), want, check_dtype=False)
    assert FocalLoss(loss_weight=2.0)(LOGITS, LABELS).item() == pytest.approx(2 * want.mean().item())
    assert FocalLoss()(LOGITS, LABELS, avg_factor=3).item() == pytest.approx(want.sum().item() / 3)


@pytest.mark.parametrize("dtype", [torch.bool, torch.long, torch.float32])
def test_several_labels_equal_torchvision(dtype):
    several = random_tensor(6, 4, seed=1) > 0
    want = sigmoid_focal_loss(LOGITS, several.double(), alpha=0.4, gamma=1.5)
    torch.testing.assert_close(focal_loss(LOGITS, several.to(dtype), gamma=1.5, alpha=0.4), want)


def test_soft_targets():
    share = random_tensor(6, 4, seed=1, dtype=torch.float64).sigmoid()
    p = LOGITS.sigmoid()
    miss = p * (1 - share) + (1 - p) * share
    cost = -(share * p.log() + (1 - share) * (1 - p).log())
    want = (0.25 * share + 0.75 * (1 - share)) * miss**2 * cost
    torch.testing.assert_close(focal_loss(LOGITS, share), want)


def test_a_column_of_classes():
    torch.testing.assert_close(focal_loss(LOGITS, LABELS[:, None]), focal_loss(LOGITS, LABELS))


def test_one_score_for_class_zero():
    """A box head with one class: label 0 is the object, label 1 the background."""
    loss = focal_loss(LOGITS[:2, :1], torch.tensor([0, 1]))
    torch.testing.assert_close(loss[:, 0], torch.tensor([by_hand(LOGITS[0, 0], 1), by_hand(LOGITS[1, 0], 0)]).double())


def test_maps():
    maps, label = random_tensor(2, 4, 3, 5), torch.arange(30).reshape(2, 3, 5) % 5
    label[0, 0, 0] = 255
    flat = focal_loss(maps.movedim(1, -1).reshape(-1, 4), label.flatten()).reshape(2, 3, 5, 4).movedim(-1, 1)
    flat[0, :, 0, 0] = 0
    torch.testing.assert_close(focal_loss(maps, label, ignore_index=255), flat)
    loss = FocalLoss(alpha=0.25)
    torch.testing.assert_close(loss(maps, label, ignore_index=255), flat.mean())  # ignored pixels count in the mean
    weight = random_tensor(2, 3, 5, seed=2).abs()
    torch.testing.assert_close(loss(maps, label, weight, ignore_index=255), (flat * weight[:, None]).mean())
    classes = [1.0, 2, 0, 3]
    weighed = flat * torch.tensor(classes)[:, None, None]
    torch.testing.assert_close(FocalLoss(class_weight=classes)(maps, label, ignore_index=255), weighed.mean())
    alphas = torch.stack([focal_loss(maps, label, alpha=a)[:, c] for c, a in enumerate((0.1, 0.2, 0.3, 0.4))], 1)
    torch.testing.assert_close(focal_loss(maps, label, alpha=[0.1, 0.2, 0.3, 0.4]), alphas)


def test_a_map_of_one_channel_tells_object_from_background():
    maps, label = random_tensor(2, 1, 3, 5), torch.arange(30).reshape(2, 3, 5) % 2
    torch.testing.assert_close(focal_loss(maps, label), focal_loss(maps, label[:, None].float()))


def test_probabilities():
    torch.testing.assert_close(focal_loss(LOGITS.sigmoid(), LABELS, activated=True), focal_loss(LOGITS, LABELS))
    sure = torch.tensor([[0.0, 1.0]], requires_grad=True)
    loss = FocalLoss(activated=True)(sure, torch.tensor([0]))
    loss.backward()
    assert loss.isfinite()
    assert sure.grad.isfinite().all()


def test_without_focus_it_is_half_the_cross_entropy():
    several = (random_tensor(6, 4, seed=1) > 0).double()
    want = F.binary_cross_entropy_with_logits(LOGITS, several) / 2
    torch.testing.assert_close(FocalLoss(gamma=0, alpha=0.5)(LOGITS, several), want)


def test_bad_input():
    with pytest.raises(ValueError, match="use_sigmoid"):
        FocalLoss(use_sigmoid=False)
    with pytest.raises(ValueError, match=r"\(6, 4\).*\(5,\)"):
        focal_loss(LOGITS, LABELS[:5])
