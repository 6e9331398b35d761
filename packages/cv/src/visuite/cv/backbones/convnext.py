"""ConvNeXt, versions 1 and 2.

Shapes: B images, C channels in, H rows, W columns, p stem_patch_size. Stage i = 0..3 gives (B, c_i, H / s_i, W / s_i)
with s_i = p * 2^i, rounded down; with `gap_before_final_norm` it gives vectors, (B, c_i).

Names of parameters: downsample_layers.0.0 (the stem's convolution), downsample_layers.0.1 (its norm), stages.0.0.gamma,
.depthwise_conv, .norm, .pointwise_conv1, .grn, .pointwise_conv2, ..., norm3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, Cfg, architecture, check_frozen, chosen, custom_architecture
from visuite.cv.backbones.tokens import drop_path_rates
from visuite.cv.layers import GRN, DropPath, build_activation_layer, build_norm_layer, recompute
from visuite.engine.optim.layer_decay import convnext_depth
from visuite.engine.registry import MODELS

_KEYS = ("depths", "channels")
_INIT: tuple[Cfg, ...] = ({"type": "TruncNormal", "layer": ["Conv2d", "Linear"], "std": 0.02, "bias": 0.0},)


def _row(depths: Sequence[int], width: int) -> Cfg:
    """Return an architecture whose channels double from stage to stage."""
    return {"depths": depths, "channels": tuple(width * 2**index for index in range(len(depths)))}


class ConvNeXtBlock(nn.Module):
    """Convolve depthwise, norm, then widen and narrow each pixel.

    Args:
        channels: c.
        norm_cfg: Config of the norm.
        act_cfg: Config of the activation.
        mlp_ratio: How much wider each pixel becomes.
        linear_pw_conv: Widen and narrow by linear layers over the last axis, not by 1x1 convolutions: faster, mostly.
        use_grn: Have a global response norm between the two (version 2).
        drop_path_rate: The chance of a sample to lose all but the shortcut.
        layer_scale_init_value: The first weight of the residual; 0 has none.
        with_cp: Compute activations again in the backward pass instead of keeping them.
    """

    def __init__(
        self,
        channels: int,
        *,
        norm_cfg: Cfg,
        act_cfg: Cfg,
        mlp_ratio: float = 4.0,
        linear_pw_conv: bool = True,
        use_grn: bool = False,
        drop_path_rate: float = 0.0,
        layer_scale_init_value: float = 1e-6,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.with_cp, self.linear_pw_conv = with_cp, linear_pw_conv
        self.depthwise_conv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = build_norm_layer(dict(norm_cfg), channels)[1]
        inside = int(mlp_ratio * channels)
        pointwise: Any = nn.Linear if linear_pw_conv else partial(nn.Conv2d, kernel_size=1)
        self.pointwise_conv1 = pointwise(channels, inside)
        self.act = build_activation_layer(dict(act_cfg))
        self.grn = GRN(inside) if use_grn else nn.Identity()
        self.pointwise_conv2 = pointwise(inside, channels)
        scale = torch.full((channels,), layer_scale_init_value)
        self.gamma = nn.Parameter(scale) if layer_scale_init_value > 0 else None
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate > 0 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, c, H, W) to the same shape."""
        return x + self.drop_path(recompute(self._residual, x, enabled=self.with_cp))

    def _residual(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.depthwise_conv(x))
        if self.linear_pw_conv:
            x = self.pointwise_conv1(x.permute(0, 2, 3, 1))
            x = self.pointwise_conv2(self.grn(self.act(x))).permute(0, 3, 1, 2)
        else:
            x = self.act(self.pointwise_conv1(x))
            x = self.grn(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            x = self.pointwise_conv2(x)
        return x if self.gamma is None else x * self.gamma[:, None, None]


@MODELS.register_module()
class ConvNeXt(Backbone):
    """A convolutional network in the manner of transformers (arXiv:2201.03545, version 2: arXiv:2301.00808).

    Args:
        arch: `atto`, `femto`, `pico`, `nano`, `tiny`, `small`, `base`, `large`, `xlarge`, `huge`; or a dict of `depths`
            and `channels` by stage.
        in_channels: C.
        stem_patch_size: p.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        linear_pw_conv: Linear layers in place of 1x1 convolutions.
        use_grn: Global response norms: version 2, which has `layer_scale_init_value=0`.
        drop_path_rate: The chance of a sample to lose the residual of the last block; it grows from 0 in the first.
        layer_scale_init_value: The first weight of each residual; 0 has none.
        out_indices: Stages whose maps are handed out.
        frozen_stages: Train none of the first n stages and of what leads to them; 0 trains all.
        gap_before_final_norm: Hand out means over each map, normed after averaging, as classification wants.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        norm_eval: Keep the statistics of batch norms, if there are any, as they are while training.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown architecture, lists of unequal length, or stages that do not exist.
    """

    arch_settings: ClassVar[Mapping[str, Cfg]] = {
        "atto": _row((2, 2, 6, 2), 40),
        "femto": _row((2, 2, 6, 2), 48),
        "pico": _row((2, 2, 6, 2), 64),
        "nano": _row((2, 2, 8, 2), 80),
        "tiny": _row((3, 3, 9, 3), 96),
        "small": _row((3, 3, 27, 3), 96),
        "base": _row((3, 3, 27, 3), 128),
        "large": _row((3, 3, 27, 3), 192),
        "xlarge": _row((3, 3, 27, 3), 256),
        "huge": _row((3, 3, 27, 3), 352),
    }

    def __init__(
        self,
        arch: str | Cfg = "tiny",
        in_channels: int = 3,
        *,
        stem_patch_size: int = 4,
        norm_cfg: Cfg = {"type": "LN2d", "eps": 1e-6},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg = {"type": "GELU"},  # noqa: B006
        linear_pw_conv: bool = True,
        use_grn: bool = False,
        drop_path_rate: float = 0.0,
        layer_scale_init_value: float = 1e-6,
        out_indices: int | Sequence[int] = -1,
        frozen_stages: int = 0,
        gap_before_final_norm: bool = True,
        with_cp: bool = False,
        norm_eval: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, init_cfg=_INIT if init_cfg is None else init_cfg)
        if isinstance(arch, str):
            settings = architecture(self.arch_settings, arch, "ConvNeXt")
        else:
            settings = custom_architecture(arch, _KEYS, "ConvNeXt")
        self.depths, self.channels = tuple(settings["depths"]), tuple(settings["channels"])
        if len(self.depths) != len(self.channels):
            raise ValueError(f"depths {self.depths} and channels {self.channels} of ConvNeXt differ in length")
        self.out_indices = chosen(out_indices, len(self.depths))
        self.frozen_stages = check_frozen(frozen_stages, 0, len(self.depths))
        self.gap_before_final_norm = gap_before_final_norm

        drops = drop_path_rates(drop_path_rate, sum(self.depths))
        self.downsample_layers, self.stages = nn.ModuleList(), nn.ModuleList()
        for index, (depth, width) in enumerate(zip(self.depths, self.channels, strict=True)):
            if index == 0:
                stem = nn.Conv2d(in_channels, width, stem_patch_size, stride=stem_patch_size)
                self.downsample_layers.append(nn.Sequential(stem, build_norm_layer(dict(norm_cfg), width)[1]))
            else:
                before = self.channels[index - 1]
                halve = nn.Conv2d(before, width, 2, stride=2)
                self.downsample_layers.append(nn.Sequential(build_norm_layer(dict(norm_cfg), before)[1], halve))
            first = sum(self.depths[:index])
            blocks = [
                ConvNeXtBlock(
                    width,
                    norm_cfg=norm_cfg,
                    act_cfg=act_cfg,
                    linear_pw_conv=linear_pw_conv,
                    use_grn=use_grn,
                    drop_path_rate=drop,
                    layer_scale_init_value=layer_scale_init_value,
                    with_cp=with_cp,
                )
                for drop in drops[first : first + depth]
            ]
            self.stages.append(nn.Sequential(*blocks))
            if index in self.out_indices:
                self.add_module(f"norm{index}", build_norm_layer(dict(norm_cfg), width)[1])
        self.out_channels = tuple(self.channels[index] for index in self.out_indices)
        self.out_strides = tuple(stem_patch_size * 2**index for index in self.out_indices)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, C, H, W) to one map, or vector, for each of `out_indices`, as the file's head says."""
        maps = []
        for index, (downsample, stage) in enumerate(zip(self.downsample_layers, self.stages, strict=True)):
            x = stage(downsample(x))
            if index in self.out_indices:
                norm = getattr(self, f"norm{index}")
                maps.append(norm(x.mean((2, 3), keepdim=True)).flatten(1) if self.gap_before_final_norm else norm(x))
        return tuple(maps)

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the first stages and what leads to them."""
        return *self.downsample_layers[: self.frozen_stages], *self.stages[: self.frozen_stages]

    def get_layer_depth(self, param_name: str, prefix: str = "") -> tuple[int, int]:
        """Return the depth of a parameter and the number of depths, for learning rates that decay by depth.

        Args:
            param_name: The parameter's name, `prefix` in front.
            prefix: The backbone's name in the model, such as `backbone.`.
        """
        deep = len(self.depths) > 1 and self.depths[-2] > 9
        return convnext_depth(12 if deep else 6)(f"backbone.{param_name.removeprefix(prefix)}")
