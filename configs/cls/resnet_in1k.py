# ResNet (arXiv:1512.03385); SIZE names the depth.
_base_ = ["_base_/imagenet.py", "_base_/sgd_100e.py", "_base_/runtime.py"]

sizes = {"18": 512, "34": 512, "50": 2048, "101": 2048, "152": 2048}
size = "{{$SIZE:50}}"
work_dir = f"work_dirs/resnet_{size}_in1k"
model = dict(
    type="ImageClassifier",
    backbone=dict(type="ResNet", depth=int(size)),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearClsHead", num_classes=1000, in_channels=sizes[size], topk=(1, 5)),
)
