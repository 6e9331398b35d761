# A small vision transformer on patches of 4x4 pixels, strongly augmented, half precision: a quarter of an hour on 2 cores.
_base_ = ["_base_/cifar10_strong.py", "_base_/adamw_300e.py", "_base_/runtime.py"]

epochs, width = 12, 96
arch = dict(embed_dims=width, num_layers=6, num_heads=3, feedforward_channels=2 * width)
backbone = dict(type="VisionTransformer", arch=arch, img_size=32, patch_size=4, out_type="avg_featmap")
head = dict(type="LinearClsHead", num_classes=10, in_channels=width, loss=dict(type="CrossEntropyLoss", use_soft=True))
model = dict(type="ImageClassifier", backbone=backbone, head=head)
optim_wrapper = dict(type="AmpOptimWrapper", dtype="bfloat16", clip_grad=dict(max_norm=1.0))
warm_up = dict(type="LinearLR", start_factor=0.01, by_epoch=True, end=2, convert_to_iter_based=True)
cosine = dict(type="CosineAnnealingLR", eta_min=1e-5, by_epoch=True, begin=2, end=epochs, convert_to_iter_based=True)
param_scheduler = [warm_up, cosine]
train_cfg = dict(max_epochs=epochs)
auto_scale_lr = dict(base_batch_size=128)
custom_hooks = [dict(type="EMAHook", momentum=0.002)]
