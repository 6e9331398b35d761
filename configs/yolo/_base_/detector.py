# What YOLOs without more to say take in, and which objects they keep.
model = dict(
    type="YOLODetector",
    data_preprocessor=dict(type="YOLOv5DetDataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3, bgr_to_rgb=True),
    test_cfg=dict(
        multi_label=True, nms_pre=30000, score_thr=0.001, nms=dict(type="nms", iou_threshold=0.65), max_per_img=300
    ),
)
