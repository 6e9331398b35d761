"""Initialising weights: functions for one module, and the initialisers that `init_cfg` names."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from visuite.engine.model.checkpoint_io import CheckpointError, find_state_dict, load_state_dict, read_checkpoint
from visuite.engine.model.init_journal import update_init_info
from visuite.engine.registry import WEIGHT_INITIALIZERS
from visuite.engine.utils.text import did_you_mean

# ---------------------------------------------------------------------- functions for one module


def _fill(module: nn.Module, fill_weight: Callable[[Tensor], Any], bias: float, *, fan: bool = False) -> None:
    """Fill `weight` and `bias` of a module, where it has them.

    With `fan`, weights of one dimension (norms) are left alone: their fans are not defined.
    """
    weight, bias_tensor = getattr(module, "weight", None), getattr(module, "bias", None)
    if isinstance(weight, Tensor) and not (fan and weight.dim() < 2):
        fill_weight(weight)
    if isinstance(bias_tensor, Tensor):
        nn.init.constant_(bias_tensor, bias)


def constant_init(module: nn.Module, val: float, bias: float = 0) -> None:
    """Set all weights to `val`."""
    _fill(module, lambda w: nn.init.constant_(w, val), bias)


def xavier_init(module: nn.Module, gain: float = 1, bias: float = 0, distribution: str = "normal") -> None:
    """Draw weights of variance `gain² · 2 / (fan_in + fan_out)`, normal or uniform (Glorot and Bengio, 2010)."""
    draw = {"normal": nn.init.xavier_normal_, "uniform": nn.init.xavier_uniform_}[_distribution(distribution)]
    _fill(module, lambda w: draw(w, gain=gain), bias, fan=True)


def normal_init(module: nn.Module, mean: float = 0, std: float = 1, bias: float = 0) -> None:
    """Draw weights from a normal distribution."""
    _fill(module, lambda w: nn.init.normal_(w, mean, std), bias)


def trunc_normal_init(
    module: nn.Module, mean: float = 0, std: float = 1, a: float = -2, b: float = 2, bias: float = 0
) -> None:
    """Draw weights from a normal distribution cut off outside `[a, b]`."""
    _fill(module, lambda w: nn.init.trunc_normal_(w, mean, std, a, b), bias)


def uniform_init(module: nn.Module, a: float = 0, b: float = 1, bias: float = 0) -> None:
    """Draw weights evenly from `[a, b]`."""
    _fill(module, lambda w: nn.init.uniform_(w, a, b), bias)


def kaiming_init(
    module: nn.Module,
    a: float = 0,
    mode: str = "fan_out",
    nonlinearity: str = "relu",
    bias: float = 0,
    distribution: str = "normal",
) -> None:
    """Draw weights of variance `gain² / fan` (He et al., arXiv:1502.01852).

    Args:
        module: What to initialise.
        a: The negative slope of a leaky ReLU; counts for that nonlinearity only.
        mode: `'fan_in'` keeps the variance forwards, `'fan_out'` backwards.
        nonlinearity: Decides the gain.
        bias: The value of all biases.
        distribution: `'normal'` or `'uniform'`.
    """
    draw = {"normal": nn.init.kaiming_normal_, "uniform": nn.init.kaiming_uniform_}[_distribution(distribution)]
    _fill(module, lambda w: draw(w, a=a, mode=mode, nonlinearity=nonlinearity), bias, fan=True)  # type: ignore[arg-type]


def caffe2_xavier_init(module: nn.Module, bias: float = 0) -> None:
    """Draw weights evenly with variance `1 / fan_in`, which is what Caffe2 called Xavier."""
    kaiming_init(module, a=1, mode="fan_in", nonlinearity="leaky_relu", bias=bias, distribution="uniform")


def bias_init_with_prob(prior_prob: float) -> float:
    """Return the bias at which a sigmoid gives `prior_prob` (focal loss, arXiv:1708.02002)."""
    if not 0 < prior_prob < 1:
        raise ValueError(f"a prior probability lies between 0 and 1, not {prior_prob}")
    return -math.log((1 - prior_prob) / prior_prob)


def _distribution(name: str) -> str:
    if name not in ("normal", "uniform"):
        raise ValueError(f"distribution is 'normal' or 'uniform', not {name!r}")
    return name


# ---------------------------------------------------------------------- initialisers


@dataclass(kw_only=True)
class BaseInit:
    """Apply an initialisation to the layers that are named, or to everything in the module.

    Args:
        bias: The value of all biases.
        bias_prob: Set biases so that a sigmoid gives this probability, instead of `bias`.
        layer: Class names, a layer's own or a base's; with None every layer with a weight or bias.
    """

    bias: float = 0
    bias_prob: float | None = None
    layer: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.bias, (int, float)) or isinstance(self.bias, bool):
            raise TypeError(f"bias is a number, not {self.bias!r}")
        if self.layer is not None and not isinstance(self.layer, (str, list, tuple)):
            raise TypeError(f"layer is a class name or a list of them, not {self.layer!r}")
        if self.bias_prob is not None:
            self.bias = bias_init_with_prob(self.bias_prob)

    def initialize_layer(self, layer: nn.Module) -> None:
        """Initialise the weight and bias of one layer."""
        raise NotImplementedError

    def __call__(self, module: nn.Module) -> None:
        """Initialise what is chosen inside a module, itself included."""
        chosen = None if self.layer is None else {self.layer} if isinstance(self.layer, str) else set(self.layer)
        for part in module.modules():
            if chosen is None or chosen & {base.__name__ for base in type(part).__mro__}:
                self.initialize_layer(part)
        update_init_info(module, init_info=repr(self))


@WEIGHT_INITIALIZERS.register_module(name="Constant")
@dataclass
class ConstantInit(BaseInit):
    """Set weights to `val`; see `constant_init`."""

    val: float

    def initialize_layer(self, layer: nn.Module) -> None:
        constant_init(layer, self.val, self.bias)


@WEIGHT_INITIALIZERS.register_module(name="Xavier")
@dataclass
class XavierInit(BaseInit):
    """See `xavier_init`."""

    gain: float = 1
    distribution: str = "normal"

    def initialize_layer(self, layer: nn.Module) -> None:
        xavier_init(layer, self.gain, self.bias, self.distribution)


@WEIGHT_INITIALIZERS.register_module(name="Normal")
@dataclass
class NormalInit(BaseInit):
    """See `normal_init`."""

    mean: float = 0
    std: float = 1

    def initialize_layer(self, layer: nn.Module) -> None:
        normal_init(layer, self.mean, self.std, self.bias)


@WEIGHT_INITIALIZERS.register_module(name="TruncNormal")
@dataclass
class TruncNormalInit(BaseInit):
    """See `trunc_normal_init`."""

    mean: float = 0
    std: float = 1
    a: float = -2
    b: float = 2

    def initialize_layer(self, layer: nn.Module) -> None:
        trunc_normal_init(layer, self.mean, self.std, self.a, self.b, self.bias)


@WEIGHT_INITIALIZERS.register_module(name="Uniform")
@dataclass
class UniformInit(BaseInit):
    """See `uniform_init`."""

    a: float = 0
    b: float = 1

    def initialize_layer(self, layer: nn.Module) -> None:
        uniform_init(layer, self.a, self.b, self.bias)


@WEIGHT_INITIALIZERS.register_module(name="Kaiming")
@dataclass
class KaimingInit(BaseInit):
    """See `kaiming_init`."""

    a: float = 0
    mode: str = "fan_out"
    nonlinearity: str = "relu"
    distribution: str = "normal"

    def initialize_layer(self, layer: nn.Module) -> None:
        kaiming_init(layer, self.a, self.mode, self.nonlinearity, self.bias, self.distribution)


@WEIGHT_INITIALIZERS.register_module(name="Caffe2Xavier")
@dataclass
class Caffe2XavierInit(BaseInit):
    """See `caffe2_xavier_init`."""

    def initialize_layer(self, layer: nn.Module) -> None:
        caffe2_xavier_init(layer, self.bias)


@WEIGHT_INITIALIZERS.register_module(name="Pretrained")
class PretrainedInit:
    """Take the weights of a checkpoint.

    Args:
        checkpoint: As for `read_checkpoint`: a file, a URL, `torchvision://resnet50`.
        prefix: Take only what is below this module of the checkpoint (`'backbone.'`).
        map_location: The device to read to, the CPU by default.
        key_map: Whose names the weights bear, where that is not seen from them; as for `convert_state_dict`.
        mirror: A folder or URL that has published files; as for `read_checkpoint`.

    Raises:
        CheckpointError: the file cannot be had, or nothing of it fits.
    """

    def __init__(
        self,
        checkpoint: str,
        prefix: str | None = None,
        map_location: Any = None,
        key_map: str | None = None,
        mirror: str | None = None,
    ) -> None:
        self.checkpoint, self.prefix, self.map_location = checkpoint, prefix, map_location
        self.key_map, self.mirror = key_map, mirror

    def __call__(self, module: nn.Module) -> None:
        """Load the weights; those that the checkpoint lacks stay as they are, with a warning."""
        try:
            content = read_checkpoint(self.checkpoint, self.map_location or "cpu", self.mirror)
            state = find_state_dict(content, prefix=self.prefix)
            load_state_dict(module, state, strict=False, key_map=self.key_map)
        except CheckpointError as error:
            name = type(module).__name__
            raise CheckpointError(f"pretrained weights of {name} ({self.checkpoint}): {error}") from None
        update_init_info(module, init_info=f"{type(self).__name__}: {self.checkpoint}")


# ---------------------------------------------------------------------- init_cfg


def initialize(module: nn.Module, init_cfg: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """Initialise a module by one config or several, in order.

    `layer` names the classes to be initialised. `override` (one dict or a list) names attributes of the module that
    are initialised whole, after that: as the config around it says, or, with a `type` of its own, as the override
    says. A drawing config with neither touches nothing, and a warning says so.

    Raises:
        TypeError: a config is not a dict.
        KeyError: an override without a name, or with settings but no `type`.
        AttributeError: the module has no part of that name.

    Example:
        >>> module = nn.Linear(2, 3)
        >>> initialize(module, dict(type="Constant", layer="Linear", val=1, bias=2))
    """
    for cfg in [init_cfg] if isinstance(init_cfg, Mapping) else list(init_cfg):
        if not isinstance(cfg, Mapping):
            raise TypeError(f"init_cfg is a dict or a list of dicts, not {cfg!r}")
        settings = dict(cfg)
        override = settings.pop("override", None)
        initializer = WEIGHT_INITIALIZERS.build(settings)
        if not isinstance(initializer, BaseInit) or initializer.layer is not None:
            initializer(module)
        elif override is None:
            _warn_of_no_target(module, cfg)
        settings.pop("layer", None)
        for one in [override] if isinstance(override, Mapping) else override or ():
            _initialize_part(module, one, settings)


def _warn_of_no_target(module: nn.Module, cfg: Mapping[str, Any]) -> None:
    name = type(module).__name__
    warnings.warn(f"init_cfg={dict(cfg)} of {name} names no layer and initialises nothing", stacklevel=3)


def _initialize_part(module: nn.Module, override: Mapping[str, Any], outer: dict[str, Any]) -> None:
    settings = dict(override)
    name = settings.pop("name", None)
    if name is None:
        raise KeyError(f"override={dict(override)} needs the 'name' of the part to initialise")
    if settings and "type" not in settings:
        raise KeyError(f"override={dict(override)} has settings of its own and needs their 'type'")
    try:
        part = module.get_submodule(name)
    except AttributeError:
        hint = did_you_mean(name, [one for one, _ in module.named_modules() if one])
        owner = type(module).__name__
        raise AttributeError(f"init_cfg overrides {name!r}, which {owner} does not have{hint}") from None
    WEIGHT_INITIALIZERS.build(settings or outer)(part)
