# Shapes with boxes: scenes of 160x160 pixels, drawn by tools/make_shapes.py into data/shapes.
data_root, classes, size = "data/shapes/", ("disc", "square", "triangle", "star"), (160, 160)

load = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True)]
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
calm_pipeline = [*load, *last]
test_pipeline = [*load, dict(type="PackDetInputs")]

images = dict(type="YOLOv5CocoDataset", data_root=data_root, metainfo=dict(classes=classes))
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    collate_fn=dict(type="yolov5_collate"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        images,
        ann_file="annotations/instances_train.json",
        data_prefix=dict(img="images/train/"),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        images,
        ann_file="annotations/instances_val.json",
        data_prefix=dict(img="images/val/"),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="det.CocoMetric", ann_file=data_root + "annotations/instances_val.json", metric="bbox")
test_evaluator = val_evaluator
val_cfg = dict()
test_cfg = dict()
