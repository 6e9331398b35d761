"""What a run calls at its points."""

from visuite.engine.hooks.checkpoint import CheckpointHook
from visuite.engine.hooks.hook import Hook
from visuite.engine.hooks.hook_list import HookList
from visuite.engine.hooks.iter_timer import IterTimerHook
from visuite.engine.hooks.logger import LoggerHook
from visuite.engine.hooks.param_scheduler import ParamSchedulerHook
from visuite.engine.hooks.priority import Priority, get_priority
from visuite.engine.hooks.progress import ProgressHook
from visuite.engine.hooks.runtime_info import RuntimeInfoHook
from visuite.engine.hooks.sampler_seed import DistSamplerSeedHook
from visuite.engine.hooks.visualization import VisualizationHook

__all__ = [
    "CheckpointHook",
    "DistSamplerSeedHook",
    "Hook",
    "HookList",
    "IterTimerHook",
    "LoggerHook",
    "ParamSchedulerHook",
    "Priority",
    "ProgressHook",
    "RuntimeInfoHook",
    "VisualizationHook",
    "get_priority",
]
