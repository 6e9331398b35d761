# BCCD: 364 pictures of blood cells, 640x480, at half their size; every epoch sees each training picture 4 times.
data_root, classes, size = "data/bccd/", ("RBC", "WBC", "Platelets"), (320, 240)

load = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True)]
train_pipeline = [
    *load,
    dict(type="RandomResize", scale=size, ratio_range=(0.75, 1.5), keep_ratio=True),
    dict(type="RandomCrop", crop_size=(240, 320), allow_negative_crop=True),
    dict(type="RandomFlip", prob=0.75, direction=["horizontal", "vertical", "diagonal"]),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackDetInputs"),
]
test_pipeline = [*load, dict(type="Resize", scale=size, keep_ratio=True), dict(type="PackDetInputs")]

images = dict(type="CocoDataset", data_root=data_root, metainfo=dict(classes=classes), data_prefix=dict(img="JPEGImages/"))
once = dict(images, ann_file="annotations/instances_train.json", pipeline=train_pipeline)
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="RepeatDataset", times=4, dataset=once),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(images, ann_file="annotations/instances_val.json", pipeline=test_pipeline, test_mode=True),
)
test_dataloader = dict(
    val_dataloader, dataset=dict(images, ann_file="annotations/instances_test.json", pipeline=test_pipeline, test_mode=True)
)
val_evaluator = dict(type="CocoMetric", ann_file=data_root + "annotations/instances_val.json", metric="bbox")
test_evaluator = dict(type="CocoMetric", ann_file=data_root + "annotations/instances_test.json", metric="bbox")
val_cfg = dict()
test_cfg = dict()
