# YOLOv8-n on blood cells, from scratch; the last four epochs go without mosaics.
_base_ = ["_base_/yolov8_n.py", "_base_/bccd.py", "_base_/adamw_short.py"]

calm = dict(type="det.PipelineSwitchHook", switch_pipeline=_base_.calm_pipeline)
model = dict(bbox_head=dict(head_module=dict(num_classes=3)), train_cfg=dict(assigner=dict(num_classes=3)))
custom_hooks = [*_base_.custom_hooks, dict(calm, switch_epoch=_base_.epochs - _base_.calm_epochs)]
