# RepVGG (arXiv:2101.03697).
_base_ = ["_base_/imagenet_pillow.py", "_base_/sgd_100e.py", "_base_/runtime.py"]

sizes = dict(A0=1280, A1=1280, A2=1408, B0=1280, B1=2048, B1g2=2048, B1g4=2048, B2=2560)
size = "{{$SIZE:A0}}"
work_dir = f"work_dirs/repvgg_{size}_in1k"
epochs = 120
head = dict(type="LinearClsHead", num_classes=1000, in_channels=sizes[size], topk=(1, 5))
backbone = dict(type="RepVGG", arch=size, out_indices=(3,))
model = dict(type="ImageClassifier", backbone=backbone, neck=dict(type="GlobalAveragePooling"), head=head)
still = {key: dict(decay_mult=0.0) for key in ("branch_3x3.norm", "branch_1x1.norm", "branch_norm.bias")}
optim_wrapper = dict(paramwise_cfg=dict(bias_decay_mult=0.0, custom_keys=still))
cosine = dict(type="CosineAnnealingLR", T_max=epochs, by_epoch=True, begin=0, end=epochs, convert_to_iter_based=True)
param_scheduler = dict(_delete_=True, **cosine)
train_cfg = dict(max_epochs=epochs)
