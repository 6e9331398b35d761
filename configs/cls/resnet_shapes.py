# The embedded default: a small ResNet on generated pictures, a minute or two on a CPU.
_base_ = ["_base_/shapes.py", "_base_/runtime.py"]

epochs = 8
model = dict(
    type="ImageClassifier",
    backbone=dict(type="ResNet", depth=18, base_channels=16, stem_channels=16, zero_init_residual=False),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearClsHead", num_classes=4, in_channels=128),
)

optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True))
param_scheduler = dict(type="OneCycleLR", eta_max=0.1, total_steps=epochs, by_epoch=True, convert_to_iter_based=True)
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=1)
