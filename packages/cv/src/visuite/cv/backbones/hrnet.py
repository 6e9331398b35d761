"""HRNet: branches at several resolutions, side by side, that exchange what they see.

Shapes: B images, C channels in, H rows, W columns. The last stage gives a map for each branch b = 0..3, (B, c_b,
H / s_b, W / s_b) with s_b = 4 * 2^b; sides are rounded up.

Names of parameters: conv1, bn1, conv2, bn2, layer1.0.conv1, ..., transition1.0.0, transition1.1.0.0,
stage2.0.branches.0.0.conv1, stage2.0.fuse_layers.0.1.0, ..., stage4.*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.backbones.base import Backbone, Cfg, architecture, check_frozen
from visuite.cv.backbones.resnet_block import BasicBlock, BlockOptions, Bottleneck, make_shortcut, make_stage
from visuite.engine.registry import MODELS

_BLOCKS: dict[str, type[BasicBlock | Bottleneck]] = {"BASIC": BasicBlock, "BOTTLENECK": Bottleneck}
_STAGES = ("stage1", "stage2", "stage3", "stage4")
_KEYS = ("num_modules", "num_branches", "block", "num_blocks", "num_channels")


def _stage(modules: int, block: str, widths: Sequence[int]) -> Cfg:
    return dict(zip(_KEYS, (modules, len(widths), block, (4,) * len(widths), tuple(widths)), strict=True))


def _table(width: int) -> Cfg:
    """Return the stages of the HRNet whose finest branch has `width` channels."""
    widths = [width * 2**branch for branch in range(4)]
    return {
        "stage1": _stage(1, "BOTTLENECK", (64,)),
        "stage2": _stage(1, "BASIC", widths[:2]),
        "stage3": _stage(4, "BASIC", widths[:3]),
        "stage4": _stage(3, "BASIC", widths),
    }


class HRModule(nn.Module):
    """Blocks in each branch, and then an exchange: each branch gets the sum of all, brought to its shape.

    Args:
        block: The residual block.
        num_blocks: Of each branch.
        num_channels: K of each branch.
        in_channels: Of each branch.
        options: Of the blocks.
        upsample: How coarse maps are enlarged: `nearest` or `bilinear`.
        multiscale_output: Give a map for each branch, not for the finest alone.
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        num_blocks: Sequence[int],
        num_channels: Sequence[int],
        *,
        in_channels: Sequence[int],
        options: BlockOptions,
        upsample: str,
        multiscale_output: bool = True,
    ) -> None:
        super().__init__()
        self.upsample = upsample
        widths = [channels * block.expansion for channels in num_channels]
        self.branches = nn.ModuleList(
            _blocks(block, width, channels, count, options)
            for width, channels, count in zip(in_channels, num_channels, num_blocks, strict=True)
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_path(widths, source, target, options) for source in range(len(widths)))
            for target in range(len(widths) if multiscale_output else 1)
        )
        self.relu = nn.ReLU(inplace=False)

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """One map for each branch to one for each, or to the finest alone."""
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        if len(maps) == 1:
            return maps
        return [self.relu(self._gather(paths, maps, target)) for target, paths in enumerate(self.fuse_layers)]

    def _gather(self, paths: nn.Module, maps: Sequence[torch.Tensor], target: int) -> torch.Tensor:
        parts = [path(x) for path, x in zip(paths.children(), maps, strict=True)]
        align = None if self.upsample == "nearest" else False
        for source in range(target + 1, len(parts)):
            size = parts[target].shape[2:]
            parts[source] = F.interpolate(parts[source], size=size, mode=self.upsample, align_corners=align)
        return reduce(torch.add, parts)


@MODELS.register_module()
class HRNet(Backbone):
    """High resolution from end to end (Wang et al., arXiv:1908.07919).

    Args:
        arch: `w18`, `w30`, `w32`, `w40`, `w44`, `w48`, `w64`; or what `extra` would be.
        in_channels: C.
        extra: The stages in full: a dict of `stage1` to `stage4`, each of them a dict of `num_modules`, `num_branches`,
            `block` (`BASIC` or `BOTTLENECK`), `num_blocks` and `num_channels` by branch. It wins over `arch`.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        norm_eval: Keep the statistics of batch norms as they are while training.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        frozen_stages: Train neither the stem (0) nor the first n stages with what follows them; -1 trains all.
        zero_init_residual: Blocks start as their shortcuts.
        multiscale_output: Give the maps of all branches, not of the finest alone.
        upsample: How coarse maps are enlarged: `nearest`; segmentation's weights want `bilinear`.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown architecture, or stages that are not whole.
    """

    arch_settings: ClassVar[Mapping[str, Cfg]] = {f"w{width}": _table(width) for width in (18, 30, 32, 40, 44, 48, 64)}

    def __init__(
        self,
        arch: str | Cfg = "w32",
        in_channels: int = 3,
        *,
        extra: Cfg | None = None,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        norm_eval: bool = False,
        with_cp: bool = False,
        frozen_stages: int = -1,
        zero_init_residual: bool = False,
        multiscale_output: bool = True,
        upsample: str = "nearest",
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, pretrained=pretrained, init_cfg=init_cfg)
        if upsample not in ("nearest", "bilinear"):
            raise ValueError(f"upsample is 'nearest' or 'bilinear', not {upsample!r}")
        table = extra if extra is not None else arch
        table = architecture(self.arch_settings, table, "HRNet") if isinstance(table, str) else table
        self.extra = {name: _checked(table, name, branches) for branches, name in enumerate(_STAGES, start=1)}
        self.frozen_stages = check_frozen(frozen_stages, -1, len(_STAGES))
        self.upsample = upsample
        options = BlockOptions(
            with_cp=with_cp,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg or {"type": "BN"},
            zero_init_residual=zero_init_residual,
        )
        self._make_stem(in_channels, options)

        first = self.extra["stage1"]
        block, channels = _BLOCKS[first["block"]], first["num_channels"][0]
        self.layer1 = _blocks(block, 64, channels, first["num_blocks"][0], options)
        widths = [channels * block.expansion]
        for number, name in enumerate(_STAGES[1:], start=2):
            stage = self.extra[name]
            block = _BLOCKS[stage["block"]]
            wanted = [channels * block.expansion for channels in stage["num_channels"]]
            self.add_module(f"transition{number - 1}", _transition(widths, wanted, options))
            whole = multiscale_output or number < len(_STAGES)
            modules = []
            for index in range(stage["num_modules"]):
                module = HRModule(
                    block,
                    stage["num_blocks"],
                    stage["num_channels"],
                    in_channels=wanted,
                    options=options,
                    upsample=upsample,
                    multiscale_output=whole or index < stage["num_modules"] - 1,
                )
                modules.append(module)
            self.add_module(name, nn.Sequential(*modules))
            widths = wanted
        self.out_channels = tuple(widths if multiscale_output else widths[:1])
        self.out_strides = tuple(4 * 2**branch for branch in range(len(self.out_channels)))
        self.hold_frozen()

    @property
    def norm1(self) -> nn.Module:
        """The first norm of the stem."""
        return getattr(self, self.norm1_name)

    @property
    def norm2(self) -> nn.Module:
        """The second norm of the stem."""
        return getattr(self, self.norm2_name)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, C, H, W) to one map for each branch, as the file's head says."""
        x = self.relu(self.norm1(self.conv1(x)))
        x = self.relu(self.norm2(self.conv2(x)))
        maps = [self.layer1(x)]
        for number, name in enumerate(_STAGES[1:], start=1):
            transition = getattr(self, f"transition{number}")
            # A new branch, and in the first transition each, begins from the coarsest map there is.
            sources = maps + [maps[-1]] * (len(transition) - len(maps))
            maps = getattr(self, name)([step(one) for step, one in zip(transition, sources, strict=True)])
        return tuple(maps)

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the stem and the first stages, each with the transition behind it."""
        if self.frozen_stages < 0:
            return ()
        names = []
        for number in range(1, self.frozen_stages + 1):
            names += ["layer1" if number == 1 else f"stage{number}"] + [f"transition{number}"] * (number < len(_STAGES))
        return self.conv1, self.norm1, self.conv2, self.norm2, *(getattr(self, name) for name in names)

    def _make_stem(self, in_channels: int, options: BlockOptions, width: int = 64) -> None:
        self.conv1 = options.conv(in_channels, width, 3, stride=2, padding=1)
        self.norm1_name, norm1 = options.norm(width, postfix=1)
        self.add_module(self.norm1_name, norm1)
        self.conv2 = options.conv(width, width, 3, stride=2, padding=1)
        self.norm2_name, norm2 = options.norm(width, postfix=2)
        self.add_module(self.norm2_name, norm2)
        self.relu = nn.ReLU(inplace=True)


def _checked(table: Cfg, name: str, branches: int) -> Cfg:
    """Return a stage of a table.

    Raises:
        ValueError: it is not there, lacks keys, names an unknown block or counts branches in two ways.
    """
    stage = table.get(name)
    missing = [key for key in _KEYS if stage is None or key not in stage]
    if stage is None or missing:
        raise ValueError(f"{name} of HRNet needs {', '.join(_KEYS)}; {', '.join(missing)} not given")
    if stage["block"] not in _BLOCKS:
        raise ValueError(f"block of {name} is one of {sorted(_BLOCKS)}, not {stage['block']!r}")
    lengths = {stage["num_branches"], len(stage["num_blocks"]), len(stage["num_channels"])}
    if lengths != {branches}:
        raise ValueError(f"{name} of HRNet has {branches} branches, but num_branches, num_blocks, num_channels differ")
    return stage


def _blocks(
    block: type[BasicBlock | Bottleneck], in_channels: int, channels: int, count: int, options: BlockOptions
) -> nn.Sequential:
    wide = channels * block.expansion
    shortcut = make_shortcut(in_channels, wide, 1, options=options, avg_down=False, always_pool=False)
    return make_stage(block, in_channels, channels, stride=1, dilations=[1] * count, options=options, shortcut=shortcut)


def _conv_norm(
    options: BlockOptions, in_channels: int, out_channels: int, *, stride: int = 1, act: bool = True
) -> nn.Sequential:
    conv = options.conv(in_channels, out_channels, 3, stride=stride, padding=1)
    layers = [conv, options.norm(out_channels)[1]] + [nn.ReLU(inplace=True)] * act
    return nn.Sequential(*layers)


def _transition(before: Sequence[int], wanted: Sequence[int], options: BlockOptions) -> nn.ModuleList:
    """Return what leads to each branch of a stage: a new one starts by a stride from the coarsest before."""
    steps = nn.ModuleList()
    for branch, width in enumerate(wanted):
        if branch < len(before):
            same = before[branch] == width
            steps.append(nn.Identity() if same else _conv_norm(options, before[branch], width))
        else:
            halvings = branch - len(before) + 1
            widths = [before[-1]] * halvings + [width]
            pairs = pairwise(widths)
            steps.append(nn.Sequential(*(_conv_norm(options, one, other, stride=2) for one, other in pairs)))
    return steps


def _path(widths: Sequence[int], source: int, target: int, options: BlockOptions) -> nn.Module:
    """Return what brings a branch's map to another's channels, and to its size where that is smaller."""
    if source == target:
        return nn.Identity()
    if source > target:
        conv = options.conv(widths[source], widths[target], 1)
        return nn.Sequential(conv, options.norm(widths[target])[1])
    steps = [_conv_norm(options, widths[source], widths[source], stride=2) for _ in range(target - source - 1)]
    return nn.Sequential(*steps, _conv_norm(options, widths[source], widths[target], stride=2, act=False))
