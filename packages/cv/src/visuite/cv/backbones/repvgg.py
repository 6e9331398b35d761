"""RepVGG.

Shapes: B images, C channels in, K base channels, H rows, W columns. Stage i = 0..3 gives (B, K * 2^i * widths[i],
H / s_i, W / s_i), where s_i is 2 times the strides up to i.

Names of parameters: stem.branch_3x3.conv, stem.branch_3x3.norm, stem.branch_1x1.*, stage_1.0.*, stage_1.1.branch_norm,
..., stage_4.*; after `switch_to_deploy` stem.branch_reparam, ...
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, Cfg, architecture, check_frozen, chosen, custom_architecture
from visuite.cv.layers import RepVGGBlock
from visuite.engine.registry import MODELS

_KEYS = ("num_blocks", "width_factor")
_A, _B, _D = (2, 4, 14, 1), (4, 6, 16, 1), (8, 14, 24, 1)


def _row(blocks: Sequence[int], width: float, last: float, groups: int = 1, se_cfg: Cfg | None = None) -> Cfg:
    return {"num_blocks": blocks, "width_factor": (width, width, width, last), "groups": groups, "se_cfg": se_cfg}


@MODELS.register_module()
class RepVGG(Backbone):
    """Trained with three branches in each layer, used as a plain stack of 3x3 convolutions (arXiv:2101.03697).

    Args:
        arch: `A0` to `A2`, `B0` to `B3` (with `g2` or `g4` behind from `B1` on: layers in groups), `D2se`; or a dict of
            `num_blocks` and `width_factor`, by stage, and perhaps `groups` (of every second layer) and `se_cfg`.
        in_channels: C.
        base_channels: K.
        out_indices: Stages whose maps are handed out.
        strides: Of each stage.
        dilations: Of each stage.
        frozen_stages: Train neither the stem (0) nor the first n stages; -1 trains all.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        norm_eval: Keep the statistics of batch norms as they are while training.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        deploy: Begin as the stack that `switch_to_deploy` makes.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown architecture, or stages that do not exist.
    """

    arch_settings: ClassVar[Mapping[str, Cfg]] = {
        "A0": _row(_A, 0.75, 2.5),
        "A1": _row(_A, 1.0, 2.5),
        "A2": _row(_A, 1.5, 2.75),
        "B0": _row(_B, 1.0, 2.5),
        "B1": _row(_B, 2.0, 4.0),
        "B1g2": _row(_B, 2.0, 4.0, 2),
        "B1g4": _row(_B, 2.0, 4.0, 4),
        "B2": _row(_B, 2.5, 5.0),
        "B2g2": _row(_B, 2.5, 5.0, 2),
        "B2g4": _row(_B, 2.5, 5.0, 4),
        "B3": _row(_B, 3.0, 5.0),
        "B3g2": _row(_B, 3.0, 5.0, 2),
        "B3g4": _row(_B, 3.0, 5.0, 4),
        "D2se": _row(_D, 2.5, 5.0, se_cfg={"ratio": 16, "divisor": 1}),
    }

    def __init__(
        self,
        arch: str | Cfg = "A0",
        in_channels: int = 3,
        *,
        base_channels: int = 64,
        out_indices: int | Sequence[int] = (3,),
        strides: Sequence[int] = (2, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        frozen_stages: int = -1,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = {"type": "BN"},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg = {"type": "ReLU"},  # noqa: B006
        norm_eval: bool = False,
        with_cp: bool = False,
        deploy: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, init_cfg=init_cfg)
        if isinstance(arch, str):
            settings = architecture(self.arch_settings, arch, "RepVGG")
        else:
            settings = custom_architecture(arch, _KEYS, "RepVGG")
        blocks, factors = settings["num_blocks"], settings["width_factor"]
        lengths = {len(one) for one in (blocks, factors, strides, dilations)}
        if len(lengths) > 1:
            raise ValueError(f"num_blocks, width_factor, strides and dilations of RepVGG differ in length: {lengths}")
        self.deploy = deploy
        self.out_indices = chosen(out_indices, len(blocks))
        self.frozen_stages = check_frozen(frozen_stages, -1, len(blocks))

        shared: dict[str, Any] = {
            "se_cfg": settings.get("se_cfg"),
            "with_cp": with_cp,
            "conv_cfg": conv_cfg,
            "norm_cfg": norm_cfg,
            "act_cfg": act_cfg,
            "deploy": deploy,
        }
        width = min(64, int(base_channels * factors[0]))
        self.stem = RepVGGBlock(in_channels, width, stride=2, **shared)
        self.stages: list[str] = []
        widths, layers = [], 1
        for index, count in enumerate(blocks):
            stage = nn.Sequential()
            wide = int(base_channels * 2**index * factors[index])
            for block in range(count):
                one = RepVGGBlock(
                    width,
                    wide,
                    stride=strides[index] if block == 0 else 1,
                    padding=dilations[index],
                    dilation=dilations[index],
                    groups=settings.get("groups", 1) if layers % 2 == 0 else 1,
                    **shared,
                )
                stage.append(one)
                width, layers = wide, layers + 1
            self.stages.append(f"stage_{index + 1}")
            self.add_module(self.stages[-1], stage)
            widths.append(width)
        self.out_channels = tuple(widths[index] for index in self.out_indices)
        self.out_strides = tuple(2 * math.prod(strides[: index + 1]) for index in self.out_indices)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, C, H, W) to one map for each of `out_indices`, as the file's head says."""
        x = self.stem(x)
        maps = []
        for index, name in enumerate(self.stages):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def switch_to_deploy(self) -> None:
        """Make one convolution of the branches of each layer, for good."""
        for part in self.modules():
            if isinstance(part, RepVGGBlock):
                part.switch_to_deploy()
        self.deploy = True
        self.hold_frozen()

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the stem and the first stages."""
        if self.frozen_stages < 0:
            return ()
        return self.stem, *(getattr(self, name) for name in self.stages[: self.frozen_stages])
