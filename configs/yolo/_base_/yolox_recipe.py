# Mosaics and mixtures of two for 285 epochs, 15 more without them and with an L1 loss; images are padded to a square.
_base_ = ["coco.py", "runtime.py"]

epochs, last_epochs, scale = 300, 15, _base_.img_scale
load, grey = _base_.load, (114.0, 114.0, 114.0)
mosaic = dict(type="Mosaic", img_scale=scale, pad_val=114.0, pre_transform=load)
warp = dict(type="RandomAffine", border=[-edge // 2 for edge in scale])
mixup = dict(type="YOLOXMixUp", img_scale=scale, ratio_range=(0.8, 1.6), pad_val=114.0, pre_transform=load)
keep = dict(type="FilterAnnotations", min_gt_bbox_wh=(1, 1), keep_empty=False)
finish = [dict(type="det.YOLOXHSVRandomAug"), _base_.flip, keep, _base_.pack]
square = dict(type="Pad", pad_to_square=True, pad_val=dict(img=grey))
train_pipeline = [*load, mosaic, dict(warp, scaling_ratio_range=(0.1, 2.0)), mixup, *finish]
small_pipeline = [*load, mosaic, dict(warp, scaling_ratio_range=(0.5, 1.5)), *finish]
last_pipeline = [*load, dict(type="Resize", scale=scale, keep_ratio=True), square, *finish]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))

resize = {edge: dict(type="Resize", scale=(edge, edge), keep_ratio=True) for edge in (320, 416, 640, 960)}
test_pipeline = [load[0], resize[640], square, load[1], _base_.pack_test]
small_test_pipeline = [load[0], resize[416], square, load[1], _base_.pack_test]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline, batch_shapes_cfg=None))
test_dataloader = val_dataloader
sizes_of_test = [resize[640], resize[320], resize[960]]
several = [sizes_of_test, _base_.both, [square], [load[1]], [_base_.pack_test]]
tta_pipeline = [load[0], dict(type="TestTimeAug", transforms=several)]

lr = 0.01
optimizer = dict(type="SGD", lr=lr, momentum=0.9, weight_decay=5e-4, nesterov=True)
optim_wrapper = dict(optimizer=optimizer, paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0))
until = epochs - last_epochs
by_iter = dict(by_epoch=True, convert_to_iter_based=True)
param_scheduler = [
    dict(by_iter, type="QuadraticWarmupLR", begin=0, end=5),
    dict(by_iter, type="CosineAnnealingLR", eta_min=0.05 * lr, T_max=until, begin=5, end=until),
    dict(type="ConstantLR", by_epoch=True, factor=1, begin=until, end=epochs),
]
default_hooks = dict(checkpoint=dict(interval=10))
custom_hooks = [
    dict(type="YOLOXModeSwitchHook", num_last_epochs=last_epochs, new_train_pipeline=last_pipeline, priority=48),
    dict(type="det.SyncNormHook", priority=48),
    dict(type="EMAHook", ema_type="ExpMomentumEMA", momentum=1e-4, update_buffers=True, priority=49),
]
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=10, dynamic_intervals=[(until, 1)])
auto_scale_lr = dict(base_batch_size=64)
