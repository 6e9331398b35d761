# EfficientNet (arXiv:1905.11946); each size has a resolution of its own.
_base_ = ["_base_/imagenet.py", "_base_/sgd_100e.py", "_base_/runtime.py"]

sizes = dict(b0=(224, 1280), b1=(240, 1280), b2=(260, 1408), b3=(300, 1536), b4=(380, 1792), b5=(456, 2048))
sizes.update(b6=(528, 2304), b7=(600, 2560), b8=(672, 2816))
size = "{{$SIZE:b0}}"
work_dir = f"work_dirs/efficientnet_{size}_in1k"
pixels, channels = sizes[size]
head = dict(type="LinearClsHead", num_classes=1000, in_channels=channels, topk=(1, 5))
backbone = dict(type="EfficientNet", arch=size)
model = dict(type="ImageClassifier", backbone=backbone, neck=dict(type="GlobalAveragePooling"), head=head)
load, flip, pack = _base_.train_pipeline[0], _base_.train_pipeline[2], _base_.train_pipeline[3]
crop = dict(type="EfficientNetRandomCrop", scale=pixels)
train_dataloader = dict(dataset=dict(pipeline=[load, crop, flip, pack]))
val_dataloader = dict(dataset=dict(pipeline=[load, dict(type="EfficientNetCenterCrop", crop_size=pixels), pack]))
test_dataloader = val_dataloader
