"""ShuffleNetV2.

Shapes: B images, C channels in, H rows, W columns. Stage i = 0..2 gives (B, c_i, H / 2^(i+3), W / 2^(i+3)); stage 3 is
one more convolution, (B, c_3, H / 32, W / 32).

Names of parameters: conv1.conv, conv1.bn, layers.0.0.branch1.0.conv, layers.0.0.branch2.0.conv, ..., layers.3.conv.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, Cfg, architecture, check_frozen, chosen
from visuite.cv.layers import ConvModule, recompute
from visuite.engine.registry import MODELS

_BLOCKS = (4, 8, 4)


def channel_shuffle(x: torch.Tensor, groups: int) -> torch.Tensor:
    """Let channels of (B, C, H, W) take turns by group: the first of each group, the second of each, ...

    Raises:
        ValueError: C is no multiple of `groups`.
    """
    if x.shape[1] % groups:
        raise ValueError(f"{x.shape[1]} channels do not make {groups} groups")
    batch, channels, rows, columns = x.shape
    return x.reshape(batch, groups, channels // groups, rows, columns).transpose(1, 2).flatten(1, 2)


class ShuffleBlock(nn.Module):
    """Convolve one half of the channels and shuffle it with the other; with a stride, convolve both.

    Args:
        in_channels: Channels in.
        out_channels: Channels out, an even number.
        stride: 1 or 2; 1 keeps the channels.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        cfgs: `conv_cfg`, `norm_cfg` and `act_cfg` of its layers.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, with_cp: bool, cfgs: Mapping[str, Any]
    ) -> None:
        super().__init__()
        half = out_channels // 2
        self.with_cp = with_cp
        self.splits = stride == 1
        linear = {**cfgs, "act_cfg": None}
        if not self.splits:
            self.branch1 = nn.Sequential(
                ConvModule(in_channels, in_channels, 3, stride=stride, padding=1, groups=in_channels, **linear),
                ConvModule(in_channels, half, 1, **cfgs),
            )
        self.branch2 = nn.Sequential(
            ConvModule(half if self.splits else in_channels, half, 1, **cfgs),
            ConvModule(half, half, 3, stride=stride, padding=1, groups=half, **linear),
            ConvModule(half, half, 1, **cfgs),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H / stride, W / stride)."""
        return recompute(self._forward, x, enabled=self.with_cp)

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.splits:
            left, right = x.chunk(2, dim=1)
        else:
            left, right = self.branch1(x), x
        return channel_shuffle(torch.cat((left, self.branch2(right)), dim=1), groups=2)


@MODELS.register_module()
class ShuffleNetV2(Backbone):
    """Channel splits and shuffles instead of group convolutions (Ma et al., arXiv:1807.11164).

    Args:
        widen_factor: 0.5, 1.0, 1.5 or 2.0.
        in_channels: C.
        out_indices: Stages whose maps are handed out; 3 is the last convolution.
        frozen_stages: Train neither the stem (0) nor the first n stages; -1 trains all.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        norm_eval: Keep the statistics of batch norms as they are while training.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown width, or stages that do not exist.
    """

    arch_settings: ClassVar[Mapping[float, tuple[int, int, int, int]]] = {
        0.5: (48, 96, 192, 1024),
        1.0: (116, 232, 464, 1024),
        1.5: (176, 352, 704, 1024),
        2.0: (244, 488, 976, 2048),
    }

    def __init__(
        self,
        widen_factor: float = 1.0,
        in_channels: int = 3,
        *,
        out_indices: int | Sequence[int] = (3,),
        frozen_stages: int = -1,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = {"type": "BN"},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg | None = {"type": "ReLU"},  # noqa: B006
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, init_cfg=init_cfg)
        widths = architecture(self.arch_settings, widen_factor, "ShuffleNetV2")
        self.out_indices = chosen(out_indices, len(widths))
        self.frozen_stages = check_frozen(frozen_stages, -1, len(widths))
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}

        width = 24
        self.conv1 = ConvModule(in_channels, width, 3, stride=2, padding=1, **cfgs)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layers = nn.ModuleList()
        for wide, blocks in zip(widths, _BLOCKS, strict=False):
            inputs = [width] + [wide] * (blocks - 1)
            self.layers.append(
                nn.Sequential(
                    *(
                        ShuffleBlock(one, wide, stride=1 if block else 2, with_cp=with_cp, cfgs=cfgs)
                        for block, one in enumerate(inputs)
                    )
                )
            )
            width = wide
        self.layers.append(ConvModule(width, widths[-1], 1, **cfgs))
        self.out_channels = tuple(widths[index] for index in self.out_indices)
        self.out_strides = tuple((8, 16, 32, 32)[index] for index in self.out_indices)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, C, H, W) to one map for each of `out_indices`, as the file's head says."""
        x = self.maxpool(self.conv1(x))
        maps = []
        for index, layer in enumerate(self.layers[: max(self.out_indices) + 1]):
            x = layer(x)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the stem and the first stages."""
        return (self.conv1, *self.layers[: self.frozen_stages]) if self.frozen_stages >= 0 else ()
