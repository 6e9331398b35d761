# Swin Transformer (arXiv:2103.14030); 16 processes of 64 images.
_base_ = ["_base_/imagenet_strong.py", "_base_/adamw_300e.py", "_base_/runtime.py"]

sizes = dict(tiny=(768, 0.2), small=(768, 0.3), base=(1024, 0.5))
size = "{{$SIZE:tiny}}"
work_dir = f"work_dirs/swin_{size}_in1k"
channels, drop = sizes[size]
loss = dict(type="LabelSmoothLoss", label_smooth_val=0.1, mode="original")
head = dict(type="LinearClsHead", num_classes=1000, in_channels=channels, loss=loss, init_cfg=None)
backbone = dict(type="SwinTransformer", arch=size, img_size=224, drop_path_rate=drop)
model = dict(type="ImageClassifier", backbone=backbone, neck=dict(type="GlobalAveragePooling"), head=head)
model.update(init_cfg=[dict(type="TruncNormal", layer="Linear", std=0.02, bias=0.0)])
model["init_cfg"].append(dict(type="Constant", layer="LayerNorm", val=1.0, bias=0.0))
optim_wrapper = dict(clip_grad=dict(max_norm=5.0))
