# The recipe of YOLOv5 and of those after it: mosaics, mapped at random, and SGD with a rate for each iteration.
# Theirs also blurs, greys or equalises 1 % of the images, for which `det.Albu` needs albumentations.
_base_ = ["coco.py", "runtime.py"]

scale, half = _base_.img_scale, [-edge // 2 for edge in _base_.img_scale]
mosaic = dict(type="Mosaic", img_scale=scale, pad_val=114.0, pre_transform=_base_.load)
warp = dict(type="YOLOv5RandomAffine", max_rotate_degree=0.0, max_shear_degree=0.0, border_val=(114, 114, 114))
gentle, strong = dict(warp, scaling_ratio_range=(0.5, 1.5)), dict(warp, scaling_ratio_range=(0.1, 1.9))
fill = [
    dict(type="YOLOv5KeepRatioResize", scale=scale),
    dict(type="LetterResize", scale=scale, allow_scale_up=True, pad_val=dict(img=114)),
]
finish = [dict(type="YOLOv5HSVRandomAug"), _base_.flip, _base_.pack]

# Large models see more of it than small ones, and two mosaics at once now and then.
train_pipeline = [*_base_.load, mosaic, dict(gentle, border=half), *finish]
tiles = [*_base_.load, mosaic, dict(strong, border=half)]
strong_pipeline = [*tiles, dict(type="YOLOv5MixUp", prob=0.1, pre_transform=tiles), *finish]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

optimizer = dict(type="SGD", lr=0.01, momentum=0.937, weight_decay=5e-4, nesterov=True, batch_size_per_gpu=16)
optim_wrapper = dict(optimizer=optimizer, constructor="YOLOv5OptimizerConstructor")
default_hooks = dict(
    param_scheduler=dict(type="YOLOv5ParamSchedulerHook", scheduler_type="linear", lr_factor=0.01, max_epochs=300),
    checkpoint=dict(interval=10),
)
ema = dict(type="EMAHook", ema_type="ExpMomentumEMA", momentum=1e-4, update_buffers=True, priority=49)
custom_hooks = [ema]
train_cfg = dict(by_epoch=True, max_epochs=300, val_interval=10)
