# What mosaics, their early end, many scales and boxes refined by masks do: CHANGE=no_mosaic, no_calm, scales or masks.
_base_ = ["_base_/yolov8_n.py", "_base_/shapes_ablation.py", "_base_/adamw_short.py"]

change, epochs, calm_epochs = _base_.change, 8, 2
work_dir = f"work_dirs/ablation_{change}"
model = dict(bbox_head=dict(head_module=dict(num_classes=4)), train_cfg=dict(assigner=dict(num_classes=4)))
if change == "scales":
    sizes = dict(type="YOLOXBatchSyncRandomResize", random_size_range=(128, 224), interval=10)
    model["data_preprocessor"] = dict(batch_augments=[sizes])
train_cfg = dict(max_epochs=epochs, val_interval=8)
default_hooks = dict(param_scheduler=dict(max_epochs=epochs))
calm = dict(type="det.PipelineSwitchHook", switch_epoch=epochs - calm_epochs, switch_pipeline=_base_.calm_pipeline)
custom_hooks = [dict(_base_.custom_hooks[0], momentum=0.01, gamma=100)] + [calm] * (change != "no_calm")
