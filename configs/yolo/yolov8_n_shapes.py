# YOLOv8-n on drawn shapes, from scratch: a few minutes on a CPU.
_base_ = ["_base_/yolov8_n.py", "_base_/shapes.py", "_base_/adamw_short.py"]

epochs, calm_epochs, channels_last = 12, 3, True
model = dict(bbox_head=dict(head_module=dict(num_classes=4)), train_cfg=dict(assigner=dict(num_classes=4)))
affine = dict(_base_.train_pipeline[3], scaling_ratio_range=(0.8, 1.2))
train_pipeline = [*_base_.train_pipeline[:3], affine, *_base_.last]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline, cache_type="ram"))
train_cfg = dict(max_epochs=epochs, val_interval=epochs)
optim_wrapper = dict(optimizer=dict(lr=3e-3))
default_hooks = dict(param_scheduler=dict(max_epochs=epochs))
calm = dict(type="det.PipelineSwitchHook", switch_epoch=epochs - calm_epochs, switch_pipeline=_base_.calm_pipeline)
custom_hooks = [dict(_base_.custom_hooks[0], momentum=0.01, gamma=100), calm]
