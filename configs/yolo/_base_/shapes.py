# Shapes with boxes, in a letter box of 160x160, with mosaics; calm_pipeline is for the last epochs.
_base_ = "../../det/_base_/shapes.py"

size = (160, 160)
load = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True)]
fit = [dict(type="YOLOv5KeepRatioResize", scale=size), dict(type="LetterResize", scale=size, pad_val=dict(img=114))]
last = [
    dict(type="det.RandomFlip", prob=0.75, direction=["horizontal", "vertical", "diagonal"]),
    dict(type="PackDetInputs"),
]
train_pipeline = [
    *load,
    dict(type="Mosaic", img_scale=size, pre_transform=load),
    dict(type="YOLOv5RandomAffine", max_rotate_degree=0.0, max_shear_degree=0.0, border=(-size[0] // 2, -size[1] // 2)),
    *last,
]
calm_pipeline = [*load, *fit, *last]
test_pipeline = [
    *load,
    *fit,
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "pad_param")),
]

of_yolo = dict(type="YOLOv5CocoDataset")
train_dataloader = dict(
    batch_size=16,
    collate_fn=dict(type="yolov5_collate"),
    dataset=dict(of_yolo, pipeline=train_pipeline, filter_cfg=dict(filter_empty_gt=False)),
)
val_dataloader = dict(batch_size=16, dataset=dict(of_yolo, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type="det.CocoMetric", metric="bbox")
test_evaluator = val_evaluator
