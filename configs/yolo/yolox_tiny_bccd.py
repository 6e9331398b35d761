# YOLOX-tiny (arXiv:2107.08430) on blood cells, from scratch; the last four epochs go without mosaics, and with an L1 loss.
_base_ = ["_base_/yolox_tiny.py", "_base_/bccd.py", "_base_/adamw_short.py"]

calm = dict(type="YOLOXModeSwitchHook", new_train_pipeline=_base_.calm_pipeline, priority=48)
model = dict(bbox_head=dict(head_module=dict(num_classes=3)))
custom_hooks = [dict(calm, num_last_epochs=_base_.calm_epochs), *_base_.custom_hooks]
