# Shapes: crops of 64x64 pixels with one object each, drawn by tools/make_shapes.py into data/shapes.
classes = ("disc", "square", "triangle", "star")
data_preprocessor = dict(num_classes=4, mean=[128.0, 128.0, 128.0], std=[64.0, 64.0, 64.0], to_rgb=True)

test_pipeline = [dict(type="LoadImageFromFile"), dict(type="Resize", scale=64), dict(type="PackInputs")]
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=64),
    dict(type="RandomFlip", prob=[0.25, 0.25, 0.25], direction=["horizontal", "vertical", "diagonal"]),
    dict(type="RandomCrop", crop_size=64, padding=4, padding_mode="reflect"),
    dict(type="PackInputs"),
]

train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    collate_fn=dict(type="default_collate"),
    dataset=dict(
        type="CustomDataset", data_root="data/shapes/cls", data_prefix="train", classes=classes, pipeline=train_pipeline
    ),
    sampler=dict(type="DefaultSampler", shuffle=True),
)
val_dataloader = dict(
    batch_size=256,
    num_workers=2,
    persistent_workers=True,
    collate_fn=dict(type="default_collate"),
    dataset=dict(
        type="CustomDataset", data_root="data/shapes/cls", data_prefix="val", classes=classes, pipeline=test_pipeline
    ),
    sampler=dict(type="DefaultSampler", shuffle=False),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="Accuracy", topk=(1,))
test_evaluator = val_evaluator
val_cfg = dict()
test_cfg = dict()
