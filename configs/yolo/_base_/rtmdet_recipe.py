# Mosaics and mixtures out of caches for 280 epochs, 20 more without them; AdamW, which slows down in the second half.
_base_ = ["coco.py", "runtime.py"]

epochs, last_epochs, scale = 300, 20, _base_.img_scale
load, double = _base_.load, [2 * edge for edge in scale]
crop = [
    dict(type="det.RandomCrop", crop_size=scale),
    dict(type="det.YOLOXHSVRandomAug"),
    _base_.flip,
    dict(type="Pad", size=scale, pad_val=dict(img=(114, 114, 114))),
]
resize = dict(type="RandomResize", resize_type="Resize", keep_ratio=True)
large, small = dict(resize, ratio_range=(0.1, 2.0)), dict(resize, ratio_range=(0.5, 2.0))
last_pipeline, small_last_pipeline = [[*load, dict(one, scale=scale), *crop, _base_.pack] for one in (large, small)]

mosaic = dict(type="Mosaic", img_scale=scale, pad_val=114.0, use_cached=True)
mosaic40, mosaic20 = dict(mosaic, max_cached_images=40), dict(mosaic, max_cached_images=20, random_pop=False)
mixup = dict(type="YOLOv5MixUp", use_cached=True)
mixup20, mixup10 = dict(mixup, max_cached_images=20), dict(mixup, max_cached_images=10, random_pop=False, prob=0.5)
train_pipeline = [*load, mosaic40, dict(large, scale=double), *crop, mixup20, _base_.pack]
small_pipeline = [*load, mosaic40, dict(small, scale=double), *crop, mixup20, _base_.pack]
tiny_pipeline = [*load, mosaic20, dict(small, scale=double), *crop, mixup10, _base_.pack]
train_set = dict(filter_cfg=dict(filter_empty_gt=True), pipeline=train_pipeline)
train_dataloader = dict(batch_size=32, num_workers=10, dataset=train_set)
val_dataloader = dict(batch_size=32, num_workers=10, dataset=dict(batch_shapes_cfg=dict(batch_size=32)))
test_dataloader = val_dataloader

lr = 0.004
once = dict(norm_decay_mult=0, bias_decay_mult=0, bypass_duplicate=True)
optim_wrapper = dict(optimizer=dict(type="AdamW", lr=lr, weight_decay=0.05), paramwise_cfg=once)
half = epochs // 2
cosine = dict(type="CosineAnnealingLR", eta_min=0.05 * lr, T_max=half, begin=half, end=epochs)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-5, by_epoch=False, begin=0, end=1000),
    dict(cosine, by_epoch=True, convert_to_iter_based=True),
]
default_hooks = dict(checkpoint=dict(interval=10))
switch = dict(type="PipelineSwitchHook", switch_epoch=epochs - last_epochs, switch_pipeline=last_pipeline)
ema = dict(type="EMAHook", ema_type="ExpMomentumEMA", momentum=2e-4, update_buffers=True, priority=49)
custom_hooks = [ema, switch]
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=10, dynamic_intervals=[(epochs - last_epochs, 1)])
