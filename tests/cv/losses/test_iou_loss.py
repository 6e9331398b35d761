from __future__ import annotations

import math

import pytest
import torch
from torchvision.ops import complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss

from tests.cv.ops.checks import plain_iou, random_boxes, random_tensor
from visuite.cv.losses import BoundedIoULoss, CIoULoss, DIoULoss, GIoULoss, IoULoss, bounded_iou_loss, iou_loss

PRED, TARGET = random_boxes(20), random_boxes(20) + 3 * random_tensor(20, 4)
FAR = random_boxes(20, seed=5)


@pytest.mark.parametrize("other", [TARGET, FAR])
def test_iou(other):
    ious = [max(plain_iou(a, b), 1e-6) for a, b in zip(PRED.tolist(), other.tolist(), strict=True)]
    for mode, of in (("linear", lambda x: 1 - x), ("square", lambda x: 1 - x * x), ("log", lambda x: -math.log(x))):
        want = torch.tensor([of(x) for x in ious])
        torch.testing.assert_close(iou_loss(PRED, other, mode=mode), want, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(IoULoss(mode=mode)(PRED, other), want.mean(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(IoULoss(linear=True)(PRED, other), IoULoss(mode="linear")(PRED, other))


def test_eps_is_the_least_iou():
    apart = torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[5.0, 5, 6, 6]])
    assert IoULoss(eps=1e-3)(*apart).item() == pytest.approx(-math.log(1e-3))
    assert IoULoss(mode="square", eps=1e-16)(*apart).item() == 1


@pytest.mark.parametrize("other", [TARGET, FAR])
@pytest.mark.parametrize(("kind", "theirs"), [(GIoULoss, generalized_box_iou_loss), (DIoULoss, distance_box_iou_loss)])
def test_against_torchvision(kind, theirs, other):
    torch.testing.assert_close(kind(reduction="none")(PRED, other), theirs(PRED, other), rtol=1e-4, atol=1e-5)


def test_ciou_against_torchvision():
    near = torch.tensor([plain_iou(a, b) > 0.5 for a, b in zip(PRED.tolist(), TARGET.tolist(), strict=True)])
    assert near.sum() > 5
    mine = CIoULoss(reduction="none")
    want = complete_box_iou_loss(PRED[near], TARGET[near])
    torch.testing.assert_close(mine(PRED[near], TARGET[near]), want, rtol=1e-4, atol=1e-5)
    # boxes that hardly overlap: the aspect ratio does not count
    far = torch.tensor([plain_iou(a, b) <= 0.5 for a, b in zip(PRED.tolist(), FAR.tolist(), strict=True)])
    torch.testing.assert_close(mine(PRED[far], FAR[far]), DIoULoss(reduction="none")(PRED[far], FAR[far]))


@pytest.mark.parametrize("kind", [IoULoss, GIoULoss, DIoULoss, CIoULoss])
def test_weights_of_coordinates_are_averaged(kind):
    weight = random_tensor(20, 4, seed=2).abs()
    loss = kind()
    torch.testing.assert_close(
        loss(PRED, TARGET, weight, avg_factor=5), loss(PRED, TARGET, weight.mean(1), avg_factor=5)
    )


@pytest.mark.parametrize("kind", [IoULoss, GIoULoss, DIoULoss, CIoULoss, BoundedIoULoss])
def test_the_same_box_costs_nothing(kind):
    assert kind()(PRED, PRED).item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("kind", [IoULoss, GIoULoss, DIoULoss, CIoULoss, BoundedIoULoss])
def test_boxes_without_area_have_gradients(kind):
    points = torch.tensor([[3.0, 3, 3, 3], [1, 1, 4, 1]], requires_grad=True)
    loss = kind()(points, torch.tensor([[3.0, 3, 3, 3], [2, 0, 2, 5]]))
    loss.backward()
    assert loss.isfinite()
    assert points.grad.isfinite().all()


def test_bounded_iou():
    want = torch.zeros(20, 4)
    for i, (a, b) in enumerate(zip(PRED.tolist(), TARGET.tolist(), strict=True)):
        for k in (0, 1):
            away = abs((a[k] + a[k + 2]) / 2 - (b[k] + b[k + 2]) / 2)
            size, true = a[k + 2] - a[k], b[k + 2] - b[k]
            want[i, k] = 1 - max((true - 2 * away) / (true + 2 * away + 1e-3), 0)
            want[i, k + 2] = 1 - min(true / (size + 1e-3), size / (true + 1e-3))
    smooth = torch.where(want < 0.2, want**2 / 0.4, want - 0.1)
    positive = (TARGET[:, 2:] > TARGET[:, :2]).all(1)
    torch.testing.assert_close(bounded_iou_loss(PRED, TARGET)[positive], smooth[positive], rtol=1e-4, atol=1e-5)
    weight = torch.zeros(20, 4)
    weight[0, 1] = 2
    assert BoundedIoULoss()(PRED, TARGET, weight, avg_factor=4).item() == pytest.approx(
        smooth[0, 1].item() / 2, rel=1e-4
    )


def test_bad_input():
    with pytest.raises(ValueError, match="cubic"):
        IoULoss(mode="cubic")
    with pytest.raises(ValueError, match="3"):
        GIoULoss()(PRED, TARGET[:3])
    with pytest.raises(ValueError, match="different shapes"):
        BoundedIoULoss()(PRED, TARGET[:3])
