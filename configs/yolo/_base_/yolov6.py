# YOLOv6 (arXiv:2209.02976), version 0.2, in its size s but for its factors; m and l have bodies of their own.
_base_ = "detector.py"

channels, num_classes = [128, 256, 512], 80
model = dict(
    backbone=dict(type="YOLOv6EfficientRep"),
    neck=dict(type="YOLOv6RepPAFPN", in_channels=[256, 512, 1024], out_channels=channels, num_csp_blocks=12),
    bbox_head=dict(
        type="YOLOv6Head",
        head_module=dict(type="YOLOv6HeadModule", num_classes=num_classes, in_channels=channels),
        loss_bbox=dict(
            type="IoULoss", iou_mode="giou", bbox_format="xyxy", reduction="mean", loss_weight=2.5, return_iou=False
        ),
    ),
    train_cfg=dict(
        initial_epoch=4,
        initial_assigner=dict(type="BatchATSSAssigner", num_classes=num_classes, topk=9),
        assigner=dict(type="BatchTaskAlignedAssigner", num_classes=num_classes, topk=13, alpha=1, beta=6),
    ),
)

relu, silu = dict(type="ReLU", inplace=True), dict(type="SiLU", inplace=True)
rep = dict(hidden_ratio=2 / 3, block_cfg=dict(type="RepVGGBlock"))
conv = dict(hidden_ratio=1 / 2, block_cfg=dict(type="ConvWrapper", norm_cfg=dict(type="BN", momentum=0.03, eps=0.001)))
bodies = {
    name: dict(
        backbone=dict(type="YOLOv6CSPBep", act_cfg=act, **blocks),
        neck=dict(type="YOLOv6CSPRepPAFPN", block_act_cfg=act, **blocks),
    )
    for name, act, blocks in [("m", relu, rep), ("l", silu, conv)]
}
