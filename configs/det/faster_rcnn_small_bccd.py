# Faster R-CNN (arXiv:1506.01497) over a small ResNet, from scratch.
_base_ = ["_base_/faster_rcnn_small.py", "_base_/bccd.py", "_base_/adamw_short.py", "_base_/runtime.py"]

model = dict(roi_head=dict(bbox_head=dict(num_classes=3)))
