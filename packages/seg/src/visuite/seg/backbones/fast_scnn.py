"""Fast-SCNN.

Shapes: B images, I channels in, H rows, W columns. Three maps: the fine one (B, 64, H/8, W/8), the coarse one (B, 128,
H/32, W/32) and both together (B, 128, H/8, W/8), with the default channels.

Names of parameters: learning_to_downsample.{conv,dsconv1,dsconv2},
global_feature_extractor.bottleneck<1..3>.<block>.conv, global_feature_extractor.{ppm.<level>.1,out}.conv,
feature_fusion.{dwconv,conv_lower_res,conv_higher_res}.conv.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, chosen
from visuite.cv.layers import LinearBottleneck
from visuite.seg.layers import PPM, ConvOptions, resize_like
from visuite.seg.layers.conv_options import BN, RELU, Cfg
from visuite.seg.registry import MODELS

#: Of the stages of the global branch: how much wider blocks are inside, and how many there are.
_EXPAND_RATIO = 6
_BLOCKS = (3, 3, 3)
_POOL_SCALES = (1, 2, 3, 6)


class LearningToDownsample(nn.Module):
    """Three convolutions with stride 2, of which two are separable.

    Args:
        in_channels: I.
        dw_channels: Of the first two.
        out_channels: Of the third.
        options: Of the convolutions.
        dw_act_cfg: Activation between the parts of the separable ones.
    """

    def __init__(
        self,
        in_channels: int,
        dw_channels: Sequence[int],
        *,
        out_channels: int,
        options: ConvOptions,
        dw_act_cfg: Cfg | None,
    ) -> None:
        super().__init__()
        first, second = dw_channels
        separable: dict[str, Any] = {"stride": 2, "dw_act_cfg": dw_act_cfg}
        self.conv = options.conv(in_channels, first, 3, stride=2)
        self.dsconv1 = options.separable_conv(first, second, **separable)
        self.dsconv2 = options.separable_conv(second, out_channels, **separable)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, H, W) to (B, out_channels, H / 8, W / 8)."""
        return self.dsconv2(self.dsconv1(self.conv(x)))


class GlobalFeatureExtractor(nn.Module):
    """Inverted residuals, then pyramid pooling.

    Args:
        in_channels: Channels in.
        block_channels: Of each of three stages.
        strides: Of each.
        out_channels: Channels out.
        options: Of the convolutions.
        align_corners: How pooling levels are enlarged.
    """

    def __init__(
        self,
        in_channels: int,
        block_channels: Sequence[int],
        *,
        strides: Sequence[int],
        out_channels: int,
        options: ConvOptions,
        align_corners: bool,
    ) -> None:
        super().__init__()
        widths = [in_channels, *block_channels]
        stages = [
            nn.Sequential(
                *(
                    LinearBottleneck(
                        widths[stage] if block == 0 else widths[stage + 1],
                        widths[stage + 1],
                        stride=strides[stage] if block == 0 else 1,
                        expand_ratio=_EXPAND_RATIO,
                        norm_cfg=options.norm_cfg,
                        act_cfg=options.act_cfg,
                    )
                    for block in range(count)
                )
            )
            for stage, count in enumerate(_BLOCKS)
        ]
        self.bottleneck1, self.bottleneck2, self.bottleneck3 = stages
        last = widths[-1]
        self.ppm = PPM(_POOL_SCALES, last, last // 4, options=options, align_corners=align_corners)
        self.out = options.conv(2 * last, out_channels, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to (B, out_channels, h / 4, w / 4)."""
        x = self.bottleneck3(self.bottleneck2(self.bottleneck1(x)))
        return self.out(torch.cat([x, *self.ppm(x)], dim=1))


class FeatureFusion(nn.Module):
    """The coarse map, enlarged and convolved, added to the fine one.

    Args:
        higher_in_channels: Of the fine map.
        lower_in_channels: Of the coarse one.
        out_channels: Of the sum.
        options: Of the convolutions.
        align_corners: How the coarse map is enlarged.
    """

    def __init__(
        self,
        higher_in_channels: int,
        lower_in_channels: int,
        *,
        out_channels: int,
        options: ConvOptions,
        align_corners: bool,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.dwconv = options.conv(lower_in_channels, out_channels, 3, groups=out_channels, act_cfg=RELU)
        self.conv_lower_res = options.conv(out_channels, out_channels, act_cfg=None)
        self.conv_higher_res = options.conv(higher_in_channels, out_channels, act_cfg=None)

    def forward(self, fine: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        """(B, J, h, w) and the coarse map to (B, out_channels, h, w)."""
        coarse = resize_like(coarse, fine, align_corners=self.align_corners)
        return (self.conv_higher_res(fine) + self.conv_lower_res(self.dwconv(coarse))).relu()


@MODELS.register_module()
class FastSCNN(Backbone):
    """Two branches that share their first layers (Poudel et al., arXiv:1902.04502).

    Args:
        in_channels: I.
        downsample_dw_channels: Of the first two convolutions.
        global_in_channels: Of the third, which both branches begin from.
        global_block_channels: Of the stages of the global branch.
        global_block_strides: Of the stages of the global branch.
        global_out_channels: Of its map.
        higher_in_channels: Of the fine map, the same as `global_in_channels`.
        lower_in_channels: Of the coarse map, the same as `global_out_channels`.
        fusion_out_channels: Of both together.
        out_indices: Which of the fine map, the coarse one and both together are handed out.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        align_corners: How maps are enlarged.
        dw_act_cfg: Activation between the parts of separable convolutions.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: channels that have to be equal and are not, or maps that do not exist.
    """

    def __init__(
        self,
        in_channels: int = 3,
        downsample_dw_channels: Sequence[int] = (32, 48),
        *,
        global_in_channels: int = 64,
        global_block_channels: Sequence[int] = (64, 96, 128),
        global_block_strides: Sequence[int] = (2, 2, 1),
        global_out_channels: int = 128,
        higher_in_channels: int = 64,
        lower_in_channels: int = 128,
        fusion_out_channels: int = 128,
        out_indices: Sequence[int] = (0, 1, 2),
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = BN,
        act_cfg: Cfg | None = RELU,
        align_corners: bool = False,
        dw_act_cfg: Cfg | None = None,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(pretrained=pretrained, init_cfg=init_cfg)
        if global_in_channels != higher_in_channels:
            raise ValueError(
                f"global_in_channels {global_in_channels} and higher_in_channels {higher_in_channels} are of one map"
            )
        if global_out_channels != lower_in_channels:
            raise ValueError(
                f"global_out_channels {global_out_channels} and lower_in_channels {lower_in_channels} are of one map"
            )
        self.out_indices = chosen(out_indices, 3)
        options = ConvOptions(conv_cfg, norm_cfg, act_cfg)
        self.learning_to_downsample = LearningToDownsample(
            in_channels,
            downsample_dw_channels,
            out_channels=global_in_channels,
            options=options,
            dw_act_cfg=dw_act_cfg,
        )
        self.global_feature_extractor = GlobalFeatureExtractor(
            global_in_channels,
            global_block_channels,
            strides=global_block_strides,
            out_channels=global_out_channels,
            options=options,
            align_corners=align_corners,
        )
        self.feature_fusion = FeatureFusion(
            higher_in_channels,
            lower_in_channels,
            out_channels=fusion_out_channels,
            options=options,
            align_corners=align_corners,
        )
        stride = 8
        for one in global_block_strides:
            stride *= one
        told = ((higher_in_channels, 8), (lower_in_channels, stride), (fusion_out_channels, 8))
        self.out_channels, self.out_strides = zip(*(told[index] for index in self.out_indices), strict=True)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to one map for each of `out_indices`, as the file's head says."""
        fine = self.learning_to_downsample(x)
        coarse = self.global_feature_extractor(fine)
        maps = (fine, coarse, self.feature_fusion(fine, coarse))
        return tuple(maps[index] for index in self.out_indices)
