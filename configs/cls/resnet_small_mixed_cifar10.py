# The model of resnet_small_cifar10.py, strongly augmented and averaged, which gains most in longer runs; half precision.
_base_ = ["_base_/cifar10_strong.py", "_base_/runtime.py"]

epochs = 15
channels_last = True
backbone = dict(type="ResNet_CIFAR", depth=18, base_channels=16, stem_channels=16, zero_init_residual=False)
head = dict(type="LinearClsHead", num_classes=10, in_channels=128, loss=dict(type="CrossEntropyLoss", use_soft=True))
model = dict(type="ImageClassifier", backbone=backbone, neck=dict(type="GlobalAveragePooling"), head=head)
optimizer = dict(type="SGD", lr=0.2, momentum=0.9, weight_decay=5e-4, nesterov=True)
optim_wrapper = dict(type="AmpOptimWrapper", dtype="bfloat16", optimizer=optimizer)
warm_up = dict(type="LinearLR", start_factor=0.1, by_epoch=True, end=2, convert_to_iter_based=True)
cosine = dict(type="CosineAnnealingLR", by_epoch=True, begin=2, end=epochs, convert_to_iter_based=True)
param_scheduler = [warm_up, cosine]
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=1)
custom_hooks = [dict(type="EMAHook", momentum=0.002, update_buffers=True)]
