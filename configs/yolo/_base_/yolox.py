# YOLOX (arXiv:2107.08430), trained at many scales. The factors of depth and width by size; this is the second smallest.
factors = dict(nano=(0.33, 0.25), tiny=(0.33, 0.375), s=(0.33, 0.5), m=(0.67, 0.75), l=(1.0, 1.0), x=(1.33, 1.25))
deepen, widen = factors["tiny"]

of_size = dict(deepen_factor=deepen, widen_factor=widen)
scales = dict(type="YOLOXBatchSyncRandomResize", random_size_range=(256, 384), interval=10)
model = dict(
    type="YOLODetector",
    data_preprocessor=dict(type="YOLOv5DetDataPreprocessor", pad_size_divisor=32, batch_augments=[scales]),
    backbone=dict(of_size, type="YOLOXCSPDarknet", out_indices=(2, 3, 4)),
    neck=dict(of_size, type="YOLOXPAFPN", in_channels=[256, 512, 1024], out_channels=256),
    bbox_head=dict(
        type="YOLOXHead",
        head_module=dict(type="YOLOXHeadModule", num_classes=80, in_channels=256, feat_channels=256, widen_factor=widen),
    ),
    train_cfg=dict(assigner=dict(type="det.SimOTAAssigner", center_radius=2.5)),
    test_cfg=dict(multi_label=True, nms_pre=1000, score_thr=0.01, nms=dict(type="nms", iou_threshold=0.6), max_per_img=100),
)
