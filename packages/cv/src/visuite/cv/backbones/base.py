"""What all backbones share: parts that are held still while training, and clear answers to wrong arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from visuite.engine.model import BaseModule
from visuite.engine.utils.text import did_you_mean

Cfg = Mapping[str, Any]
T = TypeVar("T")

#: How convolutional networks start where nothing else is said.
KAIMING: tuple[Cfg, ...] = (
    {"type": "Kaiming", "layer": "Conv2d"},
    {"type": "Constant", "val": 1, "layer": ["_BatchNorm", "GroupNorm"]},
)


class Backbone(BaseModule):
    """Images to maps; `train` switches on all but what `frozen_parts` names.

    A subclass calls `hold_frozen` at the end of its constructor.

    Args:
        norm_eval: Keep the statistics of batch norms as they are while training.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Attributes:
        out_channels: The channels of each map handed out.
        out_strides: Input pixels per pixel of each.

    Raises:
        ValueError: both `pretrained` and `init_cfg`.
    """

    out_channels: tuple[int, ...]
    out_strides: tuple[int, ...]

    def __init__(self, *, norm_eval: bool = False, pretrained: str | None = None, init_cfg: Any = None) -> None:
        if pretrained is not None:
            if init_cfg is not None:
                raise ValueError("pretrained and init_cfg cannot both be given")
            init_cfg = {"type": "Pretrained", "checkpoint": pretrained}
        super().__init__(list(KAIMING) if init_cfg is None else init_cfg)
        self.norm_eval = norm_eval

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the parts that neither learn nor gather statistics."""
        return ()

    def hold_frozen(self) -> None:
        """Take gradients and new statistics from the frozen parts."""
        for part in self.frozen_parts():
            part.eval()
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Switch to training, but for what is frozen."""
        super().train(mode)
        self.hold_frozen()
        if mode and self.norm_eval:
            for layer in self.modules():
                if isinstance(layer, _BatchNorm):
                    layer.eval()
        return self


def architecture(table: Mapping[Any, T], arch: Any, kind: str) -> T:
    """Return the entry of a table of sizes.

    Raises:
        ValueError: there is none of this name; says the nearest.
    """
    if arch not in table:
        known = [str(name) for name in table]
        raise ValueError(f"{kind} has no {arch!r}{did_you_mean(str(arch), known)}; it has {', '.join(known)}")
    return table[arch]


def custom_architecture(arch: Cfg, keys: Sequence[str], kind: str) -> Cfg:
    """Return an architecture that the user wrote down.

    Raises:
        ValueError: it lacks some of the keys.
    """
    missing = [key for key in keys if key not in arch]
    if missing:
        raise ValueError(f"{kind}'s arch needs the keys {', '.join(keys)}; {', '.join(missing)} not given")
    return arch


def chosen(out_indices: int | Sequence[int], count: int) -> tuple[int, ...]:
    """Return the stages asked for, counted from 0; negative ones count from the end.

    Raises:
        ValueError: a stage that does not exist.
    """
    wanted = [out_indices] if isinstance(out_indices, int) else list(out_indices)
    for index in wanted:
        if not -count <= index < count:
            raise ValueError(f"out_indices {tuple(wanted)} names a stage outside 0..{count - 1}")
    return tuple(index % count for index in wanted)


def check_frozen(frozen_stages: int, least: int, most: int) -> int:
    """Return `frozen_stages`.

    Raises:
        ValueError: it is outside of `least` to `most`.
    """
    if not least <= frozen_stages <= most:
        raise ValueError(f"frozen_stages is {least} to {most}, not {frozen_stages}")
    return frozen_stages
