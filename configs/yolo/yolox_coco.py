# YOLOX (arXiv:2107.08430); 8 processes of 8 images. The two smallest are tested at 416 pixels.
_base_ = ["_base_/yolox.py", "_base_/yolox_recipe.py"]

sizes = dict(nano=(0.33, 0.25), tiny=(0.33, 0.375), s=(0.33, 0.5), m=(0.67, 0.75), l=(1.0, 1.0), x=(1.33, 1.25))
size = "{{$SIZE:s}}"
work_dir = f"work_dirs/yolox_{size}_coco"
deepen, widen = sizes[size]
width = dict(widen_factor=widen, use_depthwise=size == "nano")
of_size = dict(width, deepen_factor=deepen)
model = dict(backbone=of_size, neck=of_size, bbox_head=dict(head_module=width))
if size in ("nano", "tiny"):
    model.update(data_preprocessor=dict(batch_augments=[dict({{_base_.scales}}, random_size_range=(320, 640))]))
    train_dataloader = dict(dataset=dict(pipeline=_base_.small_pipeline))
    val_dataloader = dict(dataset=dict(pipeline=_base_.small_test_pipeline))
    test_dataloader = val_dataloader
