"""The registries of scope `cls`. Look-ups go on to the root ones, where `visuite.cv` stands."""

from __future__ import annotations

from visuite.engine.registry import Registry, child_registries

_children = child_registries("cls")

RUNNERS = _children.RUNNERS
RUNNER_CONSTRUCTORS = _children.RUNNER_CONSTRUCTORS
LOOPS = _children.LOOPS
HOOKS = _children.HOOKS
LOG_PROCESSORS = _children.LOG_PROCESSORS
OPTIMIZERS = _children.OPTIMIZERS
OPTIM_WRAPPERS = _children.OPTIM_WRAPPERS
OPTIM_WRAPPER_CONSTRUCTORS = _children.OPTIM_WRAPPER_CONSTRUCTORS
PARAM_SCHEDULERS = _children.PARAM_SCHEDULERS
DATASETS = _children.DATASETS
DATA_SAMPLERS = _children.DATA_SAMPLERS
TRANSFORMS = _children.TRANSFORMS
MODELS = _children.MODELS
MODEL_WRAPPERS = _children.MODEL_WRAPPERS
WEIGHT_INITIALIZERS = _children.WEIGHT_INITIALIZERS
TASK_UTILS = _children.TASK_UTILS
METRICS = _children.METRICS
EVALUATOR = _children.EVALUATOR
VISUALIZERS = _children.VISUALIZERS
VISBACKENDS = _children.VISBACKENDS
INFERENCERS = _children.INFERENCERS
FUNCTIONS = _children.FUNCTIONS
STRATEGIES = _children.STRATEGIES

#: Augmentations of a whole batch: called with images (B, C, H, W) and soft labels (B, K), they return both.
BATCH_AUGMENTS = Registry("batch augment", scope="cls", locations=["visuite.cls.batch_mixing"])

__all__ = [
    "BATCH_AUGMENTS",
    "DATASETS",
    "DATA_SAMPLERS",
    "EVALUATOR",
    "FUNCTIONS",
    "HOOKS",
    "INFERENCERS",
    "LOG_PROCESSORS",
    "LOOPS",
    "METRICS",
    "MODELS",
    "MODEL_WRAPPERS",
    "OPTIMIZERS",
    "OPTIM_WRAPPERS",
    "OPTIM_WRAPPER_CONSTRUCTORS",
    "PARAM_SCHEDULERS",
    "RUNNERS",
    "RUNNER_CONSTRUCTORS",
    "STRATEGIES",
    "TASK_UTILS",
    "TRANSFORMS",
    "VISBACKENDS",
    "VISUALIZERS",
    "WEIGHT_INITIALIZERS",
]
