# CamVid: streets of Cambridge in 480x360, 11 classes; 367 pictures to train with, each seen twice an epoch.
data_root, size = "data/camvid/", (480, 360)

load = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations")]
train_pipeline = [
    *load,
    dict(type="RandomResize", scale=size, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=(256, 320), cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackSegInputs"),
]
test_pipeline = [*load, dict(type="PackSegInputs")]

train_set, val_set, test_set = (
    dict(
        type="CamVidDataset",
        data_root=data_root,
        data_prefix=dict(img_path=f"images/{split}", seg_map_path=f"annotations/{split}"),
        pipeline=train_pipeline if split == "train" else test_pipeline,
        test_mode=split != "train",
    )
    for split in ("train", "val", "test")
)
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="RepeatDataset", times=2, dataset=train_set),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=val_set,
)
test_dataloader = dict(val_dataloader, dataset=test_set)
val_evaluator = dict(type="IoUMetric", iou_metrics=["mIoU"])
test_evaluator = val_evaluator
val_cfg = dict()
test_cfg = dict()
data_preprocessor = dict(
    type="SegDataPreProcessor",
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    size=(256, 320),
    test_cfg=dict(size_divisor=32),
)
