# RetinaNet (arXiv:1708.02002) over a small ResNet, from scratch.
_base_ = ["_base_/bccd.py", "_base_/adamw_short.py", "_base_/resnet_small.py", "_base_/runtime.py"]

anchors = dict(type="AnchorGenerator", octave_base_scale=3, scales_per_octave=3, ratios=[1.0], strides=[8, 16, 32, 64])
head = dict(type="RetinaHead", num_classes=3, in_channels=64, feat_channels=64, stacked_convs=2, norm_cfg=dict(type="BN"))
assigner = dict(type="MaxIoUAssigner", pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0)
model = dict(
    type="RetinaNet",
    data_preprocessor={{_base_.data_preprocessor}},
    backbone={{_base_.backbone}},
    neck=dict({{_base_.neck}}, start_level=1, add_extra_convs="on_output", num_outs=4),
    bbox_head=dict(head, anchor_generator=anchors, bbox_coder={{_base_.deltas}}, loss_bbox=dict(type="L1Loss")),
    train_cfg=dict(assigner=assigner, allowed_border=-1, pos_weight=-1),
    test_cfg=dict(nms_pre=1000, score_thr=0.05, nms=dict(type="nms", iou_threshold=0.5), max_per_img=100),
)
