"""The run: its parts, its loops, its checkpoints."""

from visuite.engine.runner.build import build_dataloader, build_evaluator, build_param_schedulers
from visuite.engine.runner.checkpointer import Checkpointer
from visuite.engine.runner.environment import leave_process_group, set_randomness
from visuite.engine.runner.log_processor import LogProcessor
from visuite.engine.runner.loops import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop, TestLoop, TrainLoop, ValLoop
from visuite.engine.runner.runner import Runner
from visuite.engine.runner.spec import RunnerSpec
from visuite.engine.runner.strategy import DDPStrategy, FSDPStrategy, SingleDeviceStrategy
from visuite.engine.runner.trial import dev_run, overfitting

__all__ = [
    "BaseLoop",
    "Checkpointer",
    "DDPStrategy",
    "EpochBasedTrainLoop",
    "FSDPStrategy",
    "IterBasedTrainLoop",
    "LogProcessor",
    "Runner",
    "RunnerSpec",
    "SingleDeviceStrategy",
    "TestLoop",
    "TrainLoop",
    "ValLoop",
    "build_dataloader",
    "build_evaluator",
    "build_param_schedulers",
    "dev_run",
    "leave_process_group",
    "overfitting",
    "set_randomness",
]
