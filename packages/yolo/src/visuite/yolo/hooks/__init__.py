"""Hooks that only YOLOs have: their schedules, and the end of strong augmentation."""

from visuite.yolo.hooks.ppyoloe_param_scheduler import PPYOLOEParamSchedulerHook
from visuite.yolo.hooks.yolov5_param_scheduler import YOLOv5ParamSchedulerHook
from visuite.yolo.hooks.yolox_mode_switch import YOLOXModeSwitchHook

__all__ = ["PPYOLOEParamSchedulerHook", "YOLOXModeSwitchHook", "YOLOv5ParamSchedulerHook"]
