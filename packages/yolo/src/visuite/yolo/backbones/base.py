"""How the stages of a YOLO's backbone go together; the other files say what stands in each.

Shapes: B images, C channels, H rows, W columns. Map i = 0, 1, ... is (B, c_i, H / s_i, W / s_i), its sides rounded up;
0 is the stem's, the others are the stages'. s_i is 2^(i+1), but for stems that tell another stride.

Names of parameters: stem.*, stage1.0.*, stage1.1.*, ..., stage2.0.*, ...; plugins stand last in their stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, architecture, check_frozen, chosen
from visuite.cv.layers import LIKE_TORCH, build_plugin_layer, plugins_of_stage
from visuite.yolo.layers.sizes import make_divisible, make_round

Cfg = Mapping[str, Any]


@dataclass(frozen=True)
class Stage:
    """A row of a backbone's table, before widening and deepening.

    Attributes:
        in_channels: Channels in.
        out_channels: Channels out.
        num_blocks: How many blocks there are.
        add_identity: Whether these have shortcuts.
        use_spp: Whether the stage pools over several ranges.
        options: What else the family's stages differ in.
    """

    in_channels: int
    out_channels: int
    num_blocks: int = 1
    add_identity: bool = True
    use_spp: bool = False
    options: Cfg = field(default_factory=dict)


class YOLOBackbone(Backbone):
    """A stem, and stages behind one another.

    A subclass has a table of stages, writes `build_stem` and `build_stage`, and calls `build_layers` at the end of its
    constructor:

        def __init__(self, arch: str = "P5", **kwargs: Any) -> None:
            super().__init__(self.stages_of(arch), **kwargs)
            self.build_layers()

    Args:
        stages: A row for each stage.
        deepen_factor: Factor of the numbers of blocks.
        widen_factor: Factor of the channels.
        input_channels: Channels of the images.
        out_indices: Maps handed out; 0 is the stem's.
        frozen_stages: Train neither the stem (0) nor the first n stages; -1 trains all.
        plugins: `dict(cfg=..., stages=(bool, ...))` each: layers that stand behind some of the stages, or all.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        norm_eval: Keep the statistics of batch norms as they are while training.
        init_cfg: How weights are initialised.

    Attributes:
        stages: The rows.
        cfgs: `conv_cfg`, `norm_cfg` and `act_cfg`, as layers take them.

    Raises:
        ValueError: stages that do not exist.
    """

    arch_settings: ClassVar[Mapping[str, Sequence[Stage]]] = {}

    #: Input pixels per pixel of the stem's map.
    stem_stride: int = 2

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        deepen_factor: float = 1.0,
        widen_factor: float = 1.0,
        input_channels: int = 3,
        out_indices: int | Sequence[int] = (2, 3, 4),
        frozen_stages: int = -1,
        plugins: Cfg | Sequence[Cfg] | None = None,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg | None = {"type": "SiLU", "inplace": True},  # noqa: B006
        norm_eval: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, init_cfg=LIKE_TORCH if init_cfg is None else init_cfg)
        self.stages = tuple(stages)
        self.deepen_factor, self.widen_factor = deepen_factor, widen_factor
        self.input_channels = input_channels
        self.out_indices = chosen(out_indices, len(self.stages) + 1)
        self.frozen_stages = check_frozen(frozen_stages, -1, len(self.stages))
        self.plugins: Sequence[Cfg] = [plugins] if isinstance(plugins, Mapping) else list(plugins or ())
        self.cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}

    @classmethod
    def stages_of(cls, arch: str) -> Sequence[Stage]:
        """Return the rows of an architecture.

        Raises:
            ValueError: there is none of this name; says the nearest.
        """
        return architecture(cls.arch_settings, arch, cls.__name__)

    def width(self, channels: int) -> int:
        """Return a number of channels, widened."""
        return make_divisible(channels, self.widen_factor)

    def depth(self, blocks: int) -> int:
        """Return a number of blocks, deepened."""
        return make_round(blocks, self.deepen_factor)

    def blocks(self, stage: Stage) -> dict[str, Any]:
        """Return the arguments of a CSP layer that a row of the table says."""
        return {"num_blocks": self.depth(stage.num_blocks), "add_identity": stage.add_identity}

    def build_stem(self) -> nn.Module:
        """Return the module that makes of images (B, `input_channels`, H, W) the map that the first stage takes."""
        raise NotImplementedError(f"{type(self).__name__} needs build_stem()")

    def build_stage(self, index: int, stage: Stage) -> Sequence[nn.Module]:
        """Return the modules of a stage in their order; the first stage's index is 0."""
        raise NotImplementedError(f"{type(self).__name__} needs build_stage(index, stage)")

    def build_layers(self) -> None:
        """Build the stem and the stages, and freeze those that are to be."""
        self.layers = ["stem"]
        self.stem = self.build_stem()
        for index, stage in enumerate(self.stages):
            modules = [*self.build_stage(index, stage), *self._plugins_behind(index, stage)]
            self.layers.append(f"stage{index + 1}")
            self.add_module(self.layers[-1], nn.Sequential(*modules))
        widths = [self.width(channels) for channels in (self.stages[0].in_channels, *self._outputs())]
        strides = [self.stem_stride, *(2 ** (index + 2) for index in range(len(self.stages)))]
        self.out_channels = tuple(widths[index] for index in self.out_indices)
        self.out_strides = tuple(strides[index] for index in self.out_indices)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, `input_channels`, H, W) to one map for each of `out_indices`, as the file's head says."""
        maps = []
        for index, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the stem and the first stages."""
        return tuple(getattr(self, name) for name in self.layers[: self.frozen_stages + 1])

    def _outputs(self) -> list[int]:
        return [stage.out_channels for stage in self.stages]

    def _plugins_behind(self, index: int, stage: Stage) -> list[nn.Module]:
        channels = self.width(stage.out_channels)
        chosen_ones = plugins_of_stage(self.plugins, index, len(self.stages))
        return [build_plugin_layer(dict(plugin["cfg"]), in_channels=channels)[1] for plugin in chosen_ones]
