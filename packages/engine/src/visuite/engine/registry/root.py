"""The root registries, and the one call that gives a package its children."""

from __future__ import annotations

from dataclasses import dataclass

from visuite.engine.registry.build import build_model_from_cfg
from visuite.engine.registry.registry import Registry


def _root(name: str, *modules: str) -> Registry:
    return Registry(name, scope="engine", locations=[f"visuite.engine.{module}" for module in modules])


RUNNERS = _root("runner", "runner")
RUNNER_CONSTRUCTORS = _root("runner constructor")
LOOPS = _root("loop", "runner")
HOOKS = _root("hook", "hooks")
LOG_PROCESSORS = _root("log processor", "runner")
OPTIMIZERS = _root("optimizer", "optim")
OPTIM_WRAPPERS = _root("optim wrapper", "optim")
OPTIM_WRAPPER_CONSTRUCTORS = _root("optim wrapper constructor", "optim")
PARAM_SCHEDULERS = _root("parameter scheduler", "optim")
DATASETS = _root("dataset", "dataset")
DATA_SAMPLERS = _root("data sampler", "dataset")
TRANSFORMS = _root("transform", "dataset")
MODELS = Registry("model", build_model_from_cfg, scope="engine", locations=["visuite.engine.model"])
MODEL_WRAPPERS = _root("model wrapper", "model")
WEIGHT_INITIALIZERS = _root("weight initializer", "model")
TASK_UTILS = _root("task util")
METRICS = _root("metric", "evaluator")
EVALUATOR = _root("evaluator", "evaluator")
VISUALIZERS = _root("visualizer", "visualization")
VISBACKENDS = _root("visualizer backend", "visualization")
INFERENCERS = _root("inferencer", "infer")
FUNCTIONS = _root("function", "dataset")
STRATEGIES = _root("strategy", "runner")


@dataclass(frozen=True)
class Registries:
    """One child of every root registry, all of one scope."""

    RUNNERS: Registry
    RUNNER_CONSTRUCTORS: Registry
    LOOPS: Registry
    HOOKS: Registry
    LOG_PROCESSORS: Registry
    OPTIMIZERS: Registry
    OPTIM_WRAPPERS: Registry
    OPTIM_WRAPPER_CONSTRUCTORS: Registry
    PARAM_SCHEDULERS: Registry
    DATASETS: Registry
    DATA_SAMPLERS: Registry
    TRANSFORMS: Registry
    MODELS: Registry
    MODEL_WRAPPERS: Registry
    WEIGHT_INITIALIZERS: Registry
    TASK_UTILS: Registry
    METRICS: Registry
    EVALUATOR: Registry
    VISUALIZERS: Registry
    VISBACKENDS: Registry
    INFERENCERS: Registry
    FUNCTIONS: Registry
    STRATEGIES: Registry


#: The root registries by the name they bear in code.
ROOTS: dict[str, Registry] = {
    name: value for name, value in list(globals().items()) if name.isupper() and isinstance(value, Registry)
}


def child_registries(scope: str) -> Registries:
    """Make a package's own registries, one below every root, in its scope.

    Example:
        >>> R = child_registries("my_project")
        >>> MODELS = R.MODELS
    """
    return Registries(**{name: Registry(root.name, parent=root, scope=scope) for name, root in ROOTS.items()})
