# Faster R-CNN over a small ResNet: few proposals, few regions learnt from, narrow layers.
_base_ = ["resnet_small.py"]

bce = dict(type="CrossEntropyLoss", use_sigmoid=True)
anchors = dict(type="AnchorGenerator", scales=[4], ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32, 64])
rpn_head = dict(type="RPNHead", in_channels=64, feat_channels=64, anchor_generator=anchors, loss_cls=bce)
extract = dict(type="SingleRoIExtractor", out_channels=64, featmap_strides=[4, 8, 16, 32], finest_scale=28)
extract7 = dict(extract, roi_layer=dict(type="RoIAlign", output_size=7, sampling_ratio=2))
bbox_head = dict(type="Shared2FCBBoxHead", in_channels=64, fc_out_channels=256, roi_feat_size=7, loss_bbox=dict(type="L1Loss"))
first = dict(type="MaxIoUAssigner", pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3)
second = dict(type="MaxIoUAssigner", pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5, match_low_quality=False)
few = dict(type="RandomSampler", num=128, pos_fraction=0.5, add_gt_as_proposals=False)
proposals = dict(nms_pre=500, max_per_img=300, nms=dict(type="nms", iou_threshold=0.7), min_bbox_size=0)
found = dict(score_thr=0.05, nms=dict(type="nms", iou_threshold=0.5), max_per_img=100)
model = dict(
    type="FasterRCNN",
    data_preprocessor={{_base_.data_preprocessor}},
    backbone={{_base_.backbone}},
    neck={{_base_.neck}},
    rpn_head=dict(rpn_head, loss_bbox=dict(type="L1Loss")),
    roi_head=dict(type="StandardRoIHead", bbox_roi_extractor=extract7, bbox_head=bbox_head),
    train_cfg=dict(
        rpn=dict(assigner=first, sampler=few, allowed_border=0, pos_weight=-1),
        rpn_proposal=proposals,
        rcnn=dict(assigner=second, sampler=dict(few, pos_fraction=0.25, add_gt_as_proposals=True), pos_weight=-1),
    ),
    test_cfg=dict(rpn=proposals, rcnn=found),
)
