"""Feature pyramids: FPN, and PAFPN with a way back up.

Shapes: B images, C_i channels of the i-th map taken, K channels of all maps handed out, H_i rows, W_i columns.

Names of parameters: lateral_convs.0.conv, fpn_convs.0.conv (the convolutions on top are the last of these); of PAFPN
also downsample_convs.0.conv and pafpn_convs.0.conv.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import ConvModule
from visuite.cv.necks.base import Neck
from visuite.cv.necks.pyramid import convolve_on, pyramid_levels, subsample_on, top_down
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]

_XAVIER: Cfg = {"type": "Xavier", "layer": "Conv2d", "distribution": "uniform"}


@MODELS.register_module()
class FPN(Neck):
    """Feature pyramid: coarse maps are enlarged and added to finer ones (Lin et al., arXiv:1612.03144).

    By the name `PAFPN` it is registered with `bottom_up=True`.

    Args:
        in_channels: C_i.
        out_channels: K.
        num_outs: How many maps are handed out.
        start_level: The first map that is used.
        end_level: The last map that is used, and the last handed out; -1 uses all and allows for more on top.
        add_extra_convs: How maps on top are made, each half the size of the one before. False: of every second pixel of
            the map before. By convolutions, the first of which works on the coarsest map that came in (`on_input`, or
            True), on it with K channels (`on_lateral`) or on the last map handed out (`on_output`).
        relu_before_extra_convs: Activate what the second and later convolutions on top work on.
        no_norm_on_lateral: The norm is for the 3x3 convolutions alone.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms; None is none.
        act_cfg: Config of the activations; None is none.
        upsample_cfg: How maps are enlarged: arguments of `torch.nn.functional.interpolate`.
        bottom_up: Add the finer maps handed out to the coarser ones, by convolutions of stride 2 (PANet's path, Liu et
            al., arXiv:1803.01534).
        init_cfg: How weights are initialised.

    Raises:
        ValueError: levels that do not exist or do not go together.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        *,
        num_outs: int,
        start_level: int = 0,
        end_level: int = -1,
        add_extra_convs: bool | str = False,
        relu_before_extra_convs: bool = False,
        no_norm_on_lateral: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = None,
        upsample_cfg: Cfg = {"mode": "nearest"},  # noqa: B006 (read only, as the next)
        bottom_up: bool = False,
        init_cfg: Any = _XAVIER,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = tuple(in_channels)
        self.out_channels = (out_channels,) * num_outs
        self.levels = pyramid_levels(
            len(in_channels), num_outs, start_level=start_level, end_level=end_level, add_extra_convs=add_extra_convs
        )
        self.relu_before_extra_convs = relu_before_extra_convs
        self.upsample_cfg = dict(upsample_cfg)

        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg, "inplace": False}
        lateral = {**cfgs, "norm_cfg": None} if no_norm_on_lateral else cfgs
        used = self.in_channels[self.levels.begin : self.levels.end]
        top = [out_channels] * self.levels.extra if self.levels.source else []
        if self.levels.source == "on_input" and top:
            top[0] = used[-1]
        self.lateral_convs = nn.ModuleList(ConvModule(channels, out_channels, 1, **lateral) for channels in used)
        self.fpn_convs = nn.ModuleList(ConvModule(out_channels, out_channels, 3, padding=1, **cfgs) for _ in used)
        self.fpn_convs.extend(ConvModule(channels, out_channels, 3, stride=2, padding=1, **cfgs) for channels in top)
        if bottom_up:
            self.downsample_convs, self.pafpn_convs = (
                nn.ModuleList(
                    ConvModule(out_channels, out_channels, 3, stride=stride, padding=1, **cfgs) for _ in used[1:]
                )
                for stride in (2, 1)
            )

    def out_strides(self, in_strides: Sequence[int]) -> tuple[int, ...]:
        """Return the strides of the maps handed out, from those of the maps taken."""
        return self.levels.out_strides(in_strides)

    def forward(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Maps (B, C_i, H_i, W_i) to `num_outs` maps of K channels."""
        self.check_maps(inputs)
        used = inputs[self.levels.begin : self.levels.end]
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, used, strict=True)]
        laterals = top_down(laterals, self.upsample_cfg)
        maps = [conv(x) for conv, x in zip(self.fpn_convs[: len(used)], laterals, strict=True)]
        if hasattr(self, "pafpn_convs"):
            maps = self._bottom_up(maps)
        if self.levels.source is None:
            return *maps, *subsample_on(maps[-1], self.levels.extra)
        source = {"on_input": used, "on_lateral": laterals, "on_output": maps}[self.levels.source][-1]
        return *maps, *convolve_on(source, self.fpn_convs[len(used) :], relu=self.relu_before_extra_convs)

    def _bottom_up(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Add to each map the sum that the finer one became, made smaller; convolve all but the finest once more."""
        sums = [maps[0]]
        for coarser, shrink in zip(maps[1:], self.downsample_convs, strict=True):
            sums.append(coarser + shrink(sums[-1]))
        return [sums[0]] + [conv(x) for conv, x in zip(self.pafpn_convs, sums[1:], strict=True)]


MODELS.register_defaults(FPN, "PAFPN", bottom_up=True)
