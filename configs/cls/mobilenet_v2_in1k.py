# MobileNetV2 (arXiv:1801.04381); SIZE names the factor of its widths.
_base_ = ["_base_/imagenet_pillow.py", "_base_/sgd_100e.py", "_base_/runtime.py"]

sizes = {"0.5": 1280, "0.75": 1280, "1.0": 1280, "1.4": 1792}
size = "{{$SIZE:1.0}}"
work_dir = f"work_dirs/mobilenet_v2_{size}_in1k"
model = dict(
    type="ImageClassifier",
    backbone=dict(type="MobileNetV2", widen_factor=float(size)),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearClsHead", num_classes=1000, in_channels=sizes[size], topk=(1, 5)),
)
optim_wrapper = dict(optimizer=dict(lr=0.045, weight_decay=4e-5))
param_scheduler = dict(_delete_=True, type="StepLR", by_epoch=True, step_size=1, gamma=0.98)
train_cfg = dict(max_epochs=300)
