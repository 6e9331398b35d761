"""Contracts that every model part keeps; each function raises an AssertionError that says what was broken.

A part is made by a factory, so that each contract sees a fresh one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tests.onnx_export import assert_exports

Make = Callable[..., nn.Module]


def backbone_tells_its_maps(make: Make, *, size: tuple[int, int] = (64, 96), in_channels: int = 3) -> None:
    """The maps have the channels and strides that `out_channels` and `out_strides` say."""
    backbone = make().eval()
    with torch.no_grad():
        maps = backbone(torch.randn(2, in_channels, *size))
    assert len(maps) == len(backbone.out_channels) == len(backbone.out_strides)
    for one, channels, stride in zip(maps, backbone.out_channels, backbone.out_strides, strict=True):
        assert one.shape == (2, channels, -(-size[0] // stride), -(-size[1] // stride)), (one.shape, channels, stride)


def gradients_reach_every_parameter(
    make: Make, *, size: tuple[int, int] = (64, 64), in_channels: int = 3, without: Sequence[str] = ()
) -> None:
    """Each trainable parameter gets a finite gradient that is not all zero."""
    torch.manual_seed(0)
    part = make().train()
    maps = part(torch.randn(2, in_channels, *size))
    sum((one * torch.randn_like(one)).sum() for one in maps).backward()
    for name, parameter in part.named_parameters():
        if parameter.requires_grad and not name.startswith(tuple(without)):
            assert parameter.grad is not None, f"no gradient for {name}"
            assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
            assert parameter.grad.abs().sum() > 0, f"the gradient of {name} is zero"


def frozen_stages_hold(make: Make, frozen: Sequence[str], *, size: tuple[int, int] = (64, 64)) -> None:
    """Parts with these names neither learn nor gather statistics, however often training is switched on; others do."""
    part = make().eval().train().train()
    before = copy.deepcopy(part.state_dict())
    optimizer = torch.optim.SGD([p for p in part.parameters() if p.requires_grad], lr=0.1)
    sum(one.square().mean() for one in part(torch.randn(2, 3, *size))).backward()
    optimizer.step()
    after = part.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    held = {name for name in after if name.startswith(tuple(frozen))}
    assert held, f"nothing is named {frozen}"
    assert not held & changed, f"changed though frozen: {sorted(held & changed)[:5]}"
    assert changed, "nothing learns at all"
    assert not any(p.requires_grad for n, p in part.named_parameters() if n in held)


def norm_eval_holds(make: Make) -> None:
    """Batch norms keep their statistics while training, and their weights still learn."""
    part = make().train()
    norms = [layer for layer in part.modules() if isinstance(layer, _BatchNorm)]
    assert norms
    assert not any(layer.training for layer in norms)
    assert any(layer.weight.requires_grad for layer in norms)
    assert part.training


def takes_any_channels(make: Make, channels: Sequence[int] = (1, 4, 13)) -> None:
    """`in_channels` is free, and a wrong number of channels is an error."""
    for count in channels:
        part = make(in_channels=count).eval()
        with torch.no_grad():
            part(torch.randn(1, count, 64, 64))
            try:
                part(torch.randn(1, count + 1, 64, 64))
            except RuntimeError:
                continue
        raise AssertionError(f"made for {count} channels, it takes {count + 1}")


def works_in_half_precision(make: Make, *, size: tuple[int, int] = (64, 64), tolerance: float = 0.1) -> None:
    """In bfloat16 the outputs are bfloat16 and near those in float32."""
    torch.manual_seed(0)
    part, images = make().eval(), torch.randn(2, 3, *size)
    with torch.no_grad():
        exact = part(images)
        rounded = part.to(torch.bfloat16)(images.to(torch.bfloat16))
    for one, other in zip(exact, rounded, strict=True):
        assert other.dtype == torch.bfloat16
        error = (other.float() - one).norm() / one.norm()
        assert error < tolerance, f"bfloat16 is off by {error:.3f}"


def state_dict_round_trip(make: Make, *, size: tuple[int, int] = (64, 64)) -> None:
    """A fresh part with another's state gives the other's outputs, bit for bit."""
    one, other, images = make().eval(), make().eval(), torch.randn(2, 3, *size)
    missing = other.load_state_dict(one.state_dict(), strict=True)
    assert not missing.missing_keys
    assert not missing.unexpected_keys
    with torch.no_grad():
        for left, right in zip(one(images), other(images), strict=True):
            assert torch.equal(left, right)


def takes_odd_sizes(make: Make, sizes: Sequence[tuple[int, int]] = ((33, 65), (97, 47))) -> None:
    """Sizes that no stride divides give maps of the rounded-up size."""
    for size in sizes:
        backbone_tells_its_maps(make, size=size)


def checkpointing_changes_nothing(make: Make, *, size: tuple[int, int] = (64, 64)) -> None:
    """`with_cp=True` gives the same outputs and the same gradients."""
    plain, saving = make(with_cp=False).train(), make(with_cp=True).train()
    saving.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, *size)
    gradients = []
    for part in (plain, saving):
        torch.manual_seed(0)
        sum(one.square().mean() for one in part(images)).backward()
        gradients.append([p.grad for p in part.parameters()])
    for left, right in zip(*gradients, strict=True):
        torch.testing.assert_close(left, right)


def exports(
    make: Make,
    path: Path,
    *,
    size: tuple[int, int] = (64, 96),
    others: Sequence[tuple[int, int, int]] = (),
    dynamo: bool = True,
) -> None:
    """As an ONNX model it gives the same, and, where there are others, with their batch, rows and columns too.

    Args:
        make: Makes the part.
        path: A file to write to.
        size: Rows and columns of the images it is exported with.
        others: (B, H, W) of more images; these sizes are then left open.
        dynamo: As of `assert_exports`.
    """
    torch.manual_seed(0)
    open_sizes = [{0: "batch", 2: "rows", 3: "columns"}] if others else []
    images = [(torch.randn(batch, 3, rows, columns),) for batch, rows, columns in ((2, *size), *others)]
    part = make().eval()
    assert_exports(part, images[0], path, open_sizes=open_sizes, others=images[1:], dynamo=dynamo)


class OnImages(nn.Module):
    """A neck behind a stand-in for its backbone, so that it keeps the contracts of one.

    The stand-in pools images to the strides given, and mixes their channels by weights that stay the same.
    """

    def __init__(self, neck: nn.Module, in_strides: Sequence[int]) -> None:
        super().__init__()
        self.neck = neck
        self.in_strides = tuple(in_strides)
        self.out_channels = neck.out_channels
        self.out_strides = neck.out_strides(self.in_strides)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        maps = []
        for channels, stride in zip(self.neck.in_channels, self.in_strides, strict=True):
            weight = torch.randn(channels, images.shape[1], generator=torch.Generator().manual_seed(stride))
            pooled = F.avg_pool2d(images, stride, stride, ceil_mode=True)
            maps.append(torch.einsum("kc,bchw->bkhw", weight.to(pooled), pooled))
        return self.neck(tuple(maps))


def neck_tells_its_maps(make: Make, in_strides: Sequence[int], *, size: tuple[int, int] = (64, 128)) -> None:
    """As many maps come as are told, with the channels and strides told, and another number of maps in is an error.

    Sides may be rounded down, or up as far as the coarsest map taken reaches, since maps are enlarged as a whole.
    """
    behind, coarsest = OnImages(make().eval(), in_strides), max(in_strides)
    for rows, columns in (size, (size[0] + 1, size[1] - 3)):
        with torch.no_grad():
            maps = behind(torch.randn(2, 3, rows, columns))
        assert isinstance(maps, tuple)
        assert len(maps) == len(behind.out_channels) == len(behind.out_strides)
        for one, channels, stride in zip(maps, behind.out_channels, behind.out_strides, strict=True):
            assert one.shape[:2] == (2, channels), (one.shape, channels)
            for side, whole in zip(one.shape[2:], (rows, columns), strict=True):
                reach = -(-whole // coarsest) * coarsest
                assert max(whole // stride, 1) <= side <= -(-reach // stride), (one.shape, stride)
    try:
        behind.neck([torch.randn(2, behind.neck.in_channels[0], 8, 8)] * (len(in_strides) + 1))
    except ValueError:
        return
    raise AssertionError(f"made for {len(in_strides)} maps, it takes one more")
