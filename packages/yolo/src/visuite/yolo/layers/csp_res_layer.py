"""The residual CSP layers of PP-YOLOE (Xu et al., arXiv:2203.16250, figure 3).

Shapes: B images, C channels in, K channels out, M channels inside, H rows, W columns, s stride.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import ConvModule, SPPBottleneck
from visuite.yolo.layers.rep_blocks import RepVGGBlock, build_block
from visuite.yolo.registry import MODELS

Cfg = Mapping[str, Any]

_BN: Cfg = {"type": "BN", "momentum": 0.1, "eps": 1e-5}
_SILU: Cfg = {"type": "SiLU", "inplace": True}


@MODELS.register_module()
class PPYOLOEBasicBlock(nn.Module):
    """A 3x3 convolution and a `RepVGGBlock` without the input's branch: RepResBlock (arXiv:2203.16250).

    Names of parameters: conv1.*, conv2.*.

    Args:
        in_channels: C.
        out_channels: K.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        shortcut: Add the input; K is C then.
        use_alpha: Learn a factor of the 1x1 convolution.

    Raises:
        ValueError: a shortcut over other channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        norm_cfg: Cfg = _BN,
        act_cfg: Cfg | None = _SILU,
        shortcut: bool = True,
        use_alpha: bool = False,
    ) -> None:
        super().__init__()
        if shortcut and in_channels != out_channels:
            raise ValueError(f"a PPYOLOEBasicBlock with a shortcut keeps {in_channels} channels, not {out_channels}")
        cfgs: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.conv1 = ConvModule(in_channels, out_channels, 3, padding=1, **cfgs)
        self.conv2 = RepVGGBlock(out_channels, out_channels, use_alpha=use_alpha, use_bn_first=False, **cfgs)
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H, W)."""
        out = self.conv2(self.conv1(x))
        return x + out if self.shortcut else out


@MODELS.register_module()
class EffectiveSELayer(nn.Module):
    """Weigh each channel by one 1x1 convolution of the channels' means (Lee and Park, arXiv:1911.06667).

    Names of parameters: fc.conv.

    Args:
        channels: C.
        act_cfg: Config of the function that makes weights of numbers.
    """

    def __init__(self, channels: int, *, act_cfg: Cfg = {"type": "HSigmoid"}) -> None:  # noqa: B006 (read only)
        super().__init__()
        self.fc = ConvModule(channels, channels, 1, act_cfg=act_cfg)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same shape."""
        return x * self.fc(x.mean((2, 3), keepdim=True))


@MODELS.register_module()
class CSPResLayer(nn.Module):
    """Blocks on one half of the channels, the other half beside them, perhaps weighed, then both mixed.

    With stride 2, a convolution stands before, which makes the map half as large, and of (C + K) / 2 channels.

    Names of parameters: conv_down.*, conv1.*, conv2.*, blocks.0.*, ..., blocks.spp.*, attn.*, conv3.*.

    Args:
        in_channels: C.
        out_channels: K.
        num_block: How many blocks there are.
        block_cfg: Config of the blocks.
        stride: s, 1 or 2.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        attention_cfg: Config of what weighs the channels of both halves.
        use_spp: Pool over several ranges behind the block in the middle.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_block: int,
        block_cfg: Cfg = {"type": "PPYOLOEBasicBlock"},  # noqa: B006 (read only)
        stride: int = 1,
        norm_cfg: Cfg = _BN,
        act_cfg: Cfg | None = _SILU,
        attention_cfg: Cfg | None = None,
        use_spp: bool = False,
    ) -> None:
        super().__init__()
        cfgs: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        middle = out_channels if stride == 1 else (in_channels + out_channels) // 2
        half = middle // 2
        if stride > 1:
            self.conv_down = ConvModule(in_channels, middle, 3, stride=stride, padding=1, **cfgs)
            in_channels = middle
        self.conv1 = ConvModule(in_channels, half, 1, **cfgs)
        self.conv2 = ConvModule(in_channels, half, 1, **cfgs)
        blocks = [(str(index), build_block(block_cfg, half, half, **cfgs)) for index in range(num_block)]
        if use_spp:
            pooling = SPPBottleneck(half, half, use_conv_first=False, **cfgs)
            blocks.insert((num_block + 1) // 2, ("spp", pooling))
        self.blocks = nn.Sequential(OrderedDict(blocks))
        self.conv3 = ConvModule(2 * half, out_channels, 1, **cfgs)
        if attention_cfg is not None:
            self.attn = MODELS.build({**attention_cfg, "channels": 2 * half})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H / s, W / s), rounded up."""
        if hasattr(self, "conv_down"):
            x = self.conv_down(x)
        out = torch.cat((self.conv1(x), self.blocks(self.conv2(x))), dim=1)
        return self.conv3(self.attn(out) if hasattr(self, "attn") else out)
