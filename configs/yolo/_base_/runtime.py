_base_ = "../../det/_base_/runtime.py"

default_scope = "yolo"
default_hooks = dict(visualization=dict(type="det.DetVisualizationHook"))
visualizer = dict(type="det.DetLocalVisualizer")
