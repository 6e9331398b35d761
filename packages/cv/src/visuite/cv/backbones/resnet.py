"""ResNet, in all the variants that configs name.

Shapes: B images, C channels in, K base channels, E the block's expansion, H rows, W columns. Stage i = 0..3 gives
(B, K * 2^i * E, H / s_i, W / s_i), where s_i is 4 times the strides up to i (ResNet_CIFAR: these alone).

Names of parameters: conv1, bn1, layer1.0.conv1, layer1.0.bn1, ..., layer4.*; a deep stem is `stem`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, chosen
from visuite.cv.backbones.resnet_block import BasicBlock, BlockOptions, Bottleneck, Cfg, make_shortcut, make_stage
from visuite.cv.layers import ConvModule, plugins_of_stage
from visuite.engine.registry import MODELS


@MODELS.register_module()
class ResNet(Backbone):
    """Deep residual network (He et al., arXiv:1512.03385; variants C and D: arXiv:1812.01187).

    By other names it is registered with other defaults: `ResNetV1c` with `deep_stem=True`, `ResNetV1d` with
    `avg_down=True` too, `ResNeXt` (arXiv:1611.05431) with `groups=32, width_per_group=4`, `SEResNet`
    (arXiv:1709.01507) with `se_ratio=16`, `SEResNeXt` with both.

    Args:
        depth: 18, 34, 50, 101 or 152.
        in_channels: C.
        stem_channels: Channels of the stem; by default `base_channels`.
        base_channels: K.
        expansion: E; by default 1 below depth 50, else 4. Wide ResNets have 2, and twice the `base_channels`.
        num_stages: How many of the four stages there are.
        strides: Of each stage.
        dilations: Of each stage.
        out_indices: Stages whose maps are handed out.
        style: `pytorch` strides in the 3x3 convolution of a bottleneck, `caffe` in the 1x1 before it.
        deep_stem: Three 3x3 convolutions in the stem instead of one 7x7.
        avg_down: Shortcuts pool, then convolve without stride.
        frozen_stages: Train neither the stem (0) nor the first n stages; -1 trains all.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        norm_eval: Keep the statistics of batch norms as they are while training.
        dcn: Config of deformable convolutions, in the stages that `stage_with_dcn` says.
        stage_with_dcn: One flag for each stage.
        plugins: `dict(cfg=..., stages=(bool, ...), position='after_conv1|2|3')` each.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        zero_init_residual: Blocks start as their shortcuts.
        multi_grid: Dilations of the blocks of the last stage, in place of that stage's own.
        contract_dilation: Halve the dilation of the first block of each dilated stage.
        drop_path_rate: The chance of a sample to lose a block's residual, for all stages or for each.
        groups: Of the 3x3 convolutions of bottlenecks.
        width_per_group: With several groups, the channels of each in the first stage; it doubles with each stage.
        base_width: The same by the name that detection's configs use.
        se_ratio: By how much squeeze-and-excitation narrows the channels of a block; None is none.
        block_options: Where the options of blocks start from, for networks whose blocks have more of them.
        key_style: Whose names a deep stem and pooled shortcuts have in state dicts: `dense` (detection and
            segmentation) or `cls`.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown depth or style, lists of unequal length, or stages that do not exist.
    """

    arch_settings: ClassVar[Mapping[int, tuple[type[BasicBlock | Bottleneck], tuple[int, ...]]]] = {
        18: (BasicBlock, (2, 2, 2, 2)),
        34: (BasicBlock, (3, 4, 6, 3)),
        50: (Bottleneck, (3, 4, 6, 3)),
        101: (Bottleneck, (3, 4, 23, 3)),
        152: (Bottleneck, (3, 8, 36, 3)),
    }
    stem_stride: ClassVar[int] = 4

    def __init__(
        self,
        depth: int,
        in_channels: int = 3,
        *,
        stem_channels: int | None = None,
        base_channels: int = 64,
        expansion: int | None = None,
        num_stages: int = 4,
        strides: Sequence[int] = (1, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        style: str = "pytorch",
        deep_stem: bool = False,
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
        multi_grid: Sequence[int] | None = None,
        contract_dilation: bool = False,
        drop_path_rate: float | Sequence[float] = 0.0,
        groups: int = 1,
        width_per_group: int | None = None,
        base_width: int | None = None,
        se_ratio: int | None = None,
        block_options: BlockOptions | None = None,
        key_style: str = "dense",
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, pretrained=pretrained, init_cfg=init_cfg)
        self.block, blocks = self._architecture(depth, num_stages)
        _check_stages(num_stages, strides=strides, dilations=dilations)
        if key_style not in ("dense", "cls"):
            raise ValueError(f"key_style {key_style!r} is neither 'dense' nor 'cls'")
        self.depth = depth
        self.deep_stem = deep_stem
        self.out_indices = chosen(out_indices, num_stages)
        self.frozen_stages = frozen_stages

        shared = replace(
            block_options or BlockOptions(),
            style=style,
            with_cp=with_cp,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg or {"type": "BN", "requires_grad": True},
            zero_init_residual=zero_init_residual,
            expansion=expansion,
            groups=groups,
            width=_inner_width(groups, base_width if width_per_group is None else width_per_group, base_channels),
            se_ratio=se_ratio,
        )
        stem_channels = stem_channels or base_channels
        self._make_stem(in_channels, stem_channels, shared, as_modules=key_style == "cls")
        self.res_layers: list[str] = []
        width = stem_channels
        for index in range(num_stages):
            channels = base_channels * 2**index
            wide = channels * self.block.expansion_of(shared)
            options = replace(
                shared,
                dcn=dcn if stage_with_dcn[index] else None,
                plugins=plugins_of_stage(plugins, index, num_stages),
                drop_path_rate=drop_path_rate if isinstance(drop_path_rate, (int, float)) else drop_path_rate[index],
            )
            grid = multi_grid if index == num_stages - 1 else None
            shortcut = make_shortcut(
                width,
                wide,
                strides[index],
                options=options,
                avg_down=avg_down,
                always_pool=key_style == "dense",
            )
            stage = make_stage(
                self.block,
                width,
                channels,
                stride=strides[index],
                dilations=_block_dilations(blocks[index], dilations[index], grid, contract=contract_dilation),
                options=options,
                shortcut=shortcut,
            )
            self.res_layers.append(f"layer{index + 1}")
            self.add_module(self.res_layers[-1], stage)
            width = wide

        self.out_channels = tuple(width // 2 ** (num_stages - 1 - i) for i in self.out_indices)
        self.out_strides = tuple(self.stem_stride * math.prod(strides[: i + 1]) for i in self.out_indices)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, C, H, W) to one map for each of `out_indices`, as the file's head says."""
        x = self.forward_stem(x)
        maps = []
        for index, name in enumerate(self.res_layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)

    @property
    def norm1(self) -> nn.Module:
        """The norm of a plain stem."""
        return getattr(self, self.norm1_name)

    def _make_stem(self, in_channels: int, channels: int, options: BlockOptions, *, as_modules: bool) -> None:
        if self.deep_stem:
            self.stem = _deep_stem(in_channels, channels, options, as_modules=as_modules)
        else:
            self.conv1 = options.conv(in_channels, channels, 7, stride=2, padding=3)
            self.norm1_name, norm = options.norm(channels, postfix=1)
            self.add_module(self.norm1_name, norm)
            self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)

    def forward_stem(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, stem_channels, H / 4, W / 4)."""
        return self.maxpool(self.stem(x) if self.deep_stem else self.relu(self.norm1(self.conv1(x))))

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the stem and the first stages."""
        if self.frozen_stages < 0:
            return ()
        stem = (self.stem,) if self.deep_stem else (self.conv1, self.norm1)
        return *stem, *(getattr(self, name) for name in self.res_layers[: self.frozen_stages])

    @classmethod
    def _architecture(cls, depth: int, num_stages: int) -> tuple[type[BasicBlock | Bottleneck], tuple[int, ...]]:
        if depth not in cls.arch_settings:
            raise ValueError(f"{cls.__name__} has no depth {depth}, only {sorted(cls.arch_settings)}")
        block, blocks = cls.arch_settings[depth]
        if not 1 <= num_stages <= len(blocks):
            raise ValueError(f"num_stages is 1 to {len(blocks)}, not {num_stages}")
        return block, blocks


@MODELS.register_module()
class ResNet_CIFAR(ResNet):
    """ResNet for images of 32x32 pixels: its stem is one 3x3 convolution without stride, and no pooling.

    Raises:
        ValueError: it is asked for a deep stem.
    """

    stem_stride = 1

    def _make_stem(self, in_channels: int, channels: int, options: BlockOptions, *, as_modules: bool) -> None:
        if self.deep_stem:
            raise ValueError("ResNet_CIFAR has no deep stem")
        self.conv1 = options.conv(in_channels, channels, 3, stride=1, padding=1)
        self.norm1_name, norm = options.norm(channels, postfix=1)
        self.add_module(self.norm1_name, norm)
        self.relu = nn.ReLU(inplace=True)

    def forward_stem(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, stem_channels, H, W)."""
        return self.relu(self.norm1(self.conv1(x)))


MODELS.register_defaults(ResNet, "ResNetV1c", deep_stem=True)
MODELS.register_defaults(ResNet, "ResNetV1d", deep_stem=True, avg_down=True)
MODELS.register_defaults(ResNet, "ResNeXt", groups=32, width_per_group=4)
MODELS.register_defaults(ResNet, "SEResNet", se_ratio=16)
MODELS.register_defaults(ResNet, "SEResNeXt", se_ratio=16, groups=32, width_per_group=4)


def _inner_width(groups: int, per_group: int | None, base_channels: int) -> float:
    """Return the channels inside a bottleneck, in those of its stage."""
    return groups * per_group / base_channels if groups > 1 and per_group is not None else 1.0


def _check_stages(num_stages: int, **lists: Sequence[int]) -> None:
    for name, values in lists.items():
        if len(values) < num_stages:
            raise ValueError(f"{name} {tuple(values)} has fewer entries than the {num_stages} stages")


def _block_dilations(blocks: int, dilation: int, multi_grid: Sequence[int] | None, *, contract: bool) -> list[int]:
    """Return the dilation of each block of a stage."""
    if multi_grid is not None:
        if len(multi_grid) < blocks:
            raise ValueError(f"multi_grid {tuple(multi_grid)} has fewer entries than the {blocks} blocks")
        return list(multi_grid[:blocks])
    first = dilation // 2 if contract and dilation > 1 else dilation
    return [first] + [dilation] * (blocks - 1)


def _deep_stem(in_channels: int, channels: int, options: BlockOptions, *, as_modules: bool) -> nn.Sequential:
    """Three 3x3 convolutions, the first with stride 2: (B, C, H, W) to (B, channels, H / 2, W / 2)."""
    half = channels // 2
    layers: list[nn.Module] = []
    for wide_in, wide_out, stride in ((in_channels, half, 2), (half, half, 1), (half, channels, 1)):
        if as_modules:
            cfgs = {"conv_cfg": options.conv_cfg, "norm_cfg": dict(options.norm_cfg)}
            layers.append(ConvModule(wide_in, wide_out, 3, stride=stride, padding=1, **cfgs))  # type: ignore[arg-type]
        else:
            conv = options.conv(wide_in, wide_out, 3, stride=stride, padding=1)
            layers += [conv, options.norm(wide_out)[1], nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
