"""EfficientNet, and its variant for edge accelerators.

Shapes: B images, C channels in, H rows, W columns. Layer 0 is the stem, layers 1 to n are stages of blocks, the last is
one more convolution; in B0: 32, 16, 24, 40, 112, 320, 1280 channels at strides 2, 2, 4, 8, 16, 32, 32.

Names of parameters: layers.0.conv, layers.1.0.depthwise_conv.conv, layers.1.0.se.conv1.conv, ..., layers.6.conv.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, Cfg, architecture, check_frozen, chosen
from visuite.cv.backbones.tokens import drop_path_rates
from visuite.cv.layers import ConvModule, EdgeResidual, InvertedResidual, make_divisible
from visuite.engine.registry import MODELS


class _Run(NamedTuple):
    """Blocks in a row that differ only in the stride of the first."""

    kernel: int
    stride: int
    expand: int
    channels: int
    blocks: int
    edge: bool = False  # widen by a full convolution
    se: bool = True
    first: bool = False  # count the width inside from the channels out, and have no shortcut


#: Stages of runs; a stage ends where the resolution is about to fall, or the network.
_B: tuple[tuple[_Run, ...], ...] = (
    (_Run(3, 1, 1, 16, 1),),
    (_Run(3, 2, 6, 24, 2),),
    (_Run(5, 2, 6, 40, 2),),
    (_Run(3, 2, 6, 80, 3), _Run(5, 1, 6, 112, 3)),
    (_Run(5, 2, 6, 192, 4), _Run(3, 1, 6, 320, 1)),
)
_EDGE: tuple[tuple[_Run, ...], ...] = (
    (_Run(3, 1, 4, 24, 1, edge=True, se=False, first=True),),
    (_Run(3, 2, 8, 32, 2, edge=True, se=False),),
    (_Run(3, 2, 8, 48, 4, edge=True, se=False),),
    (_Run(5, 2, 8, 96, 5, se=False), _Run(5, 1, 8, 144, 4, se=False)),
    (_Run(5, 2, 8, 192, 2, se=False),),
)
_STEM, _HEAD, _SE_RATIO = 32, 1280, 4


@MODELS.register_module()
class EfficientNet(Backbone):
    """One searched network, scaled in width and depth (Tan and Le, arXiv:1905.11946).

    Args:
        arch: `b0` to `b8`, `l2`; for edge accelerators `es`, `em`, `el`.
        in_channels: C.
        drop_path_rate: The chance of a sample to lose the residual of the last block; it grows from 0 in the first.
        out_indices: Layers whose maps are handed out.
        frozen_stages: Train none of the first n layers, the stem being one; 0 trains all.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        norm_eval: Keep the statistics of batch norms as they are while training.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown architecture, or layers that do not exist.
    """

    #: Stages, and the factors of width and depth.
    arch_settings: ClassVar[Mapping[str, tuple[tuple[tuple[_Run, ...], ...], float, float]]] = {
        "b0": (_B, 1.0, 1.0),
        "b1": (_B, 1.0, 1.1),
        "b2": (_B, 1.1, 1.2),
        "b3": (_B, 1.2, 1.4),
        "b4": (_B, 1.4, 1.8),
        "b5": (_B, 1.6, 2.2),
        "b6": (_B, 1.8, 2.6),
        "b7": (_B, 2.0, 3.1),
        "b8": (_B, 2.2, 3.6),
        "l2": (_B, 4.3, 5.3),
        "es": (_EDGE, 1.0, 1.0),
        "em": (_EDGE, 1.0, 1.1),
        "el": (_EDGE, 1.2, 1.4),
    }

    def __init__(
        self,
        arch: str = "b0",
        in_channels: int = 3,
        *,
        drop_path_rate: float = 0.0,
        out_indices: int | Sequence[int] = (6,),
        frozen_stages: int = 0,
        conv_cfg: Cfg | None = {"type": "Conv2dAdaptivePadding"},  # noqa: B006 (read only, as the next)
        norm_cfg: Cfg | None = {"type": "BN", "eps": 1e-3},  # noqa: B006
        act_cfg: Cfg | None = {"type": "Swish"},  # noqa: B006
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, init_cfg=init_cfg)
        stages, width_factor, depth_factor = architecture(self.arch_settings, arch, "EfficientNet")
        self.out_indices = chosen(out_indices, len(stages) + 2)
        self.frozen_stages = check_frozen(frozen_stages, 0, len(stages) + 2)
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}

        def wide(channels: int) -> int:
            return make_divisible(channels * width_factor, 8)

        width = wide(_STEM)
        self.layers = nn.ModuleList([ConvModule(in_channels, width, 3, stride=2, padding=1, **cfgs)])
        widths, strides = [width], [2]
        total = sum(math.ceil(run.blocks * depth_factor) for stage in stages for run in stage)
        drops = iter(drop_path_rates(drop_path_rate, total))
        for stage in stages:
            blocks = []
            for run, stride in _repeated(stage, depth_factor):
                more = {"stride": stride, "drop_path_rate": next(drops), "with_cp": with_cp, **cfgs}
                blocks.append(_block(run, width, wide(run.channels), more))
                width = wide(run.channels)
            self.layers.append(nn.Sequential(*blocks))
            widths.append(width)
            strides.append(strides[-1] * stage[0].stride)
        widths.append(wide(_HEAD))
        strides.append(strides[-1])
        self.layers.append(ConvModule(width, widths[-1], 1, **cfgs))
        self.out_channels = tuple(widths[index] for index in self.out_indices)
        self.out_strides = tuple(strides[index] for index in self.out_indices)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, C, H, W) to one map for each of `out_indices`, as the file's head says."""
        maps = []
        for index, layer in enumerate(self.layers[: max(self.out_indices) + 1]):
            x = layer(x)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the first layers."""
        return tuple(self.layers[: self.frozen_stages])


def _repeated(stage: Sequence[_Run], depth_factor: float) -> Iterator[tuple[_Run, int]]:
    """Yield a run and a stride for each block of a stage."""
    for run in stage:
        for block in range(math.ceil(run.blocks * depth_factor)):
            yield run, run.stride if block == 0 else 1


def _block(run: _Run, in_channels: int, out_channels: int, more: Mapping[str, Any]) -> nn.Module:
    inside = run.expand * (out_channels if run.first else in_channels)
    se: Cfg = {
        "channels": inside,
        "ratio": run.expand * _SE_RATIO,
        "divisor": 1,
        "act_cfg": (more["act_cfg"], {"type": "Sigmoid"}),
    }
    shape: dict[str, Any] = {"kernel_size": run.kernel, "se_cfg": se if run.se else None}
    if run.edge:
        return EdgeResidual(in_channels, out_channels, inside, with_residual=not run.first, **shape, **more)
    return InvertedResidual(in_channels, out_channels, inside, **shape, **more)
