"""Optimizers, their wrappers, how they are built from configs, and the schedules of their parameters."""

from visuite.engine.optim import optimizers as _torch_optimizers  # noqa: F401  (registers them)
from visuite.engine.optim import schedule
from visuite.engine.optim.amp import AmpOptimWrapper
from visuite.engine.optim.constructor import DefaultOptimWrapperConstructor, build_optim_wrapper
from visuite.engine.optim.lamb import Lamb
from visuite.engine.optim.lars import LARS
from visuite.engine.optim.layer_decay import (
    LearningRateDecayOptimizerConstructor,
    LearningRateDecayOptimWrapperConstructor,
)
from visuite.engine.optim.optim_wrapper_dict import OptimWrapperDict
from visuite.engine.optim.schedule import *  # noqa: F403
from visuite.engine.optim.wrapper import OptimWrapper

__all__ = [
    "LARS",
    "AmpOptimWrapper",
    "DefaultOptimWrapperConstructor",
    "Lamb",
    "LearningRateDecayOptimWrapperConstructor",
    "LearningRateDecayOptimizerConstructor",
    "OptimWrapper",
    "OptimWrapperDict",
    "build_optim_wrapper",
    *schedule.__all__,
]
