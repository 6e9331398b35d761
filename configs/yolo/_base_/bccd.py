# BCCD in a letter box of 320x320, with mosaics; calm_pipeline is for the last epochs.
_base_ = "../../det/_base_/bccd.py"

size = (320, 320)
load = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True)]
fit = [dict(type="YOLOv5KeepRatioResize", scale=size), dict(type="LetterResize", scale=size, pad_val=dict(img=114))]
affine = dict(type="YOLOv5RandomAffine", max_rotate_degree=0.0, max_shear_degree=0.0, max_aspect_ratio=100)
last = [
    dict(type="YOLOv5HSVRandomAug"),
    dict(type="det.RandomFlip", prob=0.75, direction=["horizontal", "vertical", "diagonal"]),
    dict(type="PackDetInputs"),
]
train_pipeline = [
    *load,
    dict(type="Mosaic", img_scale=size, pre_transform=load),
    dict(affine, scaling_ratio_range=(0.5, 1.5), border=(-size[0] // 2, -size[1] // 2)),
    *last,
]
calm_pipeline = [*load, *fit, dict(affine, scaling_ratio_range=(0.75, 1.25)), *last]
test_pipeline = [
    *load,
    *fit,
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "pad_param")),
]

of_yolo = dict(type="YOLOv5CocoDataset")
train_dataloader = dict(
    collate_fn=dict(type="yolov5_collate"), dataset=dict(dataset=dict(of_yolo, pipeline=train_pipeline))
)
val_dataloader = dict(dataset=dict(of_yolo, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type="det.CocoMetric")
test_evaluator = val_evaluator
