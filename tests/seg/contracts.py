"""Contracts that every segmentor keeps; each function raises an AssertionError that says what was broken.

A model is made by a factory, so that each contract sees a fresh one; `make(num_classes=...)` changes all of its heads.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.onnx_export import assert_exports
from visuite.engine.structures import PixelData
from visuite.seg.structures import SegDataSample

Make = Callable[..., Any]
Size = tuple[int, int]


def batch(size: Size = (64, 96), *, count: int = 2, channels: int = 3, label: int | None = None) -> dict[str, Any]:
    """Images, and truths of the classes 0 and 1 with some pixels ignored; or of one label alone."""
    samples = []
    for _ in range(count):
        truth = torch.randint(0, 2, (1, *size)) if label is None else torch.full((1, *size), label)
        truth[:, :2] = 255
        maps = {"gt_sem_seg": PixelData(data=truth), "gt_edge_map": PixelData(data=(truth == 1).long())}
        samples.append(SegDataSample(metainfo={"img_shape": size, "ori_shape": size}, **maps))
    images = torch.randint(0, 256, (count, channels, *size), dtype=torch.uint8)
    return {"inputs": list(images), "data_samples": samples}


def losses_of(model: Any, data: dict[str, Any]) -> dict[str, torch.Tensor]:
    """What a training step learns from."""
    return model.train()(**model.data_preprocessor(data, True), mode="loss")


def total(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    """The sum of what is called a loss."""
    return sum(value.mean() for name, value in losses.items() if "loss" in name)  # type: ignore[return-value]


def gradients(model: nn.Module) -> dict[str, torch.Tensor | None]:
    """The gradients of all that learns."""
    return {name: one.grad for name, one in model.named_parameters() if one.requires_grad}


@torch.no_grad()
def stir(model: nn.Module) -> None:
    """Draw what begins at zero: blocks that start as their shortcuts would hide whether their parts learn."""
    for one in model.parameters():
        if one.requires_grad and not one.any():
            one.normal_(std=0.1)


def learns(make: Make, *, without: Sequence[str] = ()) -> None:
    """Losses and accuracies are finite scalars, and each parameter gets a gradient that is finite and not zero."""
    torch.manual_seed(0)
    model = make()
    stir(model)
    losses = losses_of(model, batch())
    assert any("loss" in name for name in losses)
    assert any("acc" in name for name in losses)
    for name, value in losses.items():
        assert value.numel() == 1, f"{name} has shape {tuple(value.shape)}"
        assert value.isfinite(), f"{name} is {value}"
        assert value.requires_grad == ("loss" in name), f"{name} requires a gradient: {value.requires_grad}"
    total(losses).backward()
    for name, gradient in gradients(model).items():
        if not name.startswith(tuple(without)):
            assert gradient is not None, f"no gradient for {name}"
            assert gradient.isfinite().all(), f"the gradient of {name} is not finite"
            assert gradient.abs().sum() > 0, f"the gradient of {name} is zero"


def survives_ignored_maps(make: Make) -> None:
    """Where no pixel counts, losses are finite, and all parameters are in the graph."""
    torch.manual_seed(0)
    model = make()
    losses = losses_of(model, batch(label=255))
    for name, value in losses.items():
        assert value.isfinite(), f"{name} is {value}"
    total(losses).backward()
    for name, gradient in gradients(model).items():
        assert gradient is not None, f"{name} is not in the graph"
        assert gradient.isfinite().all(), f"the gradient of {name} is not finite"


def predicts_any_size(make: Make, sizes: Sequence[Size] = ((64, 96), (65, 97))) -> None:
    """Scores and classes come in the size of the original, whatever that of the image."""
    torch.manual_seed(0)
    model = make().eval()
    for size in sizes:
        data = batch(size)
        data["data_samples"][0].set_metainfo({"ori_shape": (37, 50)})
        with torch.no_grad():
            first, second = model.test_step(data)
        for sample, shape in ((first, (37, 50)), (second, size)):
            assert sample.seg_logits.data.shape == (model.out_channels, *shape)
            assert sample.pred_sem_seg.data.shape == (1, *shape)
            assert sample.pred_sem_seg.data.dtype == torch.long
            assert sample.seg_logits.data.isfinite().all()
            assert sample.pred_sem_seg.data.max() < max(model.num_classes, 2)


def tells_one_class_from_the_rest(make: Make) -> None:
    """With a single channel it learns, and tells 0 and 1 by the threshold."""
    torch.manual_seed(0)
    model = make()
    losses = losses_of(model, batch())
    assert all(value.isfinite() for value in losses.values()), losses
    total(losses).backward()
    with torch.no_grad():
        sample = model.eval().test_step(batch((48, 64)))[0]
    assert sample.seg_logits.data.shape == (1, 48, 64)
    told = sample.seg_logits.data.sigmoid() > model.last_head.threshold
    assert torch.equal(sample.pred_sem_seg.data, told.long())


def takes_any_channels(make: Make, channels: Sequence[int] = (1, 5)) -> None:
    """Images may have any number of channels, from the preprocessor on."""
    for count in channels:
        model = make(in_channels=count).eval()
        with torch.no_grad():
            (sample, _) = model.test_step(batch(channels=count))
        assert sample.pred_sem_seg.data.shape == (1, 64, 96)


def predicts_the_same_twice(make: Make) -> None:
    """A prediction depends on the image alone."""
    torch.manual_seed(0)
    model, images = make().eval(), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model(images), model(images))


def one_slide_is_the_whole(make: Make) -> None:
    """A crop that covers the image gives what the image gives."""
    torch.manual_seed(0)
    model = make().eval()
    data = batch((48, 64))
    with torch.no_grad():
        whole = model.test_step(data)
        model.test_cfg.update(mode="slide", crop_size=(64, 64), stride=(32, 32))
        slid = model.test_step(data)
    for one, other in zip(whole, slid, strict=True):
        torch.testing.assert_close(one.seg_logits.data, other.seg_logits.data)


def works_in_half_precision(make: Make, *, tolerance: float = 0.1) -> None:
    """In bfloat16 scores are bfloat16 and near those in float32; training under autocast has finite losses."""
    torch.manual_seed(0)
    model, images = make().eval(), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        exact = model(images)
        rounded = model.to(torch.bfloat16)(images.to(torch.bfloat16))
    assert rounded.dtype == torch.bfloat16
    error = (rounded.float() - exact).norm() / exact.norm()
    assert error < tolerance, f"bfloat16 is off by {error:.3f}"
    with torch.autocast("cpu", torch.bfloat16):
        losses = losses_of(make(), batch())
    assert all(value.isfinite() for value in losses.values()), losses


def begins_as_its_configs_say(make: Make) -> None:
    """`init_weights` reaches all parts, and leaves a model that works and can be copied."""
    torch.manual_seed(0)
    model = make()
    model.init_weights()
    assert all(getattr(one, "is_init", True) for one in model.modules())
    assert all(one.isfinite().all() for one in model.parameters())
    twin, images = copy.deepcopy(model).eval(), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(twin(images), model.eval()(images))


def state_dict_round_trip(make: Make) -> None:
    """A fresh model with another's state gives the other's scores, bit for bit."""
    torch.manual_seed(0)
    one, other, images = make().eval(), make().eval(), torch.randn(1, 3, 64, 64)
    other.load_state_dict(one.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(one(images), other(images))


class _Scores(nn.Module):
    """A segmentor's plain scores, for exporters that call with images alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model(images, mode="tensor")


def exports(make: Make, path: Path, *, dynamo: bool = False, sizes: Sequence[Size] = ()) -> None:
    """As an ONNX model it gives the same scores; with more sizes, for images of these too."""
    torch.manual_seed(0)
    open_sizes = [{0: "batch", 2: "rows", 3: "columns"}] if sizes else []
    others = [(torch.randn(1, 3, *size),) for size in sizes]
    model = _Scores(make()).eval()
    assert_exports(model, (torch.randn(2, 3, 64, 64),), path, open_sizes=open_sizes, others=others, dynamo=dynamo)
