"""RegNet: residual networks whose widths grow along a line.

Shapes: B images, C channels in, H rows, W columns. Stage i = 0..3 gives (B, widths[i], H / s_i, W / s_i), where s_i is
2 times the strides up to i.

Names of parameters are those of ResNet: conv1, bn1, layer1.0.conv1, ..., layer4.*.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, Cfg, architecture, check_frozen, chosen, custom_architecture
from visuite.cv.backbones.resnet_block import BlockOptions, Bottleneck, make_shortcut, make_stage
from visuite.cv.layers import plugins_of_stage
from visuite.engine.registry import MODELS

_KEYS = ("w0", "wa", "wm", "depth", "group_w", "bot_mul")
_STAGE_KEYS = ("widths", "depths", "group_w", "bot_mul")


def _row(w0: int, wa: float, wm: float, group_w: int, depth: int) -> Cfg:
    return dict(zip(_KEYS, (w0, wa, wm, depth, group_w, 1.0), strict=True))


@MODELS.register_module()
class RegNet(Backbone):
    """A network from the design space RegNetX (Radosavovic et al., arXiv:2003.13678).

    Args:
        arch: `regnetx_400mf` to `regnetx_32gf`, or a dict of `w0` (the first width), `wa` (its growth by block), `wm`
            (the ratio of widths between stages), `depth` (blocks), `group_w` (channels of a group) and `bot_mul`
            (channels inside a block, in those outside); or of `widths` and `depths` by stage, `group_w` and `bot_mul`,
            for networks that were rounded otherwise: torchvision's of 400 MF ends in 400 channels.
        in_channels: C.
        stem_channels: Channels of the stem.
        strides: Of each stage.
        dilations: Of each stage.
        out_indices: Stages whose maps are handed out.
        style: `pytorch` strides in the 3x3 convolution of a block, `caffe` in the 1x1 before it.
        avg_down: Shortcuts pool, then convolve without stride.
        frozen_stages: Train neither the stem (0) nor the first n stages; -1 trains all.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        norm_eval: Keep the statistics of batch norms as they are while training.
        dcn: Config of deformable convolutions, in the stages that `stage_with_dcn` says.
        stage_with_dcn: One flag for each stage.
        plugins: As for `ResNet`.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        zero_init_residual: Blocks start as their shortcuts.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown architecture or style, or stages that do not exist.
    """

    arch_settings: ClassVar[Mapping[str, Cfg]] = {
        "regnetx_200mf": _row(24, 36.44, 2.49, 8, 13),
        "regnetx_400mf": _row(24, 24.48, 2.54, 16, 22),
        "regnetx_600mf": _row(48, 36.97, 2.24, 24, 16),
        "regnetx_800mf": _row(56, 35.73, 2.28, 16, 16),
        "regnetx_1.6gf": _row(80, 34.01, 2.25, 24, 18),
        "regnetx_3.2gf": _row(88, 26.31, 2.25, 48, 25),
        "regnetx_4.0gf": _row(96, 38.65, 2.43, 40, 23),
        "regnetx_6.4gf": _row(184, 60.83, 2.07, 56, 17),
        "regnetx_8.0gf": _row(80, 49.56, 2.88, 120, 23),
        "regnetx_12gf": _row(168, 73.36, 2.37, 112, 19),
        "regnetx_16gf": _row(216, 55.59, 2.1, 128, 22),
        "regnetx_32gf": _row(320, 69.86, 2.0, 168, 23),
    }

    def __init__(
        self,
        arch: str | Cfg,
        in_channels: int = 3,
        *,
        stem_channels: int = 32,
        strides: Sequence[int] = (2, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        out_indices: int | Sequence[int] = (0, 1, 2, 3),
        style: str = "pytorch",
        avg_down: bool = False,
        frozen_stages: int = -1,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        norm_eval: bool = False,
        dcn: Cfg | None = None,
        stage_with_dcn: Sequence[bool] = (False, False, False, False),
        plugins: Sequence[Cfg] | None = None,
        with_cp: bool = False,
        zero_init_residual: bool = True,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, pretrained=pretrained, init_cfg=init_cfg)
        if isinstance(arch, str):
            settings = architecture(self.arch_settings, arch, "RegNet")
        else:
            settings = custom_architecture(arch, _STAGE_KEYS if "widths" in arch else _KEYS, "RegNet")
        self.widths, self.depths, groups = (fit_groups if "widths" in settings else stage_shapes)(**settings)
        stages = len(self.widths)
        for name, values in {"strides": strides, "dilations": dilations, "stage_with_dcn": stage_with_dcn}.items():
            if len(values) < stages:
                raise ValueError(f"{name} {tuple(values)} has fewer entries than the {stages} stages")
        self.out_indices = chosen(out_indices, stages)
        self.frozen_stages = check_frozen(frozen_stages, -1, stages)

        shared: dict[str, Any] = {
            "style": style,
            "with_cp": with_cp,
            "conv_cfg": conv_cfg,
            "norm_cfg": norm_cfg or {"type": "BN", "requires_grad": True},
            "zero_init_residual": zero_init_residual,
            "expansion": 1,
            "width": settings["bot_mul"],
        }
        stem = BlockOptions(**shared)
        self.conv1 = stem.conv(in_channels, stem_channels, 3, stride=2, padding=1)
        self.norm1_name, norm = stem.norm(stem_channels, postfix=1)
        self.add_module(self.norm1_name, norm)
        self.relu = nn.ReLU(inplace=True)
        width = stem_channels
        for index in range(stages):
            options = BlockOptions(
                **shared,
                groups=groups[index],
                dcn=dcn if stage_with_dcn[index] else None,
                plugins=plugins_of_stage(plugins, index, stages),
            )
            shortcut = make_shortcut(
                width, self.widths[index], strides[index], options=options, avg_down=avg_down, always_pool=True
            )
            stage = make_stage(
                Bottleneck,
                width,
                self.widths[index],
                stride=strides[index],
                dilations=[dilations[index]] * self.depths[index],
                options=options,
                shortcut=shortcut,
            )
            self.add_module(f"layer{index + 1}", stage)
            width = self.widths[index]
        self.out_channels = tuple(self.widths[index] for index in self.out_indices)
        self.out_strides = tuple(2 * math.prod(strides[: index + 1]) for index in self.out_indices)
        self.hold_frozen()

    @property
    def norm1(self) -> nn.Module:
        """The norm of the stem."""
        return getattr(self, self.norm1_name)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, C, H, W) to one map for each of `out_indices`, as the file's head says."""
        x = self.relu(self.norm1(self.conv1(x)))
        maps = []
        for index in range(len(self.widths)):
            x = getattr(self, f"layer{index + 1}")(x)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the stem and the first stages."""
        if self.frozen_stages < 0:
            return ()
        stages = (getattr(self, f"layer{index + 1}") for index in range(self.frozen_stages))
        return self.conv1, self.norm1, *stages


_Shapes = tuple[list[int], list[int], list[int]]


def stage_shapes(
    w0: float, wa: float, wm: float, depth: int, group_w: int, bot_mul: float = 1.0, divisor: int = 8
) -> _Shapes:
    """Return the widths, depths and groups of the stages (arXiv:2003.13678, equations 2 to 4).

    Block j would be `w0 + wa * j` wide; it gets the nearest `w0 * wm ** k`, in multiples of `divisor`, and blocks
    of one width make a stage.
    """
    wanted = [w0 + wa * block for block in range(depth)]
    powers = [round(math.log(width / w0) / math.log(wm)) for width in wanted]
    quantised = [round(w0 * wm**power / divisor) * divisor for power in powers]
    widths = sorted(set(quantised))
    return fit_groups(widths, [quantised.count(width) for width in widths], group_w, bot_mul)


def fit_groups(widths: Sequence[int], depths: Sequence[int], group_w: int, bot_mul: float = 1.0) -> _Shapes:
    """Return widths rounded so that the channels inside blocks are whole groups, the depths, and the groups."""
    fitted, groups = [], []
    for width in widths:
        size = int(min(group_w, width * bot_mul))
        groups.append(round(width * bot_mul / size))
        fitted.append(int(groups[-1] * size / bot_mul))
    return fitted, list(depths), groups
