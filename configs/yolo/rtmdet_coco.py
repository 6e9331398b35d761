# RTMDet (arXiv:2212.07784); 8 processes of 32 images. The two smallest begin from backbones that know ImageNet.
_base_ = ["_base_/rtmdet.py", "_base_/rtmdet_recipe.py"]

sizes = dict(tiny=(0.167, 0.375), s=(0.33, 0.5), m=(0.67, 0.75), l=(1.0, 1.0), x=(1.33, 1.25))  # depth, width
size = "{{$SIZE:s}}"
work_dir = f"work_dirs/rtmdet_{size}_coco"
deepen, widen = sizes[size]
of_size = dict(deepen_factor=deepen, widen_factor=widen)
model = dict(backbone=of_size, neck=of_size, bbox_head=dict(head_module=dict(widen_factor=widen)))
if size in ("tiny", "s"):
    model.update(backbone=dict(of_size, init_cfg=dict({{_base_.pretrained}}, checkpoint=_base_.weights.format(size))))
    train_pipeline = _base_.tiny_pipeline if size == "tiny" else _base_.small_pipeline
    train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
    _base_.custom_hooks[1].switch_pipeline = _base_.small_last_pipeline
