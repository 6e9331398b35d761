# YOLOv8; 8 processes of 16 images, the last 10 of 500 epochs without mosaics.
_base_ = ["_base_/yolov8.py", "_base_/yolov8_recipe.py"]

sizes = dict(n=(0.33, 0.25, 1024), s=(0.33, 0.5, 1024), m=(0.67, 0.75, 768), l=(1.0, 1.0, 512), x=(1.0, 1.25, 512))
size = "{{$SIZE:s}}"
work_dir = f"work_dirs/yolov8_{size}_coco"
deepen, widen, last = sizes[size]
of_size, widths = dict(deepen_factor=deepen, widen_factor=widen), [256, 512, last]
neck = dict(of_size, in_channels=widths, out_channels=widths)
head = dict(head_module=dict(in_channels=widths, widen_factor=widen))
model = dict(backbone=dict(of_size, last_stage_out_channels=last), neck=neck, bbox_head=head)
if size in ("m", "l", "x"):
    mixup = dict(type="YOLOv5MixUp", prob=0.1 if size == "m" else 0.15, pre_transform=_base_.tiles)
    train_pipeline = [*_base_.tiles, mixup, *_base_.finish]
    train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
    _base_.custom_hooks[1].switch_pipeline = _base_.strong_last_pipeline
