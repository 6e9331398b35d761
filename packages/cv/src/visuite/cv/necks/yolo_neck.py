"""The neck of YOLOv3.

Shapes: B images, C_i channels of the i-th map taken, from fine to coarse, K_j channels of the j-th handed out, from
coarse to fine, H rows, W columns.

Names of parameters: detect1.conv1.conv, ..., detect1.conv5.conv (of the coarsest), conv1.conv, detect2.conv1.conv, ...
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.layers import ConvModule
from visuite.cv.necks.base import Neck
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]


@MODELS.register_module()
class YOLOV3Neck(Neck):
    """From coarse to fine, each map beside the coarser one enlarged, in five convolutions (arXiv:1804.02767).

    Args:
        num_scales: How many maps there are.
        in_channels: Of the maps taken, from coarse to fine: the other way round than they come.
        out_channels: K_j.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: the numbers of channels are not as many as scales.
    """

    def __init__(
        self,
        num_scales: int,
        in_channels: Sequence[int],
        *,
        out_channels: Sequence[int],
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = {"type": "BN", "requires_grad": True},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg | None = {"type": "LeakyReLU", "negative_slope": 0.1},  # noqa: B006
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if not len(in_channels) == len(out_channels) == num_scales:
            raise ValueError(
                f"YOLOV3Neck of {num_scales} scales has as many in_channels and out_channels, "
                f"not {len(in_channels)} and {len(out_channels)}"
            )
        self.in_channels, self.out_channels = tuple(in_channels[::-1]), tuple(out_channels)
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        for level, (channels, out) in enumerate(zip(in_channels, out_channels, strict=True)):
            if level > 0:
                self.add_module(f"conv{level}", ConvModule(out_channels[level - 1], out, 1, **cfgs))
                channels = channels + out
            self.add_module(f"detect{level + 1}", _five_convolutions(channels, out, cfgs))

    def out_strides(self, in_strides: Sequence[int]) -> tuple[int, ...]:
        """Return the strides of the maps handed out: those of the maps taken, from coarse to fine."""
        return tuple(in_strides[::-1])

    def forward(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Maps (B, C_i, H_i, W_i), from fine to coarse, to as many of K_j channels, from coarse to fine."""
        self.check_maps(inputs)
        maps: list[torch.Tensor] = []
        for level, x in enumerate(reversed(inputs)):
            if maps:
                narrow = getattr(self, f"conv{level}")(maps[-1])
                x = torch.cat((F.interpolate(narrow, size=x.shape[2:]), x), dim=1)
            maps.append(getattr(self, f"detect{level + 1}")(x))
        return tuple(maps)


def _five_convolutions(channels: int, out: int, cfgs: Mapping[str, Any]) -> nn.Sequential:
    """1x1 and 3x3 in turn, narrow and wide: (B, channels, H, W) to (B, out, H, W)."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number in range(1, 6):
        if number % 2:
            layers[f"conv{number}"] = ConvModule(channels if number == 1 else 2 * out, out, 1, **cfgs)
        else:
            layers[f"conv{number}"] = ConvModule(out, 2 * out, 3, padding=1, **cfgs)
    return nn.Sequential(layers)
