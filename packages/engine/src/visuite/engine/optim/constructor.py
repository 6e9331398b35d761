"""From a model and a config to an optimizer with parameter groups, inside its wrapper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.optim import Optimizer

from visuite.engine.logging import print_log
from visuite.engine.optim.optim_wrapper_dict import OptimWrapperDict
from visuite.engine.optim.wrapper import OptimWrapper
from visuite.engine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from visuite.engine.utils.text import did_you_mean

#: Batch, sync and instance normalisation share torch's `_NormBase`.
NORMS: tuple[type[nn.Module], ...] = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
#: Keys of a custom setting that hooks and optimizers read from the groups, beside the optimizer's own options.
GROUP_MARKS = ("lars_exclude", "fix_lr")


@dataclass(frozen=True)
class Place:
    """Where a parameter stands in its model: what rules decide by."""

    name: str
    parameter: Tensor
    module: nn.Module
    in_offset: bool  # in the layer that predicts the offsets of a deformable convolution

    @property
    def is_bias(self) -> bool:
        """Whether it is the bias of its module."""
        return self.name.rpartition(".")[2] == "bias"

    @property
    def is_norm(self) -> bool:
        """Whether it belongs to a normalisation layer."""
        return isinstance(self.module, NORMS)

    @property
    def is_depthwise(self) -> bool:
        """Whether it belongs to a convolution with one filter for each channel."""
        conv = self.module
        return isinstance(conv, _ConvNd) and conv.groups == conv.in_channels > 1


Rule = Callable[[Place], bool]

#: Which multipliers of the learning rate a parameter takes; all that hold apply.
LR_RULES: dict[str, Rule] = {
    "bias_lr_mult": lambda p: p.is_bias and not p.is_norm and not p.in_offset,
    "dcn_offset_lr_mult": lambda p: p.in_offset and isinstance(p.module, _ConvNd),
}
#: Which multiplier of the weight decay a parameter takes: the first given one that holds.
DECAY_RULES: dict[str, Rule] = {
    "norm_decay_mult": lambda p: p.is_norm,
    "bias_decay_mult": lambda p: p.is_bias and not p.in_offset,
    "dwconv_decay_mult": lambda p: p.is_depthwise,
    "flat_decay_mult": lambda p: p.parameter.ndim == 1 and not p.in_offset,
}


def places(module: nn.Module, prefix: str = "", in_offset: bool = False) -> Iterator[Place]:
    """Go through the parameters of a model in the order of `model.parameters()`, shared ones again in each place."""
    for name, parameter in module.named_parameters(prefix, recurse=False):
        yield Place(name, parameter, module, in_offset)
    deformable = hasattr(module, "deform_groups")
    for name, child in module.named_children():
        path = f"{prefix}.{name}" if prefix else name
        yield from places(child, path, in_offset or (deformable and name == "conv_offset"))


@OPTIM_WRAPPER_CONSTRUCTORS.register_module(
    name=["DefaultOptimWrapperConstructor", "ForceDefaultOptimWrapperConstructor"]
)
class DefaultOptimWrapperConstructor:
    """Build an optimizer whose parameters may have rates and decays of their own, and wrap it.

    Without `paramwise_cfg` all parameters form one group. With it each trainable parameter is a group, and the
    groups stand in the order of `model.parameters()`. `paramwise_cfg` may have:

    - `custom_keys`: `{part of a name: dict(lr_mult=..., decay_mult=..., <option of the optimizer>=...)}`. The longest
      key that stands in the parameter's name holds, of equally long ones the first in alphabetical order, and then
      none of the multipliers below, unless `force_default_settings`.
    - `bias_lr_mult`, `bias_decay_mult`: biases, other than those of normalisation and DCN offset layers.
    - `norm_decay_mult`: weights and biases of normalisation layers.
    - `dwconv_decay_mult`: depthwise convolutions.
    - `flat_decay_mult`: other parameters of one dimension.
    - `dcn_offset_lr_mult`: the layers that predict offsets in deformable convolutions.
    - `bypass_duplicate`: take a parameter that stands in several places once, in place of an error.
    - `force_default_settings`: apply the multipliers also where a custom key holds and leaves them unsaid.

    Args:
        optim_wrapper_cfg: `dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1), **arguments of the wrapper)`.
        paramwise_cfg: See above.

    Raises:
        TypeError: a config is not a dict.
        ValueError: `paramwise_cfg` has an unknown key; says the nearest.
        KeyError: there is no optimizer config.
    """

    #: What `paramwise_cfg` may have.
    options: ClassVar[tuple[str, ...]] = (
        "custom_keys",
        *LR_RULES,
        *DECAY_RULES,
        "bypass_duplicate",
        "force_default_settings",
    )
    #: What the optimizer's config may have that a constructor reads itself, and does not hand on.
    optimizer_options: ClassVar[tuple[str, ...]] = ()

    def __init__(self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None) -> None:
        if not isinstance(optim_wrapper_cfg, dict):
            raise TypeError(f"optim_wrapper_cfg is a dict, not {type(optim_wrapper_cfg).__name__}")
        if "optimizer" not in optim_wrapper_cfg:
            raise KeyError(f"optim_wrapper needs the key 'optimizer', and has {sorted(map(str, optim_wrapper_cfg))}")
        self.optim_wrapper_cfg = {"type": "OptimWrapper", **optim_wrapper_cfg}
        self.optimizer_cfg = self.optim_wrapper_cfg.pop("optimizer")
        self.paramwise_cfg = dict(paramwise_cfg or {})
        options = self.optimizer_cfg if isinstance(self.optimizer_cfg, dict) else {}
        self.base_lr, self.base_wd = options.get("lr"), options.get("weight_decay")  # None: the optimizer's default
        self._check_paramwise()

    def _check_paramwise(self) -> None:
        if type(self).options is not DefaultOptimWrapperConstructor.options or not self._reads_own_keys():
            self._check_keys()
        for key, setting in self.custom_keys.items():
            if not isinstance(setting, dict):
                raise TypeError(
                    f"paramwise_cfg.custom_keys[{key!r}] is a dict such as dict(lr_mult=0.1), not {setting!r}"
                )

    def _reads_own_keys(self) -> bool:
        """Whether this is somebody's own constructor, which may read any key."""
        return type(self).add_params is not DefaultOptimWrapperConstructor.add_params

    def _check_keys(self) -> None:
        for key in self.paramwise_cfg:
            # What begins with _delete was meant for the merging of configs; published configs have it here.
            if key not in self.options and not key.startswith("_delete"):
                raise ValueError(f"paramwise_cfg has no {key!r}{did_you_mean(key, self.options)}")

    @property
    def custom_keys(self) -> dict[str, dict[str, Any]]:
        """The settings by part of a name."""
        return self.paramwise_cfg.get("custom_keys") or {}

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer of a model, in its wrapper."""
        model = model.module if isinstance(model, (DataParallel, DistributedDataParallel)) else model
        optimizer = self.optimizer_cfg
        if isinstance(optimizer, dict):
            optimizer = self._build_optimizer(model)
        return OPTIM_WRAPPERS.build(self.optim_wrapper_cfg, default_args={"optimizer": optimizer})

    def _build_optimizer(self, model: nn.Module) -> Optimizer:
        if not self.paramwise_cfg:
            return OPTIMIZERS.build(self.optimizer_cfg, default_args={"params": list(model.parameters())})
        groups: list[dict[str, Any]] = []
        self.add_params(groups, model)
        optimizer = OPTIMIZERS.build(self.optimizer_cfg, default_args={"params": groups})
        _apply_multipliers(optimizer.param_groups, optimizer.defaults)
        self._tell_about_unknown(optimizer.defaults)
        return optimizer

    def add_params(self, params: list[dict[str, Any]], module: nn.Module, prefix: str = "") -> None:
        """Append the parameter groups of a module.

        A group may have `lr_mult` and `decay_mult`, which are applied to the optimizer's rate and decay. Constructors
        of one's own override this, and then read keys of their own from `paramwise_cfg`.

        Args:
            params: The groups, appended to.
            module: The model.
            prefix: What its parameters' names begin with.
        """
        params.extend({"params": [one.parameter], **self.settings_of(one)} for one in self.trainable(module, prefix))

    def trainable(self, model: nn.Module, prefix: str = "") -> Iterator[Place]:
        """Go through the parameters to be trained, each once.

        Raises:
            ValueError: a parameter stands in two places, and `bypass_duplicate` is not set.
        """
        seen: dict[int, str] = {}
        for place in places(model, prefix):
            if not place.parameter.requires_grad:
                continue
            first = seen.setdefault(id(place.parameter), place.name)
            if first == place.name:
                yield place
            elif not self.paramwise_cfg.get("bypass_duplicate", False):
                raise ValueError(
                    f"{first} and {place.name} are one parameter; bypass_duplicate=True in paramwise_cfg takes it once"
                )

    def settings_of(self, place: Place) -> dict[str, Any]:
        """Return what is special about a parameter: `lr_mult`, `decay_mult` and options of the optimizer."""
        custom = self.custom_setting(place.name)
        if custom is None:
            return self.multipliers(place)
        if self.paramwise_cfg.get("force_default_settings", False):
            return {**self.multipliers(place), **custom}
        return dict(custom)

    def custom_setting(self, name: str) -> dict[str, Any] | None:
        """Return the setting of the longest custom key in a name, or None."""
        found = min((key for key in self.custom_keys if key in name), key=lambda key: (-len(key), key), default=None)
        return None if found is None else self.custom_keys[found]

    def multipliers(self, place: Place) -> dict[str, float]:
        """Return the multipliers that the rules give a parameter; those of 1 are left out."""
        given, found = self.paramwise_cfg, {"lr_mult": 1.0, "decay_mult": 1.0}
        for key in (key for key, holds in LR_RULES.items() if key in given and holds(place)):
            found["lr_mult"] *= given[key]
        for key in (key for key, holds in DECAY_RULES.items() if given.get(key) is not None and holds(place)):
            found["decay_mult"] = given[key]
            break
        return {key: value for key, value in found.items() if value != 1}

    def _tell_about_unknown(self, defaults: Mapping[str, Any]) -> None:
        """Say which keys of custom settings neither the optimizer nor anybody we know will read."""
        known = {"lr_mult", "decay_mult", *GROUP_MARKS, *defaults}
        for key in sorted({key for setting in self.custom_keys.values() for key in setting} - known):
            print_log(
                f"paramwise_cfg.custom_keys: {key!r} is no option of the optimizer and changes nothing by itself"
                f"{did_you_mean(key, known)}",
                "current",
                level="WARNING",
            )


def _apply_multipliers(groups: list[dict[str, Any]], defaults: Mapping[str, Any]) -> None:
    """Turn the multipliers of groups into rates and decays.

    Raises:
        ValueError: an optimizer without weight decay is given a multiplier of it.
    """
    for group in groups:
        for multiplier, option in (("lr_mult", "lr"), ("decay_mult", "weight_decay")):
            if multiplier not in group:
                continue
            if option not in defaults:
                raise ValueError(f"paramwise_cfg asks for {multiplier}, and the optimizer has no {option!r}")
            group[option] = group[option] * group[multiplier]


def build_optim_wrapper(model: nn.Module, cfg: Any) -> OptimWrapper:
    """Build the optimizer wrapper of a model.

    Args:
        model: The model.
        cfg: The config of `optim_wrapper`: its `optimizer`, the wrapper's arguments, and optionally `constructor` (the
            name of a registered class) and `paramwise_cfg`. A ready-made wrapper is returned unchanged, and a dict of
            them by name becomes an `OptimWrapperDict`.

    Raises:
        TypeError: `cfg` is neither.
    """
    if isinstance(cfg, OptimWrapper):
        return cfg
    if not isinstance(cfg, Mapping):
        raise TypeError(f"optim_wrapper is a config (a dict) or an OptimWrapper, not {type(cfg).__name__}")
    if cfg and all(isinstance(one, OptimWrapper) for one in cfg.values()):
        return OptimWrapperDict(**cfg)
    wrapper_cfg = dict(cfg)
    arguments = {
        "type": wrapper_cfg.pop("constructor", "DefaultOptimWrapperConstructor"),
        "paramwise_cfg": wrapper_cfg.pop("paramwise_cfg", None),
        "optim_wrapper_cfg": wrapper_cfg,
    }
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(arguments)
    try:
        return constructor(model)
    except (ValueError, KeyError) as error:  # a setting that does not fit this model
        if not getattr(error, "__notes__", None):
            error.add_note(f"while building optim_wrapper ({type(constructor).__name__})")
        raise
