"""How the optimizers of YOLOs are built."""

from visuite.yolo.optim.constructor import YOLOv5OptimizerConstructor, YOLOv7OptimWrapperConstructor

__all__ = ["YOLOv5OptimizerConstructor", "YOLOv7OptimWrapperConstructor"]
