"""Backbones of torchvision.

Shapes: B images, C_i channels of map i, H rows, W columns, s_i its stride.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, chosen
from visuite.engine.registry import MODELS
from visuite.engine.utils.text import did_you_mean

#: The side of the image that shows the strides; all models take it.
_PROBE = 224


@MODELS.register_module()
class TorchvisionBackbone(Backbone):
    """A classification model of torchvision up to its maps, `model`; weights keep torchvision's names.

    Map i = 0, 1, ... is what the last part of the model with a stride gives, for each stride from 4 on.

    Args:
        model_name: Its name there, such as `convnext_tiny`.
        weights: `DEFAULT`, or the name of one of its sets of weights; None starts anew.
        out_indices: Which of the maps are handed out.
        return_nodes: Names of modules that give the maps, in place of those found.
        init_cfg: How weights are initialised; None leaves them as torchvision made them.
        **kwargs: For the model.

    Raises:
        ValueError: torchvision has no such model, there are no maps, or `out_indices` names one too many.
    """

    def __init__(
        self,
        model_name: str,
        weights: str | None = None,
        out_indices: int | Sequence[int] = -1,
        *,
        return_nodes: Sequence[str] | None = None,
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        from torchvision.models.feature_extraction import create_feature_extractor

        super().__init__(init_cfg=[] if init_cfg is None else init_cfg)
        whole = create_torchvision_model(model_name, weights=weights, **kwargs)
        seen = _probe(whole)
        names = list(_last_of_each(whole, seen)) if return_nodes is None else list(return_nodes)
        unfit = [name for name in names if name not in seen]
        if unfit or not names:
            raise ValueError(f"{model_name} has no map {unfit[0] if unfit else 'of a stride; name its return_nodes'}")
        self.out_indices = chosen(out_indices, len(names))
        self.names = [names[index] for index in self.out_indices]
        self.last = [seen[name].channels_last for name in self.names]
        self.out_channels = tuple(seen[name].channels for name in self.names)
        self.out_strides = tuple(_PROBE // seen[name].side for name in self.names)
        self.model = create_feature_extractor(whole, return_nodes=self.names)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, 3, H, W) to (B, C_i, H / s_i, W / s_i), one for each of `out_indices`."""
        maps = self.model(x)
        return tuple(
            maps[name].permute(0, 3, 1, 2) if last else maps[name]
            for name, last in zip(self.names, self.last, strict=True)
        )


def create_torchvision_model(model_name: str, **kwargs: Any) -> nn.Module:
    """Return a classification model of torchvision.

    Args:
        model_name: Its name there.
        **kwargs: For the model: `weights`, `num_classes`, ...

    Raises:
        ValueError: torchvision has no such model.
    """
    import torchvision  # late, for it takes a second

    known = torchvision.models.list_models(module=torchvision.models)
    if model_name not in known:
        raise ValueError(f"torchvision has no model {model_name!r}{did_you_mean(model_name, known)}")
    return torchvision.models.get_model(model_name, **kwargs)


@dataclass(frozen=True)
class _Map:
    """What a module made of the probe."""

    channels: int
    side: int
    channels_last: bool
    shrinks: bool  # by more than 2: several strides lie inside


def _probe(whole: nn.Module) -> dict[str, _Map]:
    """Return what each module gives for one image, where it is a square map."""
    seen: dict[str, _Map] = {}
    handles = []
    for name, module in whole.named_modules():

        def look(_: nn.Module, given: tuple[Any, ...], out: Any, name: str = name) -> None:
            if not isinstance(out, torch.Tensor) or out.ndim != 4:
                return
            first, side, third = out.shape[1:]
            last = side != third
            if not last or first == side:
                seen[name] = _Map(third if last else first, side, last, max(given[0].shape[2:]) > 2 * side)

        handles.append(module.register_forward_hook(look))
    training = whole.training
    try:
        with torch.no_grad():
            whole.eval()(torch.zeros(1, 3, _PROBE, _PROBE))
    finally:
        whole.train(training)
        for handle in handles:
            handle.remove()
    return seen


def _last_of_each(whole: nn.Module, seen: Mapping[str, _Map]) -> Iterator[str]:
    """Yield the last part of each stride from 4 on, before pooling makes one pixel of the map."""
    last: dict[int, str] = {}
    for name in _parts(whole, "", seen):
        if 1 < seen[name].side <= _PROBE // 4:
            last[seen[name].side] = name
    yield from (last[side] for side in sorted(last, reverse=True))


def _parts(module: nn.Module, prefix: str, seen: Mapping[str, _Map]) -> Iterator[str]:
    """Yield the names of a model's parts, and of the parts of such as hold several strides."""
    for name, child in module.named_children():
        if prefix + name not in seen:
            continue
        if isinstance(child, nn.Sequential) and seen[prefix + name].shrinks:
            yield from _parts(child, f"{prefix}{name}.", seen)
        else:
            yield prefix + name
