# PP-YOLOE+ (arXiv:2203.16250) in its size l, trained at many scales.
channels, num_classes = [192, 384, 768], 80
scales = dict(type="PPYOLOEBatchRandomResize", random_size_range=(320, 800), interval=1, size_divisor=32)
model = dict(
    type="YOLODetector",
    data_preprocessor=dict(
        type="PPYOLOEDetDataPreprocessor",
        mean=[0.0] * 3,
        std=[255.0] * 3,
        bgr_to_rgb=True,
        pad_size_divisor=32,
        batch_augments=[dict(scales, random_interp=True, keep_ratio=False)],
    ),
    backbone=dict(type="PPYOLOECSPResNet", use_large_stem=True),
    neck=dict(type="PPYOLOECSPPAFPN", in_channels=[256, 512, 1024], out_channels=channels, use_spp=True),
    bbox_head=dict(
        type="PPYOLOEHead",
        head_module=dict(type="PPYOLOEHeadModule", num_classes=num_classes, in_channels=channels, reg_max=16),
        loss_cls=dict(
            type="VarifocalLoss",
            use_sigmoid=True,
            alpha=0.75,
            gamma=2.0,
            iou_weighted=True,
            reduction="sum",
            loss_weight=1.0,
        ),
        loss_bbox=dict(
            type="IoULoss", iou_mode="giou", bbox_format="xyxy", reduction="mean", loss_weight=2.5, return_iou=False
        ),
        loss_dfl=dict(type="DistributionFocalLoss", reduction="mean", loss_weight=0.125),
    ),
    train_cfg=dict(
        initial_epoch=30,
        initial_assigner=dict(type="BatchATSSAssigner", num_classes=num_classes, topk=9),
        assigner=dict(type="BatchTaskAlignedAssigner", num_classes=num_classes, topk=13, alpha=1, beta=6),
    ),
    test_cfg=dict(
        multi_label=True, nms_pre=1000, score_thr=0.01, nms=dict(type="nms", iou_threshold=0.7), max_per_img=300
    ),
)
