"""What the backbones of CSP layers share: a stem, and four or five stages of one make.

Shapes: B images, C channels in, H rows, W columns. Map i = 0, 1, ... is (B, c_i, H / 2^(i+1), W / 2^(i+1)), its sides
rounded up; 0 is the stem's, the others are the stages'.

Names of parameters: stem.*, stage1.0.conv, stage1.1.main_conv.conv, ...; in a stage that pools over several ranges,
stage4.1.conv1.conv, stage4.2.main_conv.conv.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, architecture, check_frozen, chosen
from visuite.cv.layers import LIKE_TORCH, ConvModule, CSPLayer, DepthwiseSeparableConvModule, SPPBottleneck

#: A stage: channels in, channels out, blocks, whether blocks have shortcuts, whether it pools over several ranges.
Stage = tuple[int, int, int, bool, bool]

_WIDTHS = {"P5": (64, 128, 256, 512, 1024), "P6": (64, 128, 256, 512, 768, 1024)}


def arch_table(blocks: int) -> dict[str, tuple[Stage, ...]]:
    """Return the stages of `P5` and `P6`.

    The second and third have so many blocks, the others three; the last has no shortcuts, and pools over ranges.
    """
    return {
        name: tuple(
            (before, behind, blocks if index in (1, 2) else 3, index < len(widths) - 2, index == len(widths) - 2)
            for index, (before, behind) in enumerate(pairwise(widths))
        )
        for name, widths in _WIDTHS.items()
    }


def csp_stage(
    in_channels: int,
    out_channels: int,
    *,
    use_depthwise: bool,
    spp_kernel_sizes: Sequence[int] | None,
    csp: Mapping[str, Any],
    cfgs: Mapping[str, Any],
) -> list[nn.Module]:
    """Return a convolution with stride 2, perhaps an `SPPBottleneck`, and a `CSPLayer`.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        use_depthwise: Make the 3x3 convolutions depthwise separable ones.
        spp_kernel_sizes: Ranges to pool over; None does not.
        csp: More arguments of `CSPLayer`.
        cfgs: `conv_cfg`, `norm_cfg` and `act_cfg` of the convolutions.
    """
    down = DepthwiseSeparableConvModule if use_depthwise else ConvModule
    modules: list[nn.Module] = [down(in_channels, out_channels, 3, stride=2, padding=1, **cfgs)]
    if spp_kernel_sizes is not None:
        modules.append(SPPBottleneck(out_channels, out_channels, kernel_sizes=spp_kernel_sizes, **cfgs))
    return [*modules, CSPLayer(out_channels, out_channels, use_depthwise=use_depthwise, **csp, **cfgs)]


class CSPBackbone(Backbone):
    """A stem, and stages as `csp_stage` makes them.

    Args:
        arch: A name in `arch_settings`.
        stages: The stages in full, in place of those that `arch` names.
        make_stem: Makes the stem, from its channels out.
        deepen_factor: Factor of the numbers of blocks.
        widen_factor: Factor of the channels.
        out_indices: Maps handed out; 0 is the stem's.
        frozen_stages: Train neither the stem (0) nor the first n stages; -1 trains all.
        use_depthwise: Make the 3x3 convolutions of stages depthwise separable ones.
        spp_kernel_sizes: The ranges.
        csp: More arguments of `CSPLayer`.
        cfgs: `conv_cfg`, `norm_cfg` and `act_cfg` of the convolutions.
        norm_eval: Keep the statistics of batch norms as they are while training.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown architecture, or stages that do not exist.
    """

    arch_settings: ClassVar[Mapping[str, Sequence[Stage]]]

    def __init__(
        self,
        arch: str,
        stages: Sequence[Stage] | None,
        *,
        make_stem: Callable[[int], nn.Module],
        deepen_factor: float,
        widen_factor: float,
        out_indices: int | Sequence[int],
        frozen_stages: int,
        use_depthwise: bool,
        spp_kernel_sizes: Sequence[int],
        csp: Mapping[str, Any],
        cfgs: Mapping[str, Any],
        norm_eval: bool,
        init_cfg: Any,
    ) -> None:
        super().__init__(norm_eval=norm_eval, init_cfg=LIKE_TORCH if init_cfg is None else init_cfg)
        stages = stages or architecture(self.arch_settings, arch, type(self).__name__)
        self.out_indices = chosen(out_indices, len(stages) + 1)
        self.frozen_stages = check_frozen(frozen_stages, -1, len(stages))

        widths = [int(stages[0][0] * widen_factor)]
        self.stem = make_stem(widths[0])
        self.layers = ["stem"]
        for index, (_, out_channels, blocks, add_identity, use_spp) in enumerate(stages, start=1):
            wide = int(out_channels * widen_factor)
            num_blocks = max(round(blocks * deepen_factor), 1)
            stage = csp_stage(
                widths[-1],
                wide,
                use_depthwise=use_depthwise,
                spp_kernel_sizes=spp_kernel_sizes if use_spp else None,
                csp={"num_blocks": num_blocks, "add_identity": add_identity, **csp},
                cfgs=cfgs,
            )
            self.layers.append(f"stage{index}")
            self.add_module(self.layers[-1], nn.Sequential(*stage))
            widths.append(wide)
        self.out_channels = tuple(widths[index] for index in self.out_indices)
        self.out_strides = tuple(2 ** (index + 1) for index in self.out_indices)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, C, H, W) to one map for each of `out_indices`, as the file's head says."""
        maps = []
        for index, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the stem and the first stages."""
        return tuple(getattr(self, name) for name in self.layers[: self.frozen_stages + 1])
