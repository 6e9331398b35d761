# YOLOX (arXiv:2107.08430) in its size l, trained at many scales; images are neither normalised nor turned to RGB.
channels = [256, 512, 1024]
summed = dict(type="CrossEntropyLoss", use_sigmoid=True, reduction="sum", loss_weight=1.0)
scales = dict(type="YOLOXBatchSyncRandomResize", random_size_range=(480, 800), size_divisor=32, interval=10)
model = dict(
    type="YOLODetector",
    use_syncbn=False,
    data_preprocessor=dict(type="YOLOv5DetDataPreprocessor", pad_size_divisor=32, batch_augments=[scales]),
    backbone=dict(type="YOLOXCSPDarknet", out_indices=(2, 3, 4)),
    neck=dict(type="YOLOXPAFPN", in_channels=channels, out_channels=256),
    bbox_head=dict(
        type="YOLOXHead",
        head_module=dict(type="YOLOXHeadModule", num_classes=80, in_channels=256, feat_channels=256, stacked_convs=2),
        loss_cls=summed,
        loss_bbox=dict(type="det.IoULoss", mode="square", eps=1e-16, reduction="sum", loss_weight=5.0),
        loss_obj=summed,
        loss_bbox_aux=dict(type="L1Loss", reduction="sum", loss_weight=1.0),
    ),
    train_cfg=dict(assigner=dict(type="det.SimOTAAssigner", center_radius=2.5)),
    test_cfg=dict(
        yolox_style=True, multi_label=True, score_thr=0.001, nms=dict(type="nms", iou_threshold=0.65), max_per_img=300
    ),
)
