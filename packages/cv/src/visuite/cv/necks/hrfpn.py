"""The pyramid of HRNet's branches.

Shapes: B images, C_i channels of the i-th map taken, K channels of all maps handed out, H rows and W columns of the
finest.

Names of parameters: reduction_conv.conv, fpn_convs.0.conv.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.layers import ConvModule, recompute
from visuite.cv.necks.base import Neck
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]


@MODELS.register_module()
class HRFPN(Neck):
    """All branches at the finest size, side by side, mixed and then pooled to a pyramid (HRNetV2p: arXiv:1904.04514).

    Args:
        in_channels: C_i, from fine to coarse.
        out_channels: K.
        num_outs: How many maps are handed out, each half the size of the one before.
        pooling_type: How they get their size: `AVG` or `MAX`.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norm of the last convolutions.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        stride: Of the last convolutions.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: another pooling.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        *,
        num_outs: int = 5,
        pooling_type: str = "AVG",
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        with_cp: bool = False,
        stride: int = 1,
        init_cfg: Any = {"type": "Caffe2Xavier", "layer": "Conv2d"},  # noqa: B006 (read only)
    ) -> None:
        super().__init__(init_cfg)
        if pooling_type not in ("AVG", "MAX"):
            raise ValueError(f"pooling_type of HRFPN is 'AVG' or 'MAX', not {pooling_type!r}")
        self.in_channels = tuple(in_channels)
        self.out_channels = (out_channels,) * num_outs
        self.pooling_type = pooling_type
        self.with_cp = with_cp
        self.stride = stride
        self.reduction_conv = ConvModule(sum(in_channels), out_channels, 1, conv_cfg=conv_cfg, act_cfg=None)
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": None}
        self.fpn_convs = nn.ModuleList(
            ConvModule(out_channels, out_channels, 3, stride=stride, padding=1, **cfgs) for _ in range(num_outs)
        )

    def out_strides(self, in_strides: Sequence[int]) -> tuple[int, ...]:
        """Return the strides of the maps handed out, from those of the maps taken."""
        return tuple(in_strides[0] * self.stride * 2**level for level in range(len(self.out_channels)))

    def forward(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Maps (B, C_i, H / 2^i, W / 2^i) to `num_outs` maps (B, K, H / 2^i, W / 2^i), sides rounded down."""
        self.check_maps(inputs)
        finest = inputs[0].shape[2:]
        same_size = [inputs[0]]
        same_size += [F.interpolate(x, size=finest, mode="bilinear", align_corners=False) for x in inputs[1:]]
        mixed = recompute(self.reduction_conv, torch.cat(same_size, dim=1), enabled=self.with_cp)
        maps = []
        for level, conv in enumerate(self.fpn_convs):
            maps.append(recompute(conv, self._pool(mixed, 2**level), enabled=self.with_cp))
        return tuple(maps)

    def _pool(self, x: torch.Tensor, size: int) -> torch.Tensor:
        """(B, K, H, W) to (B, K, H / size, W / size), rounded down, but to one pixel at least."""
        if size == 1:
            return x
        pool = F.avg_pool2d if self.pooling_type == "AVG" else F.max_pool2d
        window = [min(size, side) for side in x.shape[2:]]
        return pool(x, kernel_size=window, stride=size)
