# 80 epochs from weights that know Objects365, without mosaics; images are stretched, while training to many sizes.
_base_ = ["coco.py", "runtime.py"]

load, epochs = _base_.load, 80
stretch = dict(type="det.FixShapeResize", width=640, height=640, keep_ratio=False, interpolation="bicubic")
train_pipeline = [
    *load,
    dict(type="PPYOLOERandomDistort"),
    dict(type="det.Expand", mean=(103.53, 116.28, 123.675)),
    dict(type="PPYOLOERandomCrop"),
    _base_.flip,
    _base_.pack,
]
test_pipeline = [load[0], stretch, load[1], _base_.pack_test]
no_empty = dict(filter_empty_gt=True, min_size=0)
train_dataloader = dict(
    batch_size=8,
    collate_fn=dict(type="yolov5_collate", use_ms_training=True),
    dataset=dict(filter_cfg=no_empty, pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(filter_cfg=no_empty, pipeline=test_pipeline, batch_shapes_cfg=None))
test_dataloader = val_dataloader

optimizer = dict(type="SGD", lr=0.001, momentum=0.9, weight_decay=5e-4)
optim_wrapper = dict(optimizer=optimizer, paramwise_cfg=dict(norm_decay_mult=0.0))
default_hooks = dict(
    param_scheduler=dict(type="PPYOLOEParamSchedulerHook", warmup_epochs=5, total_epochs=int(1.2 * epochs)),
    checkpoint=dict(interval=5),
)
custom_hooks = [
    dict(type="EMAHook", ema_type="ExpMomentumEMA", momentum=2e-4, update_buffers=True, priority=49),
]
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=5)
