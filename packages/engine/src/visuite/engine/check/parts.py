"""The parts of a run at the top level of a config, and how the runner builds each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from torch.utils.data import DataLoader

from visuite.engine.check.routes import Route, route_of
from visuite.engine.check.signatures import signature_of, unknown_arguments
from visuite.engine.check.walk import Walker
from visuite.engine.config import Config
from visuite.engine.dist import init_dist
from visuite.engine.hooks.hook_list import DEFAULT_HOOKS
from visuite.engine.optim import OptimWrapper
from visuite.engine.registry import (
    DATA_SAMPLERS,
    DATASETS,
    EVALUATOR,
    FUNCTIONS,
    HOOKS,
    LOG_PROCESSORS,
    LOOPS,
    METRICS,
    MODEL_WRAPPERS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    STRATEGIES,
    TRANSFORMS,
    VISUALIZERS,
)
from visuite.engine.runner.environment import ENV_KEYS, set_randomness
from visuite.engine.utils.processes import set_multi_processing
from visuite.engine.utils.text import did_you_mean

_METRIC = Route(METRICS, needs_type=True)
_EVALUATION = Route(LOOPS, supplied=frozenset({"runner", "dataloader", "evaluator"}))
_SAMPLER = Route(DATA_SAMPLERS, supplied=frozenset({"dataset", "seed"}), needs_type=True)
_BATCHES = Route(DATA_SAMPLERS, supplied=frozenset({"sampler", "batch_size"}), needs_type=True)
_FUNCTION = Route(FUNCTIONS, completed=True, needs_type=True)
_WRAPPER = Route(OPTIM_WRAPPERS, "OptimWrapper", taken=frozenset({"constructor", "paramwise_cfg", "optimizer"}))

#: Parts that are one config, or a list of configs, of one registry.
ROUTES: dict[str, Route] = {
    "model": Route(MODELS, needs_type=True),
    "custom_hooks": Route(HOOKS, taken=frozenset({"priority"}), needs_type=True),
    "param_scheduler": Route(
        PARAM_SCHEDULERS, supplied=frozenset({"optimizer"}), taken=frozenset({"convert_to_iter_based"})
    ),
    "val_cfg": replace(_EVALUATION, default_type="ValLoop"),
    "test_cfg": replace(_EVALUATION, default_type="TestLoop"),
    "visualizer": Route(VISUALIZERS, "Visualizer", supplied=frozenset({"name", "save_dir"})),
    "log_processor": Route(LOG_PROCESSORS, "LogProcessor"),
    "tta_model": Route(MODELS, supplied=frozenset({"module"}), needs_type=True),
    "tta_pipeline": Route(TRANSFORMS, needs_type=True),
    "strategy": Route(STRATEGIES, completed=True, needs_type=True),
    "model_wrapper_cfg": Route(MODEL_WRAPPERS, "MMDistributedDataParallel", completed=True),
}
#: What a data loader's config has besides the arguments of torch's.
LOADER_KEYS = ("dataset", "sampler", "batch_sampler", "num_batch_per_epoch")

_ENV_KINDS = {"cudnn_benchmark": bool, "mp_cfg": dict, "dist_cfg": dict, "torch_backends": dict, "resource_limit": int}
_SCALING_KEYS = ("enable", "base_batch_size")
_LIKENESS = 0.8  # of a slip to what was meant


def check_parts(cfg: Config, walker: Walker) -> None:
    """Check every part that a config has."""
    for key, value in cfg.items():
        if value is None:
            continue
        if key in _CHECKS:
            _CHECKS[key](value, key, walker)
        elif key == "data_preprocessor":
            _check_preprocessor(value, key, cfg.get("model"), walker)
        elif key in ROUTES:
            walker.walk(value, key, ROUTES[key])


def _check_preprocessor(value: Any, path: str, model: Any, walker: Walker) -> None:
    """Check the preprocessor of a model, which gives way to one that stands in the model itself."""
    own = model.get("data_preprocessor") if isinstance(model, Mapping) else None
    if own is not None and isinstance(value, Mapping) and "type" not in value:
        if not value.items() <= dict(own).items():
            said = "has no effect, because the model has a data_preprocessor of its own"
            walker.findings.warn(path, said)
    else:
        walker.walk(value, path, route_of("data_preprocessor", ROUTES["model"], walker.scope))


def _check_loader(value: Any, path: str, walker: Walker) -> None:
    if not isinstance(value, Mapping):
        return
    signature = signature_of(DataLoader)
    known = [*LOADER_KEYS, *(name for name in signature.names if name != "generator")]
    for key in value:
        if key not in known:
            said = f"a data loader has no argument {key!r}{did_you_mean(str(key), known)}"
            walker.findings.error(path, said, at=f"{path}.{key}")
    if value.get("dataset") is None:
        walker.findings.error(path, "a data loader's config needs 'dataset'")
    if value.get("sampler") is not None and value.get("shuffle") is not None:
        said = "a data loader takes 'sampler' or 'shuffle', not both"
        walker.findings.error(path, said, at=f"{path}.shuffle")
    own = {key: one for key, one in value.items() if key not in (*LOADER_KEYS, "collate_fn", "worker_init_fn")}
    walker.kinds(own, signature.kinds, path)
    nested = {
        "dataset": Route(DATASETS, needs_type=True), "sampler": _SAMPLER, "batch_sampler": _BATCHES,
        "collate_fn": _FUNCTION, "worker_init_fn": _FUNCTION,
    }  # fmt: skip
    for key, route in nested.items():
        walker.walk(value.get(key), f"{path}.{key}", route)


def _check_evaluator(value: Any, path: str, walker: Walker) -> None:
    if isinstance(value, Mapping) and "metrics" in value:
        walker.check({**value, "metrics": None}, path, Route(EVALUATOR, "Evaluator"))
        walker.walk(value["metrics"], f"{path}.metrics", _METRIC)
    else:
        walker.walk(value, path, _METRIC)


def _check_train_cfg(value: Any, path: str, walker: Walker) -> None:
    if not isinstance(value, Mapping):
        return
    by_epoch = value.get("by_epoch")
    if ("type" in value) == (by_epoch is not None):
        has = sorted(map(str, value))
        at = next((key for key in value if get_close_matches(str(key), ("type", "by_epoch"), 1, _LIKENESS)), None)
        said = f"takes either 'type' or 'by_epoch' (True or False), and has {has}"
        walker.findings.error(path, said, at=path if at is None else f"{path}.{at}")
        return
    kind = "EpochBasedTrainLoop" if by_epoch else "IterBasedTrainLoop"
    supplied = frozenset({"runner", "dataloader"})
    walker.walk(value, path, Route(LOOPS, kind, supplied=supplied, taken=frozenset({"by_epoch"})))


def _check_default_hooks(value: Any, path: str, walker: Walker) -> None:
    if not isinstance(value, Mapping):
        return
    for key, hook in value.items():
        place = f"{path}.{key}"
        walker.walk(hook, place, ROUTES["custom_hooks"])
        near = did_you_mean(str(key), DEFAULT_HOOKS) if key not in DEFAULT_HOOKS else ""
        if near:
            walker.findings.warn(place, f"is no default hook, so it is added to them{near}")


def _check_optim_wrapper(value: Any, path: str, walker: Walker) -> None:
    """Check a wrapper's config; a constructor of one's own may read it in its own way."""
    if not isinstance(value, Mapping):
        return
    constructor = value.get("constructor", "DefaultOptimWrapperConstructor")
    taken = _read_by(constructor, walker)
    optimizer = Route(OPTIMIZERS, supplied=frozenset({"params"}), taken=taken, needs_type=True)
    several = "optimizer" not in value
    if several and constructor == "DefaultOptimWrapperConstructor":
        if not (value and all(isinstance(one, OptimWrapper) for one in value.values())):
            slip = next(iter(get_close_matches("optimizer", map(str, value), 1, _LIKENESS)), None)
            said = f"optim_wrapper needs the key 'optimizer', and has {sorted(map(str, value))}"
            walker.findings.error(path, said, at=path if slip is None else f"{path}.{slip}")
        return
    if several:
        for key, one in value.items():
            if isinstance(one, Mapping):
                _check_one_wrapper(one, f"{path}.{key}", walker, optimizer)
    else:
        _check_one_wrapper(value, path, walker, optimizer)
    _try_constructor(constructor, value, path, walker)
    parameters = value.get("paramwise_cfg")
    by_name = parameters.get("custom_keys") if isinstance(parameters, Mapping) else None
    for name, one in by_name.items() if isinstance(by_name, Mapping) else ():
        if isinstance(one, Mapping):
            walker.read(one, f"{path}.paramwise_cfg.custom_keys.{name}")


def _read_by(constructor: Any, walker: Walker) -> frozenset[str]:
    """Return the keys of an optimizer's config that the constructor reads itself."""
    with OPTIM_WRAPPER_CONSTRUCTORS.switch_scope_and_registry(walker.scope) as registry:
        entry = registry.find(constructor) if isinstance(constructor, str) else None
    return frozenset(getattr(entry.obj if entry else constructor, "optimizer_options", ()))


def _check_one_wrapper(value: Mapping[str, Any], path: str, walker: Walker, optimizer: Route) -> None:
    walker.walk(value.get("optimizer"), f"{path}.optimizer", optimizer)
    own = {key: one for key, one in value.items() if key not in _WRAPPER.taken}
    walker.check(own, path, replace(_WRAPPER, supplied=frozenset({"optimizer"})))


def _try_constructor(constructor: Any, value: Mapping[str, Any], path: str, walker: Walker) -> None:
    """Make the constructor, which looks at `paramwise_cfg` before it has a model."""
    cfg = {"type": constructor, "paramwise_cfg": value.get("paramwise_cfg")}
    cfg["optim_wrapper_cfg"] = {k: v for k, v in value.items() if k not in ("constructor", "paramwise_cfg")}
    with OPTIM_WRAPPER_CONSTRUCTORS.switch_scope_and_registry(walker.scope) as registry:
        if isinstance(constructor, str) and registry.find(constructor) is None:
            walker.findings.error(path, registry.explain_missing(constructor), at=f"{path}.constructor")
            return
        try:
            registry.build(cfg)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            said = str(error.args[0]) if error.args else type(error).__name__
            named = [at for at in _paths_in(value.get("paramwise_cfg"), f"{path}.paramwise_cfg") if _is_named(at, said)]
            walker.findings.error(f"{path}.paramwise_cfg", said, at=next(iter(named), f"{path}.paramwise_cfg"))


def _paths_in(value: Any, path: str) -> Iterator[str]:
    """Yield the paths of all keys in nested dicts."""
    for key, one in value.items() if isinstance(value, Mapping) else ():
        yield f"{path}.{key}"
        yield from _paths_in(one, f"{path}.{key}")


def _is_named(path: str, said: str) -> bool:
    """Whether a message names the last key of a path, in quotes."""
    return repr(path.rpartition(".")[2]) in said.partition("; did you mean")[0]


def _check_environment(value: Any, path: str, walker: Walker) -> None:
    if not isinstance(value, Mapping):
        return
    for key in value:
        if key not in ENV_KEYS:
            walker.findings.warn(f"{path}.{key}", f"nobody reads {key!r}{did_you_mean(str(key), ENV_KEYS)}")
    walker.kinds(value, _ENV_KINDS, path)
    _check_call(set_multi_processing, value.get("mp_cfg"), f"{path}.mp_cfg", walker)
    _check_call(init_dist, value.get("dist_cfg"), f"{path}.dist_cfg", walker)


def _check_randomness(value: Any, path: str, walker: Walker) -> None:
    _check_call(set_randomness, value, path, walker)


def _check_call(function: Callable[..., Any], value: Any, path: str, walker: Walker) -> None:
    """Check a dict whose items become the arguments of a function."""
    if isinstance(value, Mapping):
        for name, said in unknown_arguments(function, list(value)).items():
            walker.findings.error(path, said.replace(function.__name__, path), at=f"{path}.{name}")
        if signature_of(function).anything:
            walker.resembling(function, list(value), path)
        walker.kinds(value, signature_of(function).kinds, path)


def _check_scaling(value: Any, path: str, walker: Walker) -> None:
    for key in value if isinstance(value, Mapping) else ():
        if key not in _SCALING_KEYS:
            walker.findings.error(path, f"has no {key!r}{did_you_mean(str(key), _SCALING_KEYS)}", at=f"{path}.{key}")
    if isinstance(value, Mapping) and value.get("enable") and "base_batch_size" not in value:
        walker.findings.error(path, "auto_scale_lr needs base_batch_size, the batch size that the rate was chosen for")


_CHECKS: dict[str, Callable[[Any, str, Walker], None]] = {
    **{f"{mode}_dataloader": _check_loader for mode in ("train", "val", "test")},
    **{f"{mode}_evaluator": _check_evaluator for mode in ("val", "test")},
    "train_cfg": _check_train_cfg,
    "default_hooks": _check_default_hooks,
    "optim_wrapper": _check_optim_wrapper,
    "env_cfg": _check_environment,
    "randomness": _check_randomness,
    "auto_scale_lr": _check_scaling,
}
