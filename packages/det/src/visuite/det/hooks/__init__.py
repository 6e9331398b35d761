"""Hooks that only detection has."""

from visuite.det.hooks.num_class_check import NumClassCheckHook
from visuite.det.hooks.sync_norm import SyncNormHook
from visuite.det.hooks.visualization import DetVisualizationHook
from visuite.det.hooks.yolox_mode_switch import YOLOXModeSwitchHook

__all__ = ["DetVisualizationHook", "NumClassCheckHook", "SyncNormHook", "YOLOXModeSwitchHook"]
