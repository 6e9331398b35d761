"""Three levels of a pyramid made one.

Shapes: B images, H rows and W columns of the level in the middle, K channels out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import ConvModule
from visuite.yolo.registry import MODELS

Cfg = Mapping[str, Any]


@MODELS.register_module()
class BiFusion(nn.Module):
    """A level beside the coarser one enlarged and the finer one shrunk: BiC (YOLOv6 v3.0, arXiv:2301.05586, figure 2).

    Names of parameters: conv1.* (of the level itself), conv2.* and downsample.* (of the finer one), upsample (of the
    coarser one), conv3.*.

    Args:
        in_channels0: Channels of the level itself.
        in_channels1: Channels of the finer level.
        out_channels: K, the channels of the coarser level, too.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
    """

    def __init__(
        self,
        in_channels0: int,
        in_channels1: int,
        *,
        out_channels: int,
        norm_cfg: Cfg | None = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg | None = {"type": "ReLU", "inplace": True},  # noqa: B006
    ) -> None:
        super().__init__()
        cfgs: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.conv1 = ConvModule(in_channels0, out_channels, 1, **cfgs)
        self.conv2 = ConvModule(in_channels1, out_channels, 1, **cfgs)
        self.conv3 = ConvModule(3 * out_channels, out_channels, 1, **cfgs)
        self.upsample = nn.ConvTranspose2d(out_channels, out_channels, 2, stride=2)
        self.downsample = ConvModule(out_channels, out_channels, 3, stride=2, padding=1, **cfgs)

    def forward(self, coarse: torch.Tensor, level: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """(B, K, H / 2, W / 2), (B, `in_channels0`, H, W), (B, `in_channels1`, 2 H, 2 W) to (B, K, H, W).

        H and W may be odd, and those of the finer map one less; halves are rounded up.
        """
        enlarged = self.upsample(coarse)[..., : level.shape[-2], : level.shape[-1]]
        return self.conv3(torch.cat((enlarged, self.conv1(level), self.downsample(self.conv2(fine))), dim=1))
