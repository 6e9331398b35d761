# RegNetX (arXiv:2003.13678) on images in BGR order, as by its authors; SIZE names the FLOPs.
_base_ = ["_base_/imagenet_lighting.py", "_base_/sgd_100e.py", "_base_/runtime.py"]

sizes = {"400mf": 384, "800mf": 672, "1.6gf": 912, "3.2gf": 1008, "4.0gf": 1360, "6.4gf": 1624, "8.0gf": 1920}
size = "{{$SIZE:400mf}}"
work_dir = f"work_dirs/regnet_{size}_in1k"
head = dict(type="LinearClsHead", num_classes=1000, in_channels=sizes[size], topk=(1, 5))
backbone = dict(type="RegNet", arch=f"regnetx_{size}")
model = dict(type="ImageClassifier", backbone=backbone, neck=dict(type="GlobalAveragePooling"), head=head)
optim_wrapper = dict(optimizer=dict(lr=0.8, weight_decay=5e-5, nesterov=True))
warm_up = dict(type="LinearLR", start_factor=0.1, by_epoch=True, begin=0, end=5)
param_scheduler = [warm_up, dict(type="CosineAnnealingLR", T_max=95, by_epoch=True, begin=5, end=100)]
auto_scale_lr = dict(base_batch_size=1024)
custom_hooks = [dict(type="PreciseBNHook", num_samples=8192, interval=1)]
