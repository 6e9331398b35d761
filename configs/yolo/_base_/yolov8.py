# YOLOv8 in its size l.
_base_ = "detector.py"

channels, strides, num_classes = [256, 512, 512], [8, 16, 32], 80
model = dict(
    backbone=dict(type="YOLOv8CSPDarknet", last_stage_out_channels=channels[-1]),
    neck=dict(type="YOLOv8PAFPN", in_channels=channels, out_channels=channels),
    bbox_head=dict(
        type="YOLOv8Head",
        head_module=dict(
            type="YOLOv8HeadModule", num_classes=num_classes, in_channels=channels, featmap_strides=strides, reg_max=16
        ),
        loss_cls=dict(type="CrossEntropyLoss", use_sigmoid=True, reduction="none", loss_weight=0.5),
        loss_bbox=dict(
            type="IoULoss", iou_mode="ciou", bbox_format="xyxy", reduction="sum", loss_weight=7.5, return_iou=False
        ),
        loss_dfl=dict(type="DistributionFocalLoss", reduction="mean", loss_weight=0.375),
    ),
    train_cfg=dict(
        assigner=dict(
            type="BatchTaskAlignedAssigner", num_classes=num_classes, use_ciou=True, topk=10, alpha=0.5, beta=6.0
        )
    ),
    test_cfg=dict(nms=dict(iou_threshold=0.7)),
)
