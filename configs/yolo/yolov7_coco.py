# YOLOv7 (arXiv:2207.02696); 8 processes of 16 images.
_base_ = ["_base_/yolov7.py", "_base_/yolov7_recipe.py"]

sizes = dict(tiny=([128, 256, 512], [64, 128, 256]), l=([512, 1024, 1024], [128, 256, 512]))  # channels of the neck
sizes.update(x=([640, 1280, 1280], [160, 320, 640]))
size = "{{$SIZE:l}}"
work_dir = f"work_dirs/yolov7_{size}_coco"
before, after = sizes[size]
neck = dict(in_channels=before, out_channels=after, **_base_.parts[size])
head = dict(head_module=dict(in_channels=[2 * width for width in after]))
model = dict(backbone=dict(arch=size.capitalize()), neck=neck, bbox_head=head)
if size == "tiny":
    model["backbone"].update(act_cfg=neck["act_cfg"])
    model["bbox_head"].update(loss_cls=dict(loss_weight=0.5), loss_obj=dict(loss_weight=1.0))
    train_dataloader = dict(dataset=dict(pipeline=_base_.tiny_pipeline))
    default_hooks = dict(param_scheduler=dict(lr_factor=0.01))
