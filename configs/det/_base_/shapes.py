# Shapes with boxes and masks: scenes of 160x160 pixels, drawn by tools/make_shapes.py into data/shapes.
data_root, classes = "data/shapes/", ("disc", "square", "triangle", "star")

load = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True, with_mask=True)]
flip = dict(type="RandomFlip", prob=0.75, direction=["horizontal", "vertical", "diagonal"])
train_pipeline = [*load, flip, dict(type="PackDetInputs")]
test_pipeline = [*load, dict(type="PackDetInputs")]
images = dict(type="CocoDataset", data_root=data_root, metainfo=dict(classes=classes))
train_set = dict(
    images,
    ann_file="annotations/instances_train.json",
    data_prefix=dict(img="images/train/"),
    pipeline=train_pipeline,
    filter_cfg=dict(filter_empty_gt=True),
)
val_set = dict(
    images,
    ann_file="annotations/instances_val.json",
    data_prefix=dict(img="images/val/"),
    pipeline=test_pipeline,
    test_mode=True,
)
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=train_set,
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=val_set,
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type="CocoMetric", ann_file=data_root + "annotations/instances_val.json", metric=["bbox", "segm"]
)
test_evaluator = val_evaluator
val_cfg = dict()
test_cfg = dict()
