# YOLOv5, version 6.1; 8 processes of 16 images.
_base_ = ["_base_/yolov5.py", "_base_/mosaic_sgd.py"]

sizes = dict(n=(0.33, 0.25), s=(0.33, 0.5), m=(0.67, 0.75), l=(1.0, 1.0), x=(1.33, 1.25))  # depth, width
size = "{{$SIZE:s}}"
work_dir = f"work_dirs/yolov5_{size}_coco"
deepen, widen = sizes[size]
of_size = dict(deepen_factor=deepen, widen_factor=widen)
small = size in ("n", "s")
losses = dict(loss_cls=dict(loss_weight=0.5 if small else 0.3), loss_obj=dict(loss_weight=1.0 if small else 0.7))
model = dict(backbone=of_size, neck=of_size, bbox_head=dict(losses, head_module=dict(widen_factor=widen)))
if not small:
    train_pipeline = _base_.strong_pipeline
    train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
    default_hooks = dict(param_scheduler=dict(lr_factor=0.1))
