from __future__ import annotations

import pytest
import torch

from tests.cv.ops.checks import random_tensor
from visuite.cv.losses import DiceLoss, dice_loss

LOGITS, MASKS = random_tensor(3, 4, 5), (random_tensor(3, 4, 5, seed=1) > 0).long()
MAPS, LABELS = random_tensor(2, 3, 4, 5), torch.arange(40).reshape(2, 4, 5) % 3


def by_hand(p, t, eps=1e-3, naive=False):
    both = sum(x * y for x, y in zip(p, t, strict=True))
    if naive:
        return 1 - (2 * both + eps) / (sum(p) + sum(t) + eps)
    return 1 - 2 * both / (sum(x * x for x in p) + eps + sum(y * y for y in t) + eps)


@pytest.mark.parametrize(("eps", "naive"), [(1e-3, False), (1.0, True)])
def test_masks(eps, naive):
    rows = zip(LOGITS.sigmoid().flatten(1).tolist(), MASKS.flatten(1).tolist(), strict=True)
    want = torch.tensor([by_hand(p, t, eps, naive) for p, t in rows])
    loss = DiceLoss(eps=eps, naive_dice=naive)
    torch.testing.assert_close(loss(LOGITS, MASKS), want.mean())
    torch.testing.assert_close(
        loss(LOGITS, MASKS, torch.tensor([0.0, 1, 2]), avg_factor=4), (want[1] + 2 * want[2]) / 4
    )
    done = DiceLoss(eps=eps, naive_dice=naive, activate=False)
    torch.testing.assert_close(done(LOGITS.sigmoid(), MASKS.bool()), want.mean())


@pytest.mark.parametrize("sigmoid", [True, False])
def test_maps_of_classes(sigmoid):
    probs = MAPS.sigmoid() if sigmoid else MAPS.softmax(1)
    one_hot = torch.stack([LABELS.eq(c) for c in range(3)], 1).float()
    want = dice_loss(probs, one_hot)
    loss = DiceLoss(use_sigmoid=sigmoid, reduction="none")
    torch.testing.assert_close(loss(MAPS, LABELS), want)
    torch.testing.assert_close(loss(MAPS, one_hot), want)
    without = dice_loss(probs[:, [0, 2]], one_hot[:, [0, 2]])
    torch.testing.assert_close(loss(MAPS, LABELS, ignore_index=1), without)


def test_ignored_pixels_are_background_or_left_out():
    label = LABELS.clone()
    label[:, 0] = 255
    one_hot = torch.stack([label == c for c in range(3)], 1).float()
    background = dice_loss(MAPS.sigmoid(), one_hot).mean()
    torch.testing.assert_close(DiceLoss()(MAPS, label, ignore_index=255), background)
    left_out = dice_loss(MAPS[:, :, 1:].sigmoid(), one_hot[:, :, 1:]).mean()
    masked = DiceLoss(ignore_index=255, mask_ignored=True)
    torch.testing.assert_close(masked(MAPS, label), left_out)
    other = MAPS.clone()
    other[:, :, 0] = 9
    torch.testing.assert_close(masked(other, label), left_out)


def test_a_map_of_one_channel_tells_object_from_background():
    loss = DiceLoss(use_sigmoid=False)
    torch.testing.assert_close(loss(LOGITS[:, None], MASKS), DiceLoss()(LOGITS, MASKS))


def test_right_and_wrong():
    assert dice_loss(MASKS.float(), MASKS).max() < 1e-3
    assert dice_loss(1 - MASKS.float(), MASKS).min() == 1
    assert dice_loss(torch.zeros(1, 4), torch.zeros(1, 4)).item() == 1
    assert dice_loss(torch.zeros(1, 4), torch.zeros(1, 4), naive_dice=True).item() == 0
