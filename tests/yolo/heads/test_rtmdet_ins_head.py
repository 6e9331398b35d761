"""RTMDet's head with masks: what the convolutions that points say make of the prototypes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

import visuite.yolo.heads.rtmdet_ins_head as ins
from tests.yolo.heads.small import CHANNELS, HEIGHT, META, WIDTH, build, features, some_samples, some_truth
from tests.yolo.heads.test_points import rtmdet


def head_of(**options: Any) -> Any:
    cfg = rtmdet()
    cfg["head_module"].update({"num_prototypes": 3, "dyconv_channels": 4, **options.pop("head_module", {})})
    cfg["type"], cfg["head_module"]["type"] = "RTMDetInsSepBNHead", "RTMDetInsSepBNHeadModule"
    head = build({**cfg, **options})
    for conv in (*head.head_module.rtm_kernel, *head.head_module.rtm_reg, *head.head_module.rtm_cls):
        torch.nn.init.normal_(conv.weight, std=0.05)
    for conv in head.head_module.rtm_reg:
        torch.nn.init.constant_(conv.bias, 2.0)
    return head


def maps_in() -> list[torch.Tensor]:
    first, second = features()
    return [first, second[:, : CHANNELS[0]]]


def plain_draw(kernel: torch.Tensor, protos: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
    """Three 1x1 convolutions of one point over (D, h, w): 5 to 4 to 4 to 1 channels."""
    x, y, stride, _ = point.tolist()
    h, w = protos.shape[1:]
    drawn = torch.zeros(h, w)
    weights = kernel.split([20, 16, 4, 4, 4, 1])
    for row in range(h):
        for column in range(w):
            value = torch.tensor(
                [(x - 8 * column) / (8 * stride), (y - 8 * row) / (8 * stride), *protos[:, row, column]]
            )
            value = (weights[0].reshape(4, 5) @ value + weights[3]).relu()
            value = (weights[1].reshape(4, 4) @ value + weights[4]).relu()
            drawn[row, column] = weights[2] @ value + weights[5]
    return drawn


def test_weights_of_the_paper() -> None:
    cfg = rtmdet()
    cfg["head_module"]["type"] = "RTMDetInsSepBNHeadModule"
    module = build({**cfg, "type": "RTMDetInsSepBNHead"}).head_module
    assert module.num_weights == 169  # section 3.4: 88 + 72 + 9
    assert module.mask_head.projection.out_channels == 8


@torch.no_grad()
def test_draws_point_by_point() -> None:
    head = head_of()
    protos, kernels = torch.randn(2, 3, 6, 10), torch.randn(4, 49)
    points, images = (
        torch.tensor([[16.0, 8, 8, 8], [0, 40, 8, 8], [48, 16, 16, 16], [8, 8, 8, 8]]),
        torch.tensor([1, 0, 0, 1]),
    )
    found = head.draw(kernels, protos, points, images)
    for one, kernel, point, image in zip(found, kernels, points, images, strict=True):
        torch.testing.assert_close(one, plain_draw(kernel, protos[image], point), rtol=1e-4, atol=1e-4)


def test_the_loss_of_masks_by_plain_loops() -> None:
    head = head_of().train()
    truth, maps = some_truth((3, 2), with_masks=True), head(maps_in())
    found = head.loss_by_feat(*maps, truth=truth)
    _, targets = head.losses_and_targets(*maps[:2], truth)
    kernels = torch.cat([one.flatten(2).transpose(1, 2) for one in maps[2]], dim=1)
    priors, costs = head.places(maps[0]), []
    for image, place in targets.positive.nonzero().tolist():
        number = int(targets.owners[image, place]) - 1
        mask = truth.masks[number + 3 * image][2::4, 2::4].float()
        logits = plain_draw(kernels[image, place].detach(), maps[3][0][image].detach(), priors[place])
        chance = F.interpolate(logits[None, None], mask.shape, mode="bilinear", align_corners=False)[0, 0].sigmoid()
        costs.append(1 - (2 * (chance * mask).sum()) / ((chance**2).sum() + (mask**2).sum() + 1e-5))
    assert len(costs) > 3
    assert found["loss_mask"].item() == pytest.approx(2 * sum(costs).item() / len(costs), rel=1e-4)


@pytest.mark.parametrize("counts", [(3, 2), (0, 2), (0, 0)], ids=["some", "none-in-one", "none"])
def test_learns_from_any_number_of_objects(counts: tuple[int, int]) -> None:
    head, feats = head_of().train(), [one.requires_grad_() for one in maps_in()]
    losses = head.loss(feats, some_samples(counts))
    assert all(loss.isfinite() for loss in losses.values())
    assert (losses["loss_mask"] > 0) == any(counts)
    sum(losses.values()).backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in head.parameters())


def test_half_precision() -> None:
    full = head_of().train().loss(maps_in(), some_samples((3, 2)))
    with torch.autocast("cpu", torch.bfloat16):
        half = head_of().train().loss(maps_in(), some_samples((3, 2)))
    for name, loss in full.items():
        assert half[name].dtype == torch.float32
        torch.testing.assert_close(half[name], loss, rtol=0.1, atol=0.02)


def test_a_thousand_objects() -> None:
    losses = head_of().train().loss(maps_in(), some_samples((1000, 1)))
    assert all(loss.isfinite() for loss in losses.values())


def test_many_points_are_looked_at_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, chunked = head_of().train(), head_of().train()
    told = whole.loss(maps_in(), some_samples((30, 5)))["loss_mask"]
    monkeypatch.setattr(ins, "NUMBERS_AT_ONCE", 500)
    monkeypatch.setattr("visuite.det.assign.sweep.PAIRS_AT_ONCE", 1000)
    found = chunked.loss(maps_in(), some_samples((30, 5)))["loss_mask"]
    torch.testing.assert_close(found, told)
    told.backward()
    found.backward()
    for one, other in zip(whole.parameters(), chunked.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, rtol=1e-3, atol=1e-6)


def test_a_map_of_numbers_is_a_stack_of_masks() -> None:
    head = head_of().train()
    stack = some_truth((2, 0), with_masks=True)
    numbers = torch.zeros(2, HEIGHT, WIDTH, dtype=torch.long)
    apart = stack.masks.clone()
    apart[1] &= ~apart[0]
    numbers[0] = apart[0] + 2 * apart[1]
    maps = head(maps_in())
    one = head.loss_by_feat(*maps, truth=_with(stack, apart))["loss_mask"]
    other = head.loss_by_feat(*maps, truth=_with(stack, numbers))["loss_mask"]
    torch.testing.assert_close(one, other)


def test_needs_masks() -> None:
    head = head_of().train()
    with pytest.raises(ValueError, match="the batch has none"):
        head.loss_by_feat(*head(maps_in()), truth=some_truth((3, 2)))
    with pytest.raises(ValueError, match="use_sigmoid_cls"):
        head_of(head_module={"use_sigmoid_cls": False})


@torch.no_grad()
def test_masks_in_the_size_of_the_file() -> None:
    head, feats = head_of().eval(), maps_in()
    head.test_cfg["max_per_img"] = 5
    for found in head.predict(feats, some_samples((1, 1))):
        assert found.masks.shape == (len(found.bboxes), HEIGHT, WIDTH)
        assert found.masks.dtype == torch.bool
        assert "kernels" not in found
    samples = some_samples((1, 1))
    meta = {**META, "ori_shape": (20, 30), "scale_factor": (2.0, 2.0), "pad_param": [4, 4, 10, 10]}
    for sample in samples:
        sample.set_metainfo(meta)
    small = head.predict(feats, samples, rescale=True)
    large = head.predict(feats, samples)
    for one, other in zip(small, large, strict=True):
        assert one.masks.shape[1:] == (20, 30)
        same = other.masks[:, 5:45:2, 11:71:2]  # the pixels of the input that those of the file begin and end in
        assert (one.masks == same).float().mean() > 0.9


def _with(truth: Any, masks: torch.Tensor) -> Any:
    return type(truth)(**{**vars(truth), "masks": masks})
