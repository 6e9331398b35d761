"""MobileNetV3, for classification and, dilated, for segmentation.

Shapes: B images, C channels in, H rows, W columns. Layer 0 is the stem, (B, 16, H / 2, W / 2), then come 11 (small) or
15 (large) blocks, and one more convolution.

Names of parameters: layer0.conv, layer0.bn, layer1.expand_conv.conv, layer1.depthwise_conv.*, layer1.se.*,
layer1.linear_conv.*, ..., layer12.* or layer16.*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, Cfg, architecture, check_frozen, chosen
from visuite.cv.layers import ConvModule, InvertedResidual, make_divisible
from visuite.engine.registry import MODELS

#: Kernel, width inside by that before, channels, squeeze-and-excitation, activation, stride of each block.
_Block = tuple[int, float, int, bool, str, int]
_SMALL: tuple[_Block, ...] = (
    (3, 1.0, 16, True, "ReLU", 2),
    (3, 4.5, 24, False, "ReLU", 2),
    (3, 3.67, 24, False, "ReLU", 1),
    (5, 4.0, 40, True, "HSwish", 2),
    (5, 6.0, 40, True, "HSwish", 1),
    (5, 6.0, 40, True, "HSwish", 1),
    (5, 3.0, 48, True, "HSwish", 1),
    (5, 3.0, 48, True, "HSwish", 1),
    (5, 6.0, 96, True, "HSwish", 2),
    (5, 6.0, 96, True, "HSwish", 1),
    (5, 6.0, 96, True, "HSwish", 1),
)
_LARGE: tuple[_Block, ...] = (
    (3, 1.0, 16, False, "ReLU", 1),
    (3, 4.0, 24, False, "ReLU", 2),
    (3, 3.0, 24, False, "ReLU", 1),
    (5, 3.0, 40, True, "ReLU", 2),
    (5, 3.0, 40, True, "ReLU", 1),
    (5, 3.0, 40, True, "ReLU", 1),
    (3, 6.0, 80, False, "HSwish", 2),
    (3, 2.5, 80, False, "HSwish", 1),
    (3, 2.3, 80, False, "HSwish", 1),
    (3, 2.3, 80, False, "HSwish", 1),
    (3, 6.0, 112, True, "HSwish", 1),
    (3, 6.0, 112, True, "HSwish", 1),
    (5, 6.0, 160, True, "HSwish", 2),
    (5, 6.0, 160, True, "HSwish", 1),
    (5, 6.0, 160, True, "HSwish", 1),
)
_SE_ACTS: tuple[Cfg, Cfg] = ({"type": "ReLU"}, {"type": "HSigmoid", "bias": 3.0, "divisor": 6.0})


@MODELS.register_module()
class MobileNetV3(Backbone):
    """Searched inverted residuals with squeeze-and-excitation (Howard et al., arXiv:1905.02244).

    Segmentation wants it with `output_stride=8, adaptive_padding=True`.

    Args:
        arch: `small`, `small_075`, `small_050`, `large` or `large_075`.
        in_channels: C.
        out_indices: Layers whose maps are handed out; by default the last.
        output_stride: 8, 16 or 32; the blocks that would go beyond it are dilated instead.
        reduction_factor: Divides the channels from the last block with a stride of the `arch` on.
        adaptive_padding: Pad convolutions with a stride as TensorFlow does.
        frozen_stages: Train none of the layers 0 to n; -1 trains all.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        norm_eval: Keep the statistics of batch norms as they are while training.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown architecture or output stride, or layers that do not exist.
    """

    arch_settings: ClassVar[Mapping[str, tuple[tuple[_Block, ...], float]]] = {
        "small": (_SMALL, 1.0),
        "small_075": (_SMALL, 0.75),
        "small_050": (_SMALL, 0.5),
        "large": (_LARGE, 1.0),
        "large_075": (_LARGE, 0.75),
    }

    def __init__(
        self,
        arch: str = "small",
        in_channels: int = 3,
        *,
        out_indices: int | Sequence[int] | None = None,
        output_stride: int = 32,
        reduction_factor: int = 1,
        adaptive_padding: bool = False,
        frozen_stages: int = -1,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = {"type": "BN", "eps": 0.001, "momentum": 0.01},  # noqa: B006 (read only)
        norm_eval: bool = False,
        with_cp: bool = False,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, pretrained=pretrained, init_cfg=init_cfg)
        table, factor = architecture(self.arch_settings, arch, "MobileNetV3")
        if output_stride not in (8, 16, 32):
            raise ValueError(f"output_stride is 8, 16 or 32, not {output_stride}")
        self.out_indices = chosen(-1 if out_indices is None else out_indices, len(table) + 2)
        self.frozen_stages = check_frozen(frozen_stages, -1, len(table) + 1)

        strided = {"type": "Conv2dAdaptivePadding"} if adaptive_padding else conv_cfg
        acts = {"norm_cfg": norm_cfg, "act_cfg": {"type": "HSwish"}}
        width = full = max(16, make_divisible(16 * factor, 8))  # the stem is never thinner than 16
        layers: list[nn.Module] = [
            ConvModule(in_channels, width, 3, stride=2, padding=1, conv_cfg=strided, **acts)  # type: ignore[arg-type]
        ]
        widths, strides, dilation = [width], [2], 1
        last_strided = max(index for index, row in enumerate(table) if row[-1] == 2)
        for index, (kernel, ratio, channels, with_se, act, stride) in enumerate(table):
            reduction = reduction_factor if index >= last_strided else 1
            inside = make_divisible(full * ratio, 8) // reduction
            full = make_divisible(channels * factor, 8)
            outside = full // reduction
            if stride == 2 and strides[-1] == output_stride:
                stride, dilation = 1, 2 * dilation
            layers.append(
                InvertedResidual(
                    width,
                    outside,
                    inside,
                    kernel_size=kernel,
                    stride=stride,
                    dilation=dilation,
                    se_cfg={"channels": inside, "ratio": 4, "act_cfg": _SE_ACTS} if with_se else None,
                    conv_cfg=strided if stride == 2 else conv_cfg,
                    norm_cfg=norm_cfg,
                    act_cfg={"type": act},
                    with_cp=with_cp,
                )
            )
            width = outside
            widths.append(width)
            strides.append(strides[-1] * stride)
        widths.append(6 * full)
        strides.append(strides[-1])
        layers.append(ConvModule(width, widths[-1], 1, conv_cfg=conv_cfg, **acts))  # type: ignore[arg-type]
        self.layers = [f"layer{index}" for index in range(len(layers))]
        for name, layer in zip(self.layers, layers, strict=True):
            self.add_module(name, layer)
        self.out_channels = tuple(widths[index] for index in self.out_indices)
        self.out_strides = tuple(strides[index] for index in self.out_indices)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, C, H, W) to one map for each of `out_indices`, as the file's head says."""
        maps = []
        for index, name in enumerate(self.layers[: max(self.out_indices) + 1]):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the first layers."""
        return tuple(getattr(self, name) for name in self.layers[: self.frozen_stages + 1])
