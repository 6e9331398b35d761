# A sixteenth of ResNet-18's work, half precision and one cycle of the learning rate: minutes on a CPU.
_base_ = ["resnet18_cifar10.py"]

epochs = 10
channels_last = True
model = dict(backbone=dict(base_channels=16, stem_channels=16, zero_init_residual=False), head=dict(in_channels=128))

optim_wrapper = dict(
    type="AmpOptimWrapper",
    dtype="bfloat16",
    optimizer=dict(type="SGD", lr=0.2, momentum=0.9, weight_decay=5e-4, nesterov=True),
)
param_scheduler = dict(
    _delete_=True, type="OneCycleLR", eta_max=0.2, total_steps=epochs, by_epoch=True, convert_to_iter_based=True
)
train_cfg = dict(max_epochs=epochs)
