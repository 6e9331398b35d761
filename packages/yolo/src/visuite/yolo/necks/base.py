"""How the levels of a YOLO's neck go together, down and up again; the other files say what is built for each.

The path is that of PANet (Liu et al., arXiv:1803.01534), with maps put side by side rather than added.

Shapes: B images, level i = 0, 1, ..., N - 1 from fine to coarse: C_i channels in, K_i channels out, H_i rows, W_i
columns, about half of those of the level before.

Names of parameters: reduce_layers.0.* (from fine to coarse), upsample_layers.0.* and top_down_layers.0.* (from coarse
to fine), downsample_layers.0.*, bottom_up_layers.0.* and out_layers.0.* (from fine to coarse).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import nn

from visuite.cv.layers import LIKE_TORCH
from visuite.cv.necks.base import Neck
from visuite.yolo.layers.sizes import make_divisible, make_round

Cfg = Mapping[str, Any]


class YOLONeck(Neck):
    """Each map reduced; from coarse to fine enlarged and joined; from fine to coarse shrunk and joined; handed out.

    A subclass writes what is built for each level, and calls `build_layers` at the end of its constructor. It finds the
    widened channels in `in_channels` and `out_channels`, an entry for each level. One that hands out other channels
    than `out_channels` says so there after `build_layers`.

    Args:
        in_channels: C_i before widening.
        out_channels: K_i before widening, or one number for all.
        deepen_factor: Factor of the numbers of blocks.
        widen_factor: Factor of the channels.
        upsample_feats_cat_first: On the way down, put the enlarged map before the finer one, not behind it.
        freeze_all: Train nothing of the neck.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        init_cfg: How weights are initialised.

    Attributes:
        levels: N.
        cfgs: `conv_cfg`, `norm_cfg` and `act_cfg`, as layers take them.

    Raises:
        ValueError: `out_channels` is a list of another length.
    """

    #: Maps finer than the finest level that come in as well, before the levels' own.
    extra_inputs: int = 0

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int | Sequence[int],
        *,
        deepen_factor: float = 1.0,
        widen_factor: float = 1.0,
        upsample_feats_cat_first: bool = True,
        freeze_all: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg | None = {"type": "SiLU", "inplace": True},  # noqa: B006
        init_cfg: Any = None,
    ) -> None:
        super().__init__(LIKE_TORCH if init_cfg is None else init_cfg)
        self.levels = len(in_channels) - self.extra_inputs
        given = [out_channels] * self.levels if isinstance(out_channels, int) else list(out_channels)
        if len(given) != self.levels:
            raise ValueError(
                f"{type(self).__name__} has {self.levels} levels by in_channels {tuple(in_channels)}, "
                f"but {len(given)} by out_channels {tuple(given)}"
            )
        self.deepen_factor, self.widen_factor = deepen_factor, widen_factor
        self.in_channels = tuple(self.width(channels) for channels in in_channels)
        self.out_channels = tuple(self.width(channels) for channels in given)
        self.upsample_feats_cat_first = upsample_feats_cat_first
        self.freeze_all = freeze_all
        self.cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}

    def width(self, channels: int) -> int:
        """Return a number of channels, widened."""
        return make_divisible(channels, self.widen_factor)

    def depth(self, blocks: int) -> int:
        """Return a number of blocks, deepened."""
        return make_round(blocks, self.deepen_factor)

    def build_reduce_layer(self, index: int) -> nn.Module:
        """Return what a level's map goes through first."""
        raise NotImplementedError(f"{type(self).__name__} needs build_reduce_layer(index)")

    def build_upsample_layer(self, index: int) -> nn.Module:
        """Return what doubles the sides of a level's map, 1 <= `index` < N, on the way to the finer one."""
        return nn.Upsample(scale_factor=2, mode="nearest")

    def build_top_down_layer(self, index: int) -> nn.Module:
        """Return what the joined map of level `index` - 1 goes through, 1 <= `index` < N."""
        raise NotImplementedError(f"{type(self).__name__} needs build_top_down_layer(index)")

    def build_downsample_layer(self, index: int) -> nn.Module:
        """Return what halves the sides of a level's map, 0 <= `index` < N - 1, on the way to the coarser one."""
        raise NotImplementedError(f"{type(self).__name__} needs build_downsample_layer(index)")

    def build_bottom_up_layer(self, index: int) -> nn.Module:
        """Return what the joined map of level `index` + 1 goes through, 0 <= `index` < N - 1."""
        raise NotImplementedError(f"{type(self).__name__} needs build_bottom_up_layer(index)")

    def build_out_layer(self, index: int) -> nn.Module:
        """Return what a level's map goes through last."""
        return nn.Identity()

    def build_layers(self) -> None:
        """Build the layers of all levels, and freeze them if they are to be."""
        down, up = range(self.levels - 1, 0, -1), range(self.levels - 1)
        self.reduce_layers = nn.ModuleList(self.build_reduce_layer(index) for index in range(self.levels))
        self.upsample_layers = nn.ModuleList(self.build_upsample_layer(index) for index in down)
        self.top_down_layers = nn.ModuleList(self.build_top_down_layer(index) for index in down)
        self.downsample_layers = nn.ModuleList(self.build_downsample_layer(index) for index in up)
        self.bottom_up_layers = nn.ModuleList(self.build_bottom_up_layer(index) for index in up)
        self.out_layers = nn.ModuleList(self.build_out_layer(index) for index in range(self.levels))
        if self.freeze_all:
            self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Switch to training, unless all is frozen."""
        return super().train(mode and not self.freeze_all)

    def out_strides(self, in_strides: Sequence[int]) -> tuple[int, ...]:
        """Return the strides of the maps handed out: those of the levels."""
        return tuple(in_strides[self.extra_inputs :])

    def forward(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Maps (B, C_i, H_i, W_i) to as many (B, K_i, H_i, W_i)."""
        self.check_maps(inputs)
        maps = self.bottom_up(self.top_down(self.reduce(inputs)))
        return tuple(layer(x) for layer, x in zip(self.out_layers, maps, strict=True))

    def reduce(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return what becomes of the maps that come in, before these are joined."""
        return [layer(x) for layer, x in zip(self.reduce_layers, inputs, strict=True)]

    def top_down(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Join each level with the coarser one, from coarse to fine; maps come and go from fine to coarse."""
        joined = [maps[-1]]
        for fine, upsample, layer in zip(maps[-2::-1], self.upsample_layers, self.top_down_layers, strict=True):
            enlarged = fit(upsample(joined[-1]), fine)
            joined.append(layer(torch.cat((enlarged, fine) if self.upsample_feats_cat_first else (fine, enlarged), 1)))
        return joined[::-1]

    def bottom_up(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Join each level with the finer one, from fine to coarse."""
        joined = [maps[0]]
        for coarse, downsample, layer in zip(maps[1:], self.downsample_layers, self.bottom_up_layers, strict=True):
            joined.append(layer(torch.cat((downsample(joined[-1]), coarse), 1)))
        return joined


def fit(enlarged: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return a doubled map (B, C, 2 H, 2 W) without the row and column too many where the finer map has odd sides."""
    return enlarged[..., : like.shape[-2], : like.shape[-1]]
