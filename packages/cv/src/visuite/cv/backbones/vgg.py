"""VGG.

Shapes: B images, C channels in, H rows, W columns. Stage i = 0..4 gives (B, c, H / 2^(i+1), W / 2^(i+1)), c being 64,
128, 256, 512, 512; the classifier, stage 5, gives (B, num_classes).

Names of parameters: features.0.conv, features.0.bn, ..., counted with the pooling layers; classifier.0, .3, .6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, Cfg, architecture, check_frozen, chosen
from visuite.cv.layers import ConvModule
from visuite.engine.registry import MODELS

#: The channels of the stages.
WIDTHS = (64, 128, 256, 512, 512)
#: The side of the last map that the classifier is made for: that of images of 224 pixels.
_CLASSIFIED = 7


@MODELS.register_module()
class VGG(Backbone):
    """Plain stacks of 3x3 convolutions (Simonyan and Zisserman, arXiv:1409.1556).

    Args:
        depth: 11, 13, 16 or 19.
        in_channels: C.
        num_classes: Scores of the classifier; none with 0 and less.
        num_stages: How many of the five stages there are.
        dilations: Of each stage.
        out_indices: Stages whose maps are handed out; by default the last, or the classifier's scores.
        frozen_stages: Train none of the first n stages; 0 and -1 train all.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms; None is none.
        act_cfg: Config of the activations.
        norm_eval: Keep the statistics of batch norms as they are while training.
        ceil_mode: Pooling rounds odd sizes up.
        with_last_pool: Pool after the last stage.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown depth, or stages that do not exist.
    """

    arch_settings: ClassVar[Mapping[int, Sequence[int]]] = {
        11: (1, 1, 2, 2, 2),
        13: (2, 2, 2, 2, 2),
        16: (2, 2, 3, 3, 3),
        19: (2, 2, 4, 4, 4),
    }

    def __init__(
        self,
        depth: int,
        in_channels: int = 3,
        *,
        num_classes: int = -1,
        num_stages: int = 5,
        dilations: Sequence[int] = (1, 1, 1, 1, 1),
        out_indices: int | Sequence[int] | None = None,
        frozen_stages: int = -1,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = {"type": "ReLU"},  # noqa: B006 (read only)
        norm_eval: bool = False,
        ceil_mode: bool = False,
        with_last_pool: bool = True,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, pretrained=pretrained, init_cfg=_INIT if init_cfg is None else init_cfg)
        blocks = architecture(self.arch_settings, depth, "VGG")
        if not 1 <= num_stages <= len(blocks):
            raise ValueError(f"num_stages is 1 to {len(blocks)}, not {num_stages}")
        if len(dilations) < num_stages:
            raise ValueError(f"dilations {tuple(dilations)} has fewer entries than the {num_stages} stages")
        classifies = num_classes > 0
        if out_indices is None:
            out_indices = num_stages if classifies else num_stages - 1
        self.out_indices = chosen(out_indices, num_stages + classifies)
        self.frozen_stages = check_frozen(frozen_stages, -1, num_stages)

        cfgs = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        layers: list[nn.Module] = []
        self.stage_ends: list[int] = []
        self.out_channels, self.out_strides = (), ()
        width, stride = in_channels, 1
        for index in range(num_stages):
            for _ in range(blocks[index]):
                shape = {"padding": dilations[index], "dilation": dilations[index], "bias": True}
                layers.append(ConvModule(width, WIDTHS[index], 3, **shape, **cfgs))  # type: ignore[arg-type]
                width = WIDTHS[index]
            if index < num_stages - 1 or with_last_pool:
                layers.append(nn.MaxPool2d(2, stride=2, ceil_mode=ceil_mode))
                stride *= 2
            self.stage_ends.append(len(layers))
            if index in self.out_indices:
                self.out_channels += (width,)
                self.out_strides += (stride,)
        self.features = nn.Sequential(*layers)
        if classifies:
            self.classifier = _classifier(width * _CLASSIFIED**2, num_classes)
            if num_stages in self.out_indices:
                self.out_channels += (num_classes,)
                self.out_strides += (stride * _CLASSIFIED,)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, C, H, W) to one map for each of `out_indices`, as the file's head says."""
        maps = []
        begin = 0
        for index, end in enumerate(self.stage_ends):
            for layer in self.features[begin:end]:
                x = layer(x)
            begin = end
            if index in self.out_indices:
                maps.append(x)
        if len(self.stage_ends) in self.out_indices:
            maps.append(self.classifier(x.flatten(1)))
        return tuple(maps)

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the layers of the first stages."""
        return tuple(self.features[: self.stage_ends[self.frozen_stages - 1]]) if self.frozen_stages > 0 else ()


_INIT: tuple[Cfg, ...] = (
    {"type": "Kaiming", "layer": "Conv2d"},
    {"type": "Constant", "val": 1.0, "layer": ["_BatchNorm"]},
    {"type": "Normal", "std": 0.01, "layer": ["Linear"]},
)


def _classifier(features: int, num_classes: int, hidden: int = 4096) -> nn.Sequential:
    """Three linear layers: (B, features) to (B, num_classes)."""
    return nn.Sequential(
        nn.Linear(features, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(hidden, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(hidden, num_classes),
    )
