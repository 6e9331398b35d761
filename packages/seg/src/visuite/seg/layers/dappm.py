"""Deep aggregation of pooled maps.

Shapes: B images, I channels in, M channels of a branch, K channels out, n branches, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.seg.layers.conv_options import ConvOptions
from visuite.seg.layers.resize import resize_like

#: Kernel and stride of each pooling but the last, which is of the whole map.
_POOLS = ((5, 2), (9, 4), (17, 8))
_NORM: Mapping[str, Any] = {"type": "BN", "momentum": 0.1}


class DAPPM(nn.Module):
    """Pooled maps, each convolved together with the one before (Hong et al., DDRNet, arXiv:2101.06085).

    Names of parameters: scales.0.conv, scales.<branch>.1.conv, processes.<branch>.conv, compression.conv and
    shortcut.conv.

    Args:
        in_channels: I.
        branch_channels: M.
        out_channels: K.
        num_scales: n, from the map itself to the whole map's mean: 3 to 5.
        norm_cfg: Config of the norms, which come before the activations and these before the convolutions.
        act_cfg: Config of the activations.

    Raises:
        ValueError: another number of branches.
    """

    def __init__(
        self,
        in_channels: int,
        branch_channels: int,
        *,
        out_channels: int,
        num_scales: int,
        norm_cfg: Mapping[str, Any] = _NORM,
        act_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not 2 <= num_scales <= len(_POOLS) + 2:
            raise ValueError(f"num_scales is 2 to {len(_POOLS) + 2}, not {num_scales}")
        self.options = ConvOptions(norm_cfg=norm_cfg, act_cfg=act_cfg or {"type": "ReLU", "inplace": True})
        pools: list[nn.Module] = [nn.AvgPool2d(kernel, stride, stride) for kernel, stride in _POOLS[: num_scales - 2]]
        pools.append(nn.AdaptiveAvgPool2d(1))
        self.scales = nn.ModuleList([self._conv(in_channels, branch_channels)])
        self.scales.extend(nn.Sequential(pool, self._conv(in_channels, branch_channels)) for pool in pools)
        self.processes = self._make_processes(branch_channels, num_scales - 1)
        self.compression = self._conv(branch_channels * num_scales, out_channels)
        self.shortcut = self._conv(in_channels, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, H, W) to (B, K, H, W)."""
        first, *others = self.scales
        pooled = [resize_like(scale(x), x) for scale in others]
        return self.compression(torch.cat(self._aggregate(first(x), pooled), dim=1)) + self.shortcut(x)

    def _make_processes(self, channels: int, count: int) -> nn.Module:
        return nn.ModuleList(self._conv(channels, channels, 3) for _ in range(count))

    def _aggregate(self, first: torch.Tensor, pooled: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return maps (B, M, H, W), n of them or fewer with more channels."""
        maps = [first]
        for process, one in zip(self.processes.children(), pooled, strict=True):
            maps.append(process(one + maps[-1]))
        return maps

    def _conv(self, in_channels: int, out_channels: int, kernel_size: int = 1, **kwargs: Any) -> nn.Module:
        kwargs |= {"order": ("norm", "act", "conv"), "bias": False}
        return self.options.conv(in_channels, out_channels, kernel_size, **kwargs)


class PAPPM(DAPPM):
    """`DAPPM` whose branches are convolved all at once, each added to the map itself (PIDNet, arXiv:2206.02066)."""

    def _make_processes(self, channels: int, count: int) -> nn.Module:
        return self._conv(channels * count, channels * count, 3, groups=count)

    def _aggregate(self, first: torch.Tensor, pooled: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return [first, self.processes(torch.cat([one + first for one in pooled], dim=1))]
