"""Hooks that only detection has."""

from visuite.det.hooks.sync_norm import SyncNormHook
from visuite.det.hooks.visualization import DetVisualizationHook
from visuite.det.hooks.yolox_mode_switch import YOLOXModeSwitchHook

__all__ = ["DetVisualizationHook", "SyncNormHook", "YOLOXModeSwitchHook"]
