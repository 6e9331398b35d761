# YOLOv8-n on drawn shapes, from scratch: a few minutes on a CPU.
_base_ = ["_base_/yolov8_n.py", "_base_/shapes.py", "_base_/adamw_short.py"]

epochs, calm_epochs = 12, 3
model = dict(bbox_head=dict(head_module=dict(num_classes=4)), train_cfg=dict(assigner=dict(num_classes=4)))
train_cfg = dict(max_epochs=epochs, val_interval=4)
default_hooks = dict(param_scheduler=dict(max_epochs=epochs))
calm = dict(type="det.PipelineSwitchHook", switch_epoch=epochs - calm_epochs, switch_pipeline=_base_.calm_pipeline)
custom_hooks = [dict(_base_.custom_hooks[0], momentum=0.01, gamma=100), calm]
