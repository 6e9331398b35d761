# BCCD: 364 pictures of blood cells, 640x480, in a letter box of 320x320; every epoch sees each training picture 4 times.
data_root, classes, size = "data/bccd/", ("RBC", "WBC", "Platelets"), (320, 320)

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

images = dict(type="YOLOv5CocoDataset", data_root=data_root, metainfo=dict(classes=classes), data_prefix=dict(img="JPEGImages/"))
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    collate_fn=dict(type="yolov5_collate"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="RepeatDataset",
        times=4,
        dataset=dict(images, ann_file="annotations/instances_train.json", pipeline=train_pipeline),
    ),
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
val_evaluator = dict(type="det.CocoMetric", ann_file=data_root + "annotations/instances_val.json", metric="bbox")
test_evaluator = dict(type="det.CocoMetric", ann_file=data_root + "annotations/instances_test.json", metric="bbox")
val_cfg = dict()
test_cfg = dict()
