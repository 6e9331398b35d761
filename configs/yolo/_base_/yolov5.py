# YOLOv5, version 6.1, in its size l. Losses weigh what they shall for 80 classes and images of 640 pixels.
_base_ = "detector.py"

channels, strides = [256, 512, 1024], [8, 16, 32]
anchors = [[(10, 13), (16, 30), (33, 23)], [(30, 61), (62, 45), (59, 119)], [(116, 90), (156, 198), (373, 326)]]
bce = dict(type="CrossEntropyLoss", use_sigmoid=True, reduction="mean")
model = dict(
    backbone=dict(type="YOLOv5CSPDarknet"),
    neck=dict(type="YOLOv5PAFPN", in_channels=channels, out_channels=channels, num_csp_blocks=3),
    bbox_head=dict(
        type="YOLOv5Head",
        head_module=dict(type="YOLOv5HeadModule", num_classes=80, in_channels=channels, featmap_strides=strides),
        prior_generator=dict(type="det.YOLOAnchorGenerator", base_sizes=anchors, strides=strides),
        loss_cls=dict(bce, loss_weight=0.3),
        loss_bbox=dict(
            type="IoULoss", iou_mode="ciou", bbox_format="xywh", reduction="mean", loss_weight=0.05, return_iou=True
        ),
        loss_obj=dict(bce, loss_weight=0.7),
        prior_match_thr=4.0,
        obj_level_weights=[4.0, 1.0, 0.4],
    ),
)
