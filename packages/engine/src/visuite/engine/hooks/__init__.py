"""What a run calls at its points."""

from visuite.engine.hooks.check_invalid_loss import CheckInvalidLossHook, InvalidLossError
from visuite.engine.hooks.checkpoint import CheckpointHook
from visuite.engine.hooks.early_stopping import EarlyStoppingHook
from visuite.engine.hooks.ema import EMAHook
from visuite.engine.hooks.empty_cache import EmptyCacheHook
from visuite.engine.hooks.hook import Hook
from visuite.engine.hooks.hook_list import HookList
from visuite.engine.hooks.iter_timer import IterTimerHook
from visuite.engine.hooks.logger import LoggerHook
from visuite.engine.hooks.param_scheduler import ParamSchedulerHook
from visuite.engine.hooks.pipeline_switch import PipelineSwitchHook, switch_pipeline
from visuite.engine.hooks.precise_bn import PreciseBNHook
from visuite.engine.hooks.preemption import Preempted, PreemptionHook
from visuite.engine.hooks.prepare_tta import PrepareTTAHook, build_runner_with_tta, register_default_tta
from visuite.engine.hooks.priority import Priority, get_priority
from visuite.engine.hooks.profiler import ProfilerHook
from visuite.engine.hooks.progress import ProgressHook
from visuite.engine.hooks.runtime_info import RuntimeInfoHook
from visuite.engine.hooks.sampler_seed import DistSamplerSeedHook
from visuite.engine.hooks.switch_recipe import SwitchRecipeHook
from visuite.engine.hooks.sync_buffers import SyncBuffersHook
from visuite.engine.hooks.visualization import VisualizationHook

__all__ = [
    "CheckInvalidLossHook",
    "CheckpointHook",
    "DistSamplerSeedHook",
    "EMAHook",
    "EarlyStoppingHook",
    "EmptyCacheHook",
    "Hook",
    "HookList",
    "InvalidLossError",
    "IterTimerHook",
    "LoggerHook",
    "ParamSchedulerHook",
    "PipelineSwitchHook",
    "PreciseBNHook",
    "Preempted",
    "PreemptionHook",
    "PrepareTTAHook",
    "Priority",
    "ProfilerHook",
    "ProgressHook",
    "RuntimeInfoHook",
    "SwitchRecipeHook",
    "SyncBuffersHook",
    "VisualizationHook",
    "build_runner_with_tta",
    "get_priority",
    "register_default_tta",
    "switch_pipeline",
]
