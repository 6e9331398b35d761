"""DenseNet.

Shapes: B images, C channels in, H rows, W columns, g growth rate. A block of n layers adds n * g channels; the
transition behind it keeps a part of all. Stage i = 0..2 gives its transition's map at stride 2^(i+3), stage 3 the
last norm's at stride 32.

Names of parameters: stem.0, stem.1, stages.0.block.0.norm1, .conv1, .norm2, .conv2, ..., transitions.0.norm, .conv,
..., transitions.3.0.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.backbones.base import Backbone, Cfg, architecture, check_frozen, chosen, custom_architecture
from visuite.cv.layers import build_activation_layer, build_norm_layer, recompute
from visuite.engine.registry import MODELS

_KEYS = ("growth_rate", "depths", "init_channels")


def _row(growth_rate: int, depths: Sequence[int], init_channels: int) -> Cfg:
    return dict(zip(_KEYS, (growth_rate, tuple(depths), init_channels), strict=True))


class DenseLayer(nn.Module):
    """Norm, activation and convolution, 1x1 and then 3x3, of all that came before.

    Args:
        in_channels: Channels of all maps before.
        growth_rate: g.
        bn_size: Channels between the convolutions, in g.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activation.
        drop_rate: The chance of an element to be zeroed.
        memory_efficient: Concatenate again in the backward pass instead of keeping it.
    """

    def __init__(
        self,
        in_channels: int,
        growth_rate: int,
        *,
        bn_size: int,
        norm_cfg: Cfg,
        act_cfg: Cfg,
        drop_rate: float,
        memory_efficient: bool,
    ) -> None:
        super().__init__()
        inside = bn_size * growth_rate
        self.norm1 = build_norm_layer(dict(norm_cfg), in_channels)[1]
        self.conv1 = nn.Conv2d(in_channels, inside, 1, bias=False)
        self.norm2 = build_norm_layer(dict(norm_cfg), inside)[1]
        self.conv2 = nn.Conv2d(inside, growth_rate, 3, padding=1, bias=False)
        self.act = build_activation_layer(dict(act_cfg))
        self.drop_rate = drop_rate
        self.memory_efficient = memory_efficient

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Maps of (B, c, H, W), in_channels together, to (B, g, H, W)."""
        x = recompute(self._narrow, *maps, enabled=self.memory_efficient)
        x = self.conv2(self.act(self.norm2(x)))
        return F.dropout(x, self.drop_rate, self.training) if self.drop_rate > 0 else x

    def _narrow(self, *maps: torch.Tensor) -> torch.Tensor:
        return self.conv1(self.act(self.norm1(torch.cat(maps, dim=1))))


class DenseBlock(nn.Module):
    """Layers that each see the maps of all before.

    Args:
        layers: How many.
        in_channels: Channels of the first's input.
        growth_rate: g.
        **options: Of `DenseLayer`.
    """

    def __init__(self, layers: int, in_channels: int, growth_rate: int, **options: Any) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            DenseLayer(in_channels + index * growth_rate, growth_rate, **options) for index in range(layers)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, H, W) to (B, in_channels + layers * g, H, W)."""
        maps = [x]
        for layer in self.block:
            maps.append(layer(maps))
        return torch.cat(maps, dim=1)


@MODELS.register_module()
class DenseNet(Backbone):
    """Each layer sees the maps of all layers before (Huang et al., arXiv:1608.06993).

    Args:
        arch: `121`, `161`, `169`, `201`, or a dict of `growth_rate`, `depths` and `init_channels`.
        in_channels: C.
        bn_size: Channels inside a layer, in those it adds.
        drop_rate: The chance of an element of a layer's map to be zeroed.
        compression_factor: The part of the channels that a transition keeps.
        memory_efficient: Concatenate again in the backward pass instead of keeping it (arXiv:1707.06990).
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        out_indices: Stages whose maps are handed out.
        frozen_stages: Train neither the stem nor the first n stages with their transitions; 0 trains all.
        norm_eval: Keep the statistics of batch norms as they are while training.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown architecture, or stages that do not exist.
    """

    arch_settings: ClassVar[Mapping[str, Cfg]] = {
        "121": _row(32, (6, 12, 24, 16), 64),
        "169": _row(32, (6, 12, 32, 32), 64),
        "201": _row(32, (6, 12, 48, 32), 64),
        "161": _row(48, (6, 12, 36, 24), 96),
    }

    def __init__(
        self,
        arch: str | Cfg = "121",
        in_channels: int = 3,
        *,
        bn_size: int = 4,
        drop_rate: float = 0.0,
        compression_factor: float = 0.5,
        memory_efficient: bool = False,
        norm_cfg: Cfg = {"type": "BN"},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg = {"type": "ReLU"},  # noqa: B006
        out_indices: int | Sequence[int] = -1,
        frozen_stages: int = 0,
        norm_eval: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, init_cfg=init_cfg)
        if isinstance(arch, Mapping):
            settings = custom_architecture(arch, _KEYS, "DenseNet")
        else:
            settings = architecture(self.arch_settings, str(arch), "DenseNet")
        growth_rate, depths, width = (settings[key] for key in _KEYS)
        last = len(depths) - 1
        self.out_indices = chosen(out_indices, len(depths))
        self.frozen_stages = check_frozen(frozen_stages, 0, len(depths))

        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False),
            build_norm_layer(dict(norm_cfg), width)[1],
            build_activation_layer(dict(act_cfg)),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.stages, self.transitions = nn.ModuleList(), nn.ModuleList()
        widths = []
        for index, layers in enumerate(depths):
            options = {"bn_size": bn_size, "drop_rate": drop_rate, "memory_efficient": memory_efficient}
            block = DenseBlock(layers, width, growth_rate, norm_cfg=norm_cfg, act_cfg=act_cfg, **options)
            self.stages.append(block)
            width += layers * growth_rate
            norm, act = build_norm_layer(dict(norm_cfg), width)[1], build_activation_layer(dict(act_cfg))
            if index == last:
                self.transitions.append(nn.Sequential(norm, act))
            else:
                kept = int(width * compression_factor)
                self.transitions.append(_transition(norm, act, width, kept))
                width = kept
            widths.append(width)
        self.out_channels = tuple(widths[index] for index in self.out_indices)
        self.out_strides = tuple(4 * 2 ** min(index + 1, last) for index in self.out_indices)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, C, H, W) to one map for each of `out_indices`, as the file's head says."""
        x = self.stem(x)
        maps = []
        for index, (stage, transition) in enumerate(zip(self.stages, self.transitions, strict=True)):
            x = transition(stage(x))
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the stem and the first stages."""
        count = self.frozen_stages
        return (self.stem, *self.stages[:count], *self.transitions[:count]) if count > 0 else ()


def _transition(norm: nn.Module, act: nn.Module, in_channels: int, out_channels: int) -> nn.Sequential:
    """Keep a part of the channels and half of each side."""
    conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    return nn.Sequential(OrderedDict(norm=norm, act=act, conv=conv, pool=nn.AvgPool2d(2, stride=2)))
