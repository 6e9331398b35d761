# YOLOv8 in its size n.
_base_ = ["yolov8.py"]

channels = [256, 512, 1024]
factors = dict(deepen_factor=0.33, widen_factor=0.25)
model = dict(
    backbone=dict(factors, last_stage_out_channels=channels[-1]),
    neck=dict(factors, in_channels=channels, out_channels=channels),
    bbox_head=dict(head_module=dict(in_channels=channels, widen_factor=0.25)),
)
