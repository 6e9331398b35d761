# COCO 2017. A test fits images into 640 x 640, padded as little as their batch needs.
data_root, img_scale = "data/coco/", (640, 640)

keys = ("img_id", "img_path", "ori_shape", "img_shape")
load = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True)]
flip = dict(type="RandomFlip", prob=0.5)
pack = dict(type="PackDetInputs", meta_keys=(*keys, "flip", "flip_direction"))
pack_test = dict(type="PackDetInputs", meta_keys=(*keys, "scale_factor", "pad_param", "flip", "flip_direction"))
fit = {
    edge: [
        dict(type="YOLOv5KeepRatioResize", scale=(edge, edge)),
        dict(type="LetterResize", scale=(edge, edge), allow_scale_up=False, pad_val=dict(img=114)),
    ]
    for edge in (320, 640, 960)
}
test_pipeline = [load[0], *fit[640], load[1], pack_test]

images = dict(type="YOLOv5CocoDataset", data_root=data_root)
loader = dict(persistent_workers=True, pin_memory=True)
train_dataloader = dict(
    loader,
    batch_size=16,
    num_workers=8,
    sampler=dict(type="DefaultSampler", shuffle=True),
    collate_fn=dict(type="yolov5_collate"),
    dataset=dict(
        images,
        ann_file="annotations/instances_train2017.json",
        data_prefix=dict(img="train2017/"),
        filter_cfg=dict(filter_empty_gt=False, min_size=32),
    ),
)
batch_shapes = dict(type="BatchShapePolicy", batch_size=1, img_size=640, size_divisor=32, extra_pad_ratio=0.5)
val_set = dict(
    images,
    ann_file="annotations/instances_val2017.json",
    data_prefix=dict(img="val2017/"),
    test_mode=True,
    pipeline=test_pipeline,
    batch_shapes_cfg=batch_shapes,
)
val_dataloader = dict(
    loader, batch_size=1, num_workers=2, sampler=dict(type="DefaultSampler", shuffle=False), dataset=val_set
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type="det.CocoMetric",
    ann_file=data_root + "annotations/instances_val2017.json",
    metric="bbox",
    proposal_nums=(100, 1, 10),
)
test_evaluator = val_evaluator
val_cfg = dict()
test_cfg = dict()

tta_model = dict(
    type="det.DetTTAModel", tta_cfg=dict(nms=dict(type="nms", iou_threshold=0.65), max_per_img=300)
)
both = [dict(type="RandomFlip", prob=1.0), dict(type="RandomFlip", prob=0.0)]
fits = [dict(type="Compose", transforms=one) for one in fit.values()]
tta_pipeline = [load[0], dict(type="TestTimeAug", transforms=[fits, both, load[1:], [pack_test]])]
