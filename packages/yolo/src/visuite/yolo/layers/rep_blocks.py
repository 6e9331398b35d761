"""Blocks whose branches become one convolution, and stages of such blocks (YOLOv6, YOLOv7, PP-YOLOE).

Shapes: B images, C channels in, K channels out, M channels inside, H rows, W columns, s stride, G groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import (
    ConvModule,
    SELayer,
    add_convolutions,
    build_activation_layer,
    build_norm_layer,
    fold_norm,
    identity_kernel,
)
from visuite.yolo.registry import MODELS

Cfg = Mapping[str, Any]

_BN: Cfg = {"type": "BN", "momentum": 0.03, "eps": 0.001}
_RELU: Cfg = {"type": "ReLU", "inplace": True}
_SILU: Cfg = {"type": "SiLU", "inplace": True}
_REP_VGG: Cfg = {"type": "RepVGGBlock"}


def build_block(cfg: Cfg, in_channels: int, out_channels: int, **defaults: Any) -> nn.Module:
    """Build a block of these channels by its config, whose own arguments win over `defaults`."""
    return MODELS.build({**defaults, **cfg, "in_channels": in_channels, "out_channels": out_channels})


@MODELS.register_module()
class RepVGGBlock(nn.Module):
    """A 3x3 and a 1x1 convolution and, where the shape stays, the input itself, each normed, added and activated.

    `switch_to_deploy` makes one convolution of them (Ding et al., arXiv:2101.03697). Names of parameters:
    rbr_dense.{conv,bn}, rbr_1x1.{conv,bn}, rbr_identity, alpha; then rbr_reparam.

    Args:
        in_channels: C.
        out_channels: K.
        kernel_size: Of the first convolution, odd.
        stride: s.
        padding: Of the first convolution.
        dilation: Of the first convolution.
        groups: G.
        padding_mode: Of the first convolution.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activation.
        use_se: Weigh the channels (`SELayer`) before the activation.
        use_alpha: Learn a factor of the 1x1 convolution.
        use_bn_first: Have the branch of the input itself, which is but a norm, where the shape stays.
        deploy: Begin as the one convolution.

    Raises:
        ValueError: a padding that tears the branches apart.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 3,
        stride: int = 1,
        padding: int = 1,
        dilation: int = 1,
        groups: int = 1,
        padding_mode: str = "zeros",
        norm_cfg: Cfg = _BN,
        act_cfg: Cfg | None = _RELU,
        use_se: bool = False,
        use_alpha: bool = False,
        use_bn_first: bool = True,
        deploy: bool = False,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0 or padding != dilation * (kernel_size // 2):
            raise ValueError(
                f"the branches of RepVGGBlock give unlike maps with "
                f"kernel_size {kernel_size}, padding {padding}, dilation {dilation}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.deploy = deploy
        self.shape: dict[str, Any] = {
            "kernel_size": kernel_size,
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
            "padding_mode": padding_mode,
        }
        if deploy:
            self.rbr_reparam = nn.Conv2d(in_channels, out_channels, **self.shape)
        else:
            if use_alpha:
                self.alpha = nn.Parameter(torch.ones(1))
            if use_bn_first and in_channels == out_channels and stride == 1:
                self.rbr_identity = build_norm_layer(dict(norm_cfg), in_channels)[1]
            style: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": None}
            self.rbr_dense = ConvModule(in_channels, out_channels, **self.shape, **style)
            self.rbr_1x1 = ConvModule(in_channels, out_channels, 1, stride=stride, groups=groups, **style)
        self.se = SELayer(out_channels) if use_se else nn.Identity()
        self.act = nn.Identity() if act_cfg is None else build_activation_layer(dict(act_cfg))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H / s, W / s), rounded up."""
        return self.act(self.se(self._sum(x)))

    def _sum(self, x: torch.Tensor) -> torch.Tensor:
        if self.deploy:
            return self.rbr_reparam(x)
        point = self.rbr_1x1(x)
        out = self.rbr_dense(x) + (self.alpha * point if hasattr(self, "alpha") else point)
        return out + self.rbr_identity(x) if hasattr(self, "rbr_identity") else out

    @torch.no_grad()
    def switch_to_deploy(self) -> None:
        """Become one convolution that gives what the branches give when they do not train; a second call does nothing.

        Raises:
            TypeError: the norms are no batch norms.
        """
        if self.deploy:
            return
        dense, (point, shift) = (_folded(branch) for branch in (self.rbr_dense, self.rbr_1x1))
        factor = self.alpha if hasattr(self, "alpha") else 1.0
        branches = [dense, (factor * point, factor * shift)]
        if hasattr(self, "rbr_identity"):
            identity = identity_kernel(self.in_channels, self.groups, like=point)
            branches.append(fold_norm(identity, self.rbr_identity))
        kernel, bias = add_convolutions(branches)
        self.rbr_reparam = nn.Conv2d(self.in_channels, self.out_channels, **self.shape).to(kernel)
        self.rbr_reparam.weight.copy_(kernel)
        self.rbr_reparam.bias.copy_(bias)  # type: ignore[union-attr]
        for name in ("alpha", "rbr_identity", "rbr_dense", "rbr_1x1"):
            if hasattr(self, name):
                delattr(self, name)
        self.deploy = True


def _folded(branch: ConvModule) -> tuple[torch.Tensor, torch.Tensor]:
    conv: Any = branch.conv
    norm: Any = branch.norm
    return fold_norm(conv.weight, norm)


@MODELS.register_module()
class ConvWrapper(nn.Module):
    """A `ConvModule` that keeps the size, but for its stride: the block of YOLOv6-L. Names of parameters: block.*.

    Args:
        in_channels: C.
        out_channels: K.
        kernel_size: Of the convolution, odd.
        stride: s.
        groups: G.
        bias: Of the convolution, also where a norm follows.
        norm_cfg: Config of the norm.
        act_cfg: Config of the activation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 3,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = _SILU,
    ) -> None:
        super().__init__()
        shape: dict[str, Any] = {"stride": stride, "padding": kernel_size // 2, "groups": groups, "bias": bias}
        cfgs: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.block = ConvModule(in_channels, out_channels, kernel_size, **shape, **cfgs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H / s, W / s), rounded up."""
        return self.block(x)


@MODELS.register_module()
class BottleRep(nn.Module):
    """Two blocks, and a shortcut where the channels stay (CSPStackRep block, arXiv:2209.02976, figure 3).

    Names of parameters: conv1.*, conv2.*, alpha.

    Args:
        in_channels: C.
        out_channels: K.
        block_cfg: Config of the blocks.
        adaptive_weight: Learn a factor of the shortcut.
        cfgs: Default arguments of the blocks.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        block_cfg: Cfg = _REP_VGG,
        adaptive_weight: bool = False,
        **cfgs: Any,
    ) -> None:
        super().__init__()
        self.conv1 = build_block(block_cfg, in_channels, out_channels, **cfgs)
        self.conv2 = build_block(block_cfg, out_channels, out_channels, **cfgs)
        self.shortcut = in_channels == out_channels
        self.alpha = nn.Parameter(torch.ones(1)) if adaptive_weight and self.shortcut else 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H, W)."""
        out = self.conv2(self.conv1(x))
        return out + self.alpha * x if self.shortcut else out


@MODELS.register_module()
class RepStageBlock(nn.Module):
    """Blocks behind one another, of which the first changes the channels (RepBlock, arXiv:2209.02976, figure 3).

    Names of parameters: conv1.*, block.0.*, ...

    Args:
        in_channels: C.
        out_channels: K.
        num_blocks: How many there are; where they stand in `BottleRep`s, two go in one.
        bottle_rep: Put pairs of them in `BottleRep`s whose shortcut has a factor.
        block_cfg: Config of the blocks.
        cfgs: Default arguments of the blocks.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_blocks: int = 1,
        bottle_rep: bool = False,
        block_cfg: Cfg = _REP_VGG,
        **cfgs: Any,
    ) -> None:
        super().__init__()

        def one(channels: int) -> nn.Module:
            if bottle_rep:
                return BottleRep(channels, out_channels, block_cfg=block_cfg, adaptive_weight=True, **cfgs)
            return build_block(block_cfg, channels, out_channels, **cfgs)

        count = num_blocks // 2 if bottle_rep else num_blocks
        self.conv1 = one(in_channels)
        self.block = nn.Sequential(*(one(out_channels) for _ in range(count - 1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H, W)."""
        return self.block(self.conv1(x))


@MODELS.register_module()
class BepC3StageBlock(nn.Module):
    """Pairs of blocks beside a 1x1 convolution, then both mixed (CSPStackRep block, arXiv:2209.02976, figure 3).

    Names of parameters: conv1.*, conv2.*, conv3.*, block.conv1.*, block.block.0.*, ...

    Args:
        in_channels: C.
        out_channels: K.
        num_blocks: How many blocks there are.
        hidden_ratio: M in K.
        concat_all: Have the convolution beside the blocks.
        block_cfg: Config of the blocks.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_blocks: int = 1,
        hidden_ratio: float = 0.5,
        concat_all: bool = True,
        block_cfg: Cfg = _REP_VGG,
        norm_cfg: Cfg | None = _BN,
        act_cfg: Cfg | None = _RELU,
    ) -> None:
        super().__init__()
        hidden = int(out_channels * hidden_ratio)
        cfgs: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.concat_all = concat_all
        self.conv1 = ConvModule(in_channels, hidden, 1, **cfgs)
        if concat_all:
            self.conv2 = ConvModule(in_channels, hidden, 1, **cfgs)
        self.conv3 = ConvModule(2 * hidden if concat_all else hidden, out_channels, 1, **cfgs)
        self.block = RepStageBlock(hidden, hidden, num_blocks=num_blocks, bottle_rep=True, block_cfg=block_cfg, **cfgs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H, W)."""
        out = self.block(self.conv1(x))
        return self.conv3(torch.cat((out, self.conv2(x)), dim=1) if self.concat_all else out)
