"""Darknet-53, the backbone of YOLOv3.

Shapes: B images, C channels in, H rows, W columns. Map i = 0..5 is (B, 32 * 2^i, H / 2^i, W / 2^i), sides rounded up.

Names of parameters: conv1.conv, conv_res_block1.conv.conv, conv_res_block1.res0.conv1.conv, ..., conv_res_block5.*.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, Cfg, architecture, check_frozen, chosen
from visuite.cv.layers import ConvModule, DarknetBottleneck
from visuite.engine.registry import MODELS


@MODELS.register_module()
class Darknet(Backbone):
    """Convolutions of stride 2, each with residual blocks behind it (Redmon and Farhadi, arXiv:1804.02767).

    Args:
        depth: 53.
        in_channels: C.
        out_indices: Maps handed out; 0 is that of the first convolution.
        frozen_stages: Train none of the first n maps' layers; 0 and -1 train all.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        norm_eval: Keep the statistics of batch norms as they are while training.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown depth, or maps that do not exist.
    """

    arch_settings: ClassVar[Mapping[int, Sequence[int]]] = {53: (1, 2, 8, 8, 4)}

    def __init__(
        self,
        depth: int = 53,
        in_channels: int = 3,
        *,
        out_indices: int | Sequence[int] = (3, 4, 5),
        frozen_stages: int = -1,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = {"type": "BN", "requires_grad": True},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg = {"type": "LeakyReLU", "negative_slope": 0.1},  # noqa: B006
        norm_eval: bool = True,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, pretrained=pretrained, init_cfg=init_cfg)
        blocks = architecture(self.arch_settings, depth, "Darknet")
        self.out_indices = chosen(out_indices, len(blocks) + 1)
        self.frozen_stages = check_frozen(frozen_stages, -1, len(blocks) + 1)

        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        widths = [32 * 2**index for index in range(len(blocks) + 1)]
        self.conv1 = ConvModule(in_channels, widths[0], 3, padding=1, **cfgs)
        self.cr_blocks = ["conv1"]
        for index, count in enumerate(blocks, start=1):
            wide = widths[index]
            stage: OrderedDict[str, nn.Module] = OrderedDict()
            stage["conv"] = ConvModule(widths[index - 1], wide, 3, stride=2, padding=1, **cfgs)
            for block in range(count):
                stage[f"res{block}"] = DarknetBottleneck(wide, wide, **cfgs)
            self.cr_blocks.append(f"conv_res_block{index}")
            self.add_module(self.cr_blocks[-1], nn.Sequential(stage))
        self.out_channels = tuple(widths[index] for index in self.out_indices)
        self.out_strides = tuple(2**index for index in self.out_indices)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, C, H, W) to one map for each of `out_indices`, as the file's head says."""
        maps = []
        for index, name in enumerate(self.cr_blocks):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the layers of the first maps."""
        return tuple(getattr(self, name) for name in self.cr_blocks[: max(self.frozen_stages, 0)])
