"""Learning rates that fall from the head of a network to its stem, for fine-tuning (BEiT, arXiv:2106.08254)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from torch import nn

from visuite.engine.logging import print_log
from visuite.engine.optim.constructor import DECAY_RULES, DefaultOptimWrapperConstructor, Place
from visuite.engine.registry import OPTIM_WRAPPER_CONSTRUCTORS

#: A parameter's depth and the number of depths: 0 is the stem, `number - 1` the head.
Depth = tuple[int, int]
DepthOf = Callable[[str], Depth]

#: Tokens and positions, which stand before the first layer of a backbone and are not decayed.
_STEM = ("cls_token", "dist_token", "mask_token", "pos_embed", "absolute_pos_embed")


def depth_from_model(model: nn.Module) -> DepthOf | None:
    """Return the depths that a model's own `get_layer_depth(param_name, prefix)` tells, or None where it has none.

    The outermost modules that have the method answer for their parameters; all others belong to the head.
    """
    tellers = list(_tellers(model, ""))
    if not tellers:
        return None

    def told(name: str) -> Depth | None:
        for prefix, ask in tellers:
            if name.startswith(prefix):
                return ask(name, prefix) if prefix else ask(name)
        return None

    deepest = max(count for name, _ in model.named_parameters() for _, count in [told(name) or (0, 1)])
    return lambda name: told(name) or (deepest - 1, deepest)


def _tellers(module: nn.Module, prefix: str) -> Iterator[tuple[str, Callable[..., Depth]]]:
    tell: Any = getattr(module, "get_layer_depth", None)
    if tell is not None:
        yield prefix, tell
        return
    for name, child in module.named_children():
        yield from _tellers(child, f"{prefix}{name}.")


def transformer_depth(layers: int) -> DepthOf:
    """Return the depths of a plain transformer backbone (ViT, BEiT, MAE): each block of `layers` is one."""

    def depth(name: str) -> Depth:
        parts = name.split(".")
        if parts[0] == "backbone" and (parts[1] in _STEM or parts[1] == "patch_embed"):
            return 0, layers + 2
        if parts[:2] == ["backbone", "layers"]:
            return int(parts[2]) + 1, layers + 2
        return layers + 1, layers + 2

    return depth


def convnext_depth(layers: int) -> DepthOf:
    """Return the depths of a ConvNeXt: three consecutive blocks make one (arXiv:2201.03545, appendix A).

    The first, second and last stage are one depth each; a layer that reduces the resolution has that of the block
    after it.
    """
    first_of_stage = (1, 2, 3, layers)

    def depth(name: str) -> Depth:
        parts = name.split(".")
        if parts[0] == "backbone" and parts[1] in _STEM:
            return 0, layers + 2
        if parts[:2] == ["backbone", "downsample_layers"]:
            stage = int(parts[2])
            return (first_of_stage[stage] if stage else 0), layers + 2
        if parts[:2] == ["backbone", "stages"]:
            stage, block = int(parts[2]), int(parts[3])
            return first_of_stage[stage] + (block // 3 if stage == 2 else 0), layers + 2
        return layers + 1, layers + 2

    return depth


def stage_depth(layers: int) -> DepthOf:
    """Return the depths of a backbone of stages: stem and layers between stages 0, then the stages."""
    below = (*_STEM, "patch_embed", "downsample_layers")

    def depth(name: str) -> Depth:
        parts = name.split(".")
        if parts[0] == "backbone" and parts[1] in below:
            return 0, layers + 2
        if parts[:2] == ["backbone", "stages"]:
            return int(parts[2]) + 1, layers + 2
        return layers + 1, layers + 2

    return depth


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LearningRateDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Multiply a parameter's learning rate by `layer_decay_rate` once for each layer above its own.

    The model, or parts of it such as the backbone, tell depths by `get_layer_depth(param_name, prefix) -> (depth,
    number of depths)`. A `lr_mult` of a custom key multiplies on top.

    Args:
        optim_wrapper_cfg: As for `DefaultOptimWrapperConstructor`.
        paramwise_cfg: `layer_decay_rate` (1 by default), `norm_decay_mult`, `bias_decay_mult`, `flat_decay_mult`,
            `dwconv_decay_mult`, `custom_keys`, `bypass_duplicate`.
    """

    options: ClassVar[tuple[str, ...]] = ("layer_decay_rate", "custom_keys", *DECAY_RULES, "bypass_duplicate")

    def __call__(self, model: nn.Module) -> Any:
        """Build the optimizer of a model, in its wrapper."""
        self._depth_of = depth_from_model(model)
        if self._depth_of is None and self.paramwise_cfg.get("layer_decay_rate", 1.0) != 1.0:
            print_log(
                "no part of the model has get_layer_depth: layer_decay_rate has no effect", "current", level="WARNING"
            )
        return super().__call__(model)

    def settings_of(self, place: Place) -> dict[str, Any]:
        """Return what is special about a parameter, its layer's share of the learning rate included."""
        settings = super().settings_of(place)
        depth, count = self._depth_of(place.name) if self._depth_of else (0, 1)
        share = self.paramwise_cfg.get("layer_decay_rate", 1.0) ** (count - 1 - depth)
        return {**settings, "lr_mult": settings.get("lr_mult", 1.0) * share, "param_name": place.name}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module(
    name=["LearningRateDecayOptimizerConstructor", "LayerDecayOptimizerConstructor"]
)
class LearningRateDecayOptimizerConstructor(DefaultOptimWrapperConstructor):
    """Give each depth of a network two groups, with and without weight decay, and a rate that falls with the depth.

    Biases, other parameters of one dimension, position embeddings and class tokens are not decayed.

    Args:
        optim_wrapper_cfg: As for `DefaultOptimWrapperConstructor`.
        paramwise_cfg: `decay_rate` (or `layer_decay_rate`), the factor from one depth to the next below; `decay_type`,
            'layer_wise' (default) or 'stage_wise'; `num_layers`, the number of layers or stages without stem and head,
            which models that have `get_layer_depth` need not be given; `norm_decay_mult` and `bias_decay_mult`, which
            configs inherit, are 0 here.

    Raises:
        KeyError: `decay_rate`, or `num_layers` where it is needed, is missing.
        ValueError: `decay_type` is unknown or not for this model, a decay of norms or biases is not 0, `num_layers` is
            not what the model tells, or nothing tells its depths.
    """

    options: ClassVar[tuple[str, ...]] = (
        "decay_rate",
        "layer_decay_rate",
        "decay_type",
        "num_layers",
        "norm_decay_mult",
        "bias_decay_mult",
        "bypass_duplicate",
    )

    def add_params(self, params: list[dict[str, Any]], module: nn.Module, prefix: str = "") -> None:
        """Append the groups of a model, in the order in which its parameters first need them."""
        depth_of, rate = self._depth_of(module), self._rate()
        groups: dict[str, dict[str, Any]] = {}
        for place in self.trainable(module, prefix):
            depth, count = depth_of(place.name)
            decays = not (place.parameter.ndim == 1 or place.is_bias or place.name.rpartition(".")[2] in _STEM)
            name = f"layer_{depth}_{'decay' if decays else 'no_decay'}"
            if name not in groups:
                share = rate ** (count - 1 - depth)
                marks = dict(group_name=name, lr_scale=share, lr_mult=share)
                groups[name] = dict(params=[], param_names=[], **marks, **({} if decays else {"decay_mult": 0.0}))
            groups[name]["params"].append(place.parameter)
            groups[name]["param_names"].append(place.name)
        params.extend(groups.values())

    def _check_paramwise(self) -> None:
        super()._check_paramwise()
        if self.paramwise_cfg.get("decay_type", "layer_wise") not in ("layer_wise", "stage_wise"):
            raise ValueError(f"decay_type is 'layer_wise' or 'stage_wise', not {self.paramwise_cfg['decay_type']!r}")
        for key in ("norm_decay_mult", "bias_decay_mult"):
            if self.paramwise_cfg.get(key, 0) != 0:
                raise ValueError(f"{key} is 0 with {type(self).__name__}, not {self.paramwise_cfg[key]!r}")
        self._rate()

    def _rate(self) -> float:
        for key in ("decay_rate", "layer_decay_rate"):
            if key in self.paramwise_cfg:
                return self.paramwise_cfg[key]
        raise KeyError("paramwise_cfg needs 'decay_rate', the factor of the learning rate from one layer to the next")

    def _depth_of(self, model: nn.Module) -> DepthOf:
        backbone = type(getattr(model, "backbone", model)).__name__
        names = [name for name, _ in model.named_parameters()]
        if self.paramwise_cfg.get("decay_type", "layer_wise") == "stage_wise":
            if not any(name.startswith("backbone.stages.0.") for name in names):
                raise ValueError(
                    f"decay_type 'stage_wise' needs a model with backbone.stages, which {backbone} has not"
                )
            return stage_depth(self._num_layers())
        if "ConvNeXt" in backbone and "num_layers" in self.paramwise_cfg:
            return convnext_depth(self._num_layers())
        told = depth_from_model(model)
        if told is not None:
            self._check_num_layers(max(told(name)[1] for name in names) - 2, backbone)
            return told
        if any(name.startswith("backbone.layers.0.") for name in names):
            return transformer_depth(self._num_layers())
        raise ValueError(
            f"the depths of {backbone} are unknown: it needs get_layer_depth(param_name, prefix), or to be a ConvNeXt "
            "or a transformer whose blocks are backbone.layers"
        )

    def _check_num_layers(self, told: int, backbone: str) -> None:
        given = self.paramwise_cfg.get("num_layers", told)
        if given != told:
            raise ValueError(f"paramwise_cfg has num_layers={given}, and {backbone} tells that it has {told}")

    def _num_layers(self) -> int:
        if "num_layers" not in self.paramwise_cfg:
            raise KeyError("paramwise_cfg needs 'num_layers', the number of layers (or stages) between stem and head")
        return self.paramwise_cfg["num_layers"]
