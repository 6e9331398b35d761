# YOLOv6 (arXiv:2209.02976), version 0.2; 8 processes of 32 images, 300 epochs for m and l, 400 for the small ones.
_base_ = ["_base_/yolov6.py", "_base_/yolov6_recipe.py"]

sizes = dict(n=(0.33, 0.25), t=(0.33, 0.375), s=(0.33, 0.5), m=(0.6, 0.75), l=(1.0, 1.0))  # depth, width
size = "{{$SIZE:s}}"
work_dir = f"work_dirs/yolov6_{size}_coco"
deepen, widen = sizes[size]
of_size, overlap = dict(deepen_factor=deepen, widen_factor=widen), dict(iou_mode="giou" if widen > 0.4 else "siou")
model = dict(backbone=of_size, neck=of_size, bbox_head=dict(head_module=dict(widen_factor=widen), loss_bbox=overlap))
default_hooks = dict(param_scheduler=dict(lr_factor=0.02 if size == "n" else 0.01))
if size in ("m", "l"):
    model.update({part: dict(of_size, **body) for part, body in _base_.bodies[size].items()})
    train_dataloader = dict(dataset=dict(pipeline=_base_.strong_pipeline))
    default_hooks["param_scheduler"].update(max_epochs=300)
    train_cfg = dict(max_epochs=300, dynamic_intervals=[(285, 1)])
    _base_.custom_hooks[1].switch_epoch = 285
