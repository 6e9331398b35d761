# ConvNeXt (arXiv:2201.03545); 32 processes of 128 images.
_base_ = ["_base_/imagenet_strong.py", "_base_/adamw_300e.py", "_base_/runtime.py"]

sizes = dict(tiny=(768, 0.1), small=(768, 0.4), base=(1024, 0.5), large=(1536, 0.5), xlarge=(2048, 0.5))
size = "{{$SIZE:tiny}}"
work_dir = f"work_dirs/convnext_{size}_in1k"
channels, drop = sizes[size]
loss = dict(type="LabelSmoothLoss", label_smooth_val=0.1, mode="original")
head = dict(type="LinearClsHead", num_classes=1000, in_channels=channels, loss=loss, init_cfg=None)
init_cfg = dict(type="TruncNormal", layer=["Conv2d", "Linear"], std=0.02, bias=0.0)
backbone = dict(type="ConvNeXt", arch=size, drop_path_rate=drop)
model = dict(type="ImageClassifier", backbone=backbone, head=head, init_cfg=init_cfg)
train_dataloader = dict(batch_size=128)
optim_wrapper = dict(optimizer=dict(lr=4e-3))
auto_scale_lr = dict(base_batch_size=4096)
custom_hooks = [dict(type="EMAHook", momentum=1e-4, priority="ABOVE_NORMAL")]
