"""The backbone of YOLOv7. Shapes: see `base.py`; the stem of `Tiny` has stride 4, and its first stage keeps the size.

Names of parameters: stem.* (stem.0.*, ..., where it has several convolutions), stage1.0.*, stage1.1.short_conv.*, ...;
in each stage what halves the map stands before the block.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

from torch import nn

from visuite.cv.layers import ConvModule, Focus
from visuite.yolo.backbones.base import Stage, YOLOBackbone
from visuite.yolo.layers.downsample import MaxPoolAndStrideConvBlock, halving_pool
from visuite.yolo.layers.elan import EELANBlock, ELANBlock, TinyDownSampleBlock
from visuite.yolo.registry import MODELS

#: Of a stage: channels of the halved map, of the convolutions inside the block, and out.
Widths = tuple[int, int, int]

#: Channels inside the blocks of the networks with five stages.
_INNER = (64, 128, 256, 384, 512)


def _stages(
    stem: int, widths: Iterable[Widths], halve: str, *, first: str, blocks: int = 2, elans: int = 1
) -> tuple[Stage, ...]:
    """Return the rows of an architecture.

    Args:
        stem: Channels of the stem.
        widths: Of each stage.
        halve: What halves the maps: `pool`, a maximum; `conv`, a convolution; `both`, half of the channels each;
            `wide`, both, with as many channels before the convolution as come in; `keep`, nothing.
        first: The same in the first stage.
        blocks: Pairs of 3x3 convolutions in each `ELANBlock`.
        elans: How many of these are summed.
    """
    rows: list[Stage] = []
    before = stem
    for width, inner, out in widths:
        options = {"halve": halve if rows else first, "width": width, "ratio": inner / width, "elans": elans}
        rows.append(Stage(before, out, blocks, options=options))
        before = out
    return tuple(rows)


def _of_five(*widths: int) -> Iterable[Widths]:
    """Return the widths of five stages whose blocks keep the channels."""
    return zip(widths, _INNER, widths, strict=True)


@MODELS.register_module()
class YOLOv7Backbone(YOLOBackbone):
    """ELAN blocks behind what halves the map (YOLOv7: Wang et al., arXiv:2207.02696).

    Args:
        arch: `Tiny`, `L` (YOLOv7 itself), `X`; with five stages `W` (W6), `E` (E6), `D` (D6), `E2E` (E6E).
        kwargs: See `YOLOBackbone`.

    Raises:
        ValueError: an unknown architecture, or stages that do not exist.
    """

    arch_settings: ClassVar[Mapping[str, Sequence[Stage]]] = {
        "Tiny": _stages(64, [(64, 32, 64), (64, 64, 128), (128, 128, 256), (256, 256, 512)], "pool", first="keep"),
        "L": _stages(64, [(128, 64, 256), (256, 128, 512), (512, 256, 1024), (1024, 256, 1024)], "both", first="conv"),
        "X": _stages(
            80, [(160, 64, 320), (320, 128, 640), (640, 256, 1280), (1280, 256, 1280)], "both", first="conv", blocks=3
        ),
        "W": _stages(64, _of_five(128, 256, 512, 768, 1024), "conv", first="conv"),
        "E": _stages(80, _of_five(160, 320, 640, 960, 1280), "wide", first="wide", blocks=3),
        "D": _stages(96, _of_five(192, 384, 768, 1152, 1536), "wide", first="wide", blocks=4),
        "E2E": _stages(80, _of_five(160, 320, 640, 960, 1280), "wide", first="wide", blocks=3, elans=2),
    }

    def __init__(self, arch: str = "L", **kwargs: Any) -> None:
        super().__init__(self.stages_of(arch), **kwargs)
        self.arch = arch
        self.stem_stride = 4 if arch == "Tiny" else 2
        self.build_layers()

    def build_stem(self) -> nn.Module:
        """Return convolutions of which one halves the map, or two; with five stages, pixels become channels first."""
        wide = self.width(self.stages[0].in_channels)
        if len(self.stages) == 5:
            return Focus(self.input_channels, wide, kernel_size=3, **self.cfgs)
        narrow = self.width(self.stages[0].in_channels // 2)
        widths, strides = ([narrow, wide], [2, 2]) if self.arch == "Tiny" else ([narrow, wide, wide], [1, 2, 1])
        return nn.Sequential(
            *(
                ConvModule(channels, out, 3, stride=stride, padding=1, **self.cfgs)
                for (channels, out), stride in zip(pairwise([self.input_channels, *widths]), strides, strict=True)
            )
        )

    def build_stage(self, index: int, stage: Stage) -> list[nn.Module]:
        """Return what halves the map, and an ELAN block."""
        before, width, out = (
            self.width(channels) for channels in (stage.in_channels, stage.options["width"], stage.out_channels)
        )
        return [*self._halve(stage.options["halve"], before, width), self._block(stage, width, out)]

    def _halve(self, how: str, channels: int, out: int) -> list[nn.Module]:
        if how == "keep":
            return []
        if how == "pool":
            return [halving_pool()]
        if how == "conv":
            return [ConvModule(channels, out, 3, stride=2, padding=1, **self.cfgs)]
        return [MaxPoolAndStrideConvBlock(channels, out, use_in_channels_of_middle=how == "wide", **self.cfgs)]

    def _block(self, stage: Stage, width: int, out: int) -> nn.Module:
        ratio, elans = stage.options["ratio"], stage.options["elans"]
        if self.arch == "Tiny":
            return TinyDownSampleBlock(width, out, middle_ratio=ratio, **self.cfgs)
        shape: dict[str, Any] = {
            "in_channels": width,
            "out_channels": out,
            "middle_ratio": ratio,
            "block_ratio": ratio,
            "num_blocks": self.depth(stage.num_blocks),
            "num_convs_in_block": 2,
            **self.cfgs,
        }
        return EELANBlock(elans, **shape) if elans > 1 else ELANBlock(**shape)
