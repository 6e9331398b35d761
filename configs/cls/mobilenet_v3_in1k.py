# MobileNetV3 (arXiv:1905.02244), by the recipe of torchvision.
_base_ = ["_base_/imagenet_autoaug.py", "_base_/runtime.py"]

sizes = dict(small=(576, 1024), large=(960, 1280))
size = "{{$SIZE:small}}"
work_dir = f"work_dirs/mobilenet_v3_{size}_in1k"
channels, hidden = sizes[size]
head = dict(type="StackedLinearClsHead", num_classes=1000, in_channels=channels, mid_channels=[hidden], topk=(1, 5))
head.update(dropout_rate=0.2, act_cfg=dict(type="HSwish"), init_cfg=dict(type="Normal", layer="Linear", std=0.01))
backbone = dict(type="MobileNetV3", arch=size)
model = dict(type="ImageClassifier", backbone=backbone, neck=dict(type="GlobalAveragePooling"), head=head)
optimizer = dict(type="RMSprop", lr=0.064, alpha=0.9, momentum=0.9, eps=0.0316, weight_decay=1e-5)
optim_wrapper = dict(optimizer=optimizer)
param_scheduler = dict(type="StepLR", by_epoch=True, step_size=2, gamma=0.973)
train_cfg = dict(by_epoch=True, max_epochs=600, val_interval=1)
auto_scale_lr = dict(base_batch_size=1024)
