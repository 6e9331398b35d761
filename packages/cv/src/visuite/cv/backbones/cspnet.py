"""Cross stage partial networks for classification: CSPDarkNet, CSPResNet and CSPResNeXt.

Shapes: B images, C channels in, c_i channels of stage i, e_i of its inside, H rows, W columns. Stage i of CSPDarkNet
gives (B, c_i, H / 2^(i+1), W / 2^(i+1)), of the others (B, c_i, H / 2^(i+2), W / 2^(i+2)); sides are rounded up.

Names of parameters: stem.conv (of the others than CSPDarkNet stem.0.conv), stages.0.downsample_conv.conv,
stages.0.expand_conv.conv, stages.0.blocks.0.conv1.*, stages.0.transition_conv.conv, stages.0.final_conv.conv.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, Cfg, architecture, check_frozen, chosen
from visuite.cv.backbones.resnet_block import BlockOptions, Bottleneck
from visuite.cv.layers import ConvModule, DarknetBottleneck
from visuite.engine.registry import MODELS


@dataclass(frozen=True)
class CSPArch:
    """The sizes of a network.

    Attributes:
        widths: c_i.
        depths: Blocks of each stage.
        expand: e_i in c_i.
        bottle: The channels inside of a block in those around it, of each stage.
        groups: Of the 3x3 convolutions of stages.
    """

    widths: Sequence[int]
    depths: Sequence[int]
    expand: Sequence[int]
    bottle: Sequence[float]
    groups: int = 1


_DARKNET = CSPArch((64, 128, 256, 512, 1024), (1, 2, 8, 8, 4), (2, 1, 1, 1, 1), (0.5, 1, 1, 1, 1))
_RESNET = CSPArch((128, 256, 512, 1024), (3, 3, 5, 2), (2,) * 4, (0.5,) * 4)
_RESNEXT = CSPArch((256, 512, 1024, 2048), (3, 3, 5, 2), (1,) * 4, (1.0,) * 4, groups=32)


class CSPStage(nn.Module):
    """Blocks on one half of the channels; the other half goes past them (Wang et al., arXiv:1911.11929).

    Args:
        down: Halves the size: (B, c_(i-1), H, W) to (B, c, H / 2, W / 2); `Identity` where the stem did.
        channels: c, in.
        out_channels: c_i, out.
        expanded: e_i.
        blocks: Each (B, e_i / 2, H / 2, W / 2) to the same shape.
        expand_act: Activate what is cut into halves.
        cfgs: `conv_cfg`, `norm_cfg` and `act_cfg` of the convolutions.
    """

    def __init__(
        self,
        down: nn.Module,
        channels: int,
        *,
        out_channels: int,
        expanded: int,
        blocks: Iterable[nn.Module],
        expand_act: bool,
        cfgs: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.downsample_conv = down
        self.expand_conv = ConvModule(channels, expanded, 1, **(cfgs if expand_act else {**cfgs, "act_cfg": None}))
        self.blocks = nn.Sequential(*blocks)
        self.transition_conv = ConvModule(expanded // 2, expanded // 2, 1, **cfgs)
        self.final_conv = ConvModule(expanded, out_channels, 1, **cfgs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, c_(i-1), H, W) to (B, c_i, H / 2, W / 2)."""
        past, through = self.expand_conv(self.downsample_conv(x)).chunk(2, dim=1)
        return self.final_conv(torch.cat((past, self.transition_conv(self.blocks(through))), dim=1))


class CSPNet(Backbone):
    """A network of cross stage partial stages (Wang et al., arXiv:1911.11929).

    It is registered as `CSPDarkNet`, `CSPResNet` and `CSPResNeXt`, each with its `kind`.

    Args:
        kind: Whose blocks and sizes it has: `darknet`, `resnet` or `resnext`.
        depth: 53 of `darknet`, 50 of the others.
        in_channels: C.
        out_indices: Stages whose maps are handed out.
        frozen_stages: Train neither the stem (0) nor the first n stages; -1 trains all.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        norm_eval: Keep the statistics of batch norms as they are while training.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown kind or depth, or stages that do not exist.
    """

    arch_settings: ClassVar[Mapping[str, Mapping[int, CSPArch]]] = {
        "darknet": {53: _DARKNET},
        "resnet": {50: _RESNET},
        "resnext": {50: _RESNEXT},
    }

    def __init__(
        self,
        kind: str,
        depth: int,
        in_channels: int = 3,
        *,
        out_indices: int | Sequence[int],
        frozen_stages: int = -1,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = {"type": "BN", "eps": 1e-5},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg = {"type": "LeakyReLU", "inplace": True},  # noqa: B006
        norm_eval: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, init_cfg=init_cfg)
        arch = architecture(architecture(self.arch_settings, kind, "CSPNet"), depth, f"CSPNet of {kind}s")
        self.out_indices = chosen(out_indices, len(arch.widths))
        self.frozen_stages = check_frozen(frozen_stages, -1, len(arch.widths))

        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        is_darknet = kind == "darknet"
        if is_darknet:
            width, stride = 32, 1
            self.stem: nn.Module = ConvModule(in_channels, width, 3, padding=1, **cfgs)
        else:
            width, stride = 64, 4
            conv = ConvModule(in_channels, width, 7, stride=2, padding=3, **cfgs)
            self.stem = nn.Sequential(conv, nn.MaxPool2d(3, stride=2, padding=1))
        self.stages = nn.ModuleList()
        strides = []
        for index, (wide, count) in enumerate(zip(arch.widths, arch.depths, strict=True)):
            down: nn.Module = nn.Identity()
            if is_darknet or index > 0:
                stride *= 2
                before, width = width, wide if is_darknet else width
                down = ConvModule(before, width, 3, stride=2, padding=1, groups=arch.groups, **cfgs)
            expanded = wide * arch.expand[index]
            half, bottle = expanded // 2, arch.bottle[index]
            stage = CSPStage(
                down,
                width,
                out_channels=wide,
                expanded=expanded,
                blocks=(
                    DarknetBottleneck(half, half, expansion=bottle, **cfgs)
                    if is_darknet
                    else _bottleneck(half, bottle, arch.groups, cfgs)
                    for _ in range(count)
                ),
                expand_act=is_darknet,
                cfgs=cfgs,
            )
            self.stages.append(stage)
            strides.append(stride)
            width = wide
        self.out_channels = tuple(arch.widths[index] for index in self.out_indices)
        self.out_strides = tuple(strides[index] for index in self.out_indices)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, C, H, W) to one map for each of `out_indices`, as the file's head says."""
        x = self.stem(x)
        maps = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the stem and the first stages."""
        return () if self.frozen_stages < 0 else (self.stem, *self.stages[: self.frozen_stages])


MODELS.register_defaults(CSPNet, "CSPDarkNet", kind="darknet", out_indices=(4,))
MODELS.register_defaults(CSPNet, "CSPResNet", kind="resnet", out_indices=(3,))
MODELS.register_defaults(CSPNet, "CSPResNeXt", kind="resnext", out_indices=(3,))


def _bottleneck(channels: int, bottle: float, groups: int, cfgs: Mapping[str, Any]) -> Bottleneck:
    """Return a residual block, (B, channels, H, W) to the same shape."""
    inside = int(channels * bottle)
    return Bottleneck(channels, inside, options=BlockOptions(expansion=channels // inside, groups=groups, **cfgs))
