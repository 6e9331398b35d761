# DeiT (arXiv:2012.12877) without a teacher; 1024 images in all.
_base_ = ["_base_/imagenet_strong.py", "_base_/adamw_300e.py", "_base_/runtime.py"]

sizes = dict(tiny=(192, 0.0), small=(384, 0.0), base=(768, 0.1))
size = "{{$SIZE:small}}"
work_dir = f"work_dirs/deit_{size}_in1k"
channels, drop = sizes[size]
loss = dict(type="LabelSmoothLoss", label_smooth_val=0.1, mode="original")
head = dict(type="VisionTransformerClsHead", num_classes=1000, in_channels=channels, loss=loss)
backbone = dict(type="VisionTransformer", arch=f"deit-{size}", img_size=224, patch_size=16, drop_path_rate=drop)
model = dict(type="ImageClassifier", backbone=backbone, head=head)
model.update(init_cfg=[dict(type="TruncNormal", layer="Linear", std=0.02)])
model["init_cfg"].append(dict(type="Constant", layer="LayerNorm", val=1.0, bias=0.0))
train_dataloader = dict(batch_size=256)
optim_wrapper = dict(clip_grad=dict(max_norm=5.0))
if size == "base":
    custom_hooks = [dict(type="EMAHook", momentum=4e-5, priority="ABOVE_NORMAL")]
