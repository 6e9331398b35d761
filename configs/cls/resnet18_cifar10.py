# The published recipe: 200 epochs at batch 128, 94.8 % top-1.
_base_ = ["_base_/cifar10.py", "_base_/runtime.py"]

model = dict(
    type="ImageClassifier",
    backbone=dict(type="ResNet_CIFAR", depth=18, num_stages=4, out_indices=(3,), style="pytorch"),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearClsHead", num_classes=10, in_channels=512, loss=dict(type="CrossEntropyLoss")),
)

optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=0.0001))
param_scheduler = dict(type="MultiStepLR", by_epoch=True, milestones=[100, 150], gamma=0.1)
train_cfg = dict(by_epoch=True, max_epochs=200, val_interval=1)
auto_scale_lr = dict(base_batch_size=128)
