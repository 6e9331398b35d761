# YOLOX in its size tiny, for small images.
_base_ = ["yolox.py"]

of_size = dict(deepen_factor=0.33, widen_factor=0.375)
model = dict(
    data_preprocessor=dict(batch_augments=[dict({{_base_.scales}}, random_size_range=(256, 384))]),
    backbone=of_size,
    neck=of_size,
    bbox_head=dict(head_module=dict(widen_factor=0.375)),
    test_cfg=dict(nms_pre=1000, score_thr=0.01, nms=dict(iou_threshold=0.6), max_per_img=100, yolox_style=False),
)
