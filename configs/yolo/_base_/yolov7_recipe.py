# As mosaic_sgd.py, along a cosine, with nine images in one now and then.
_base_ = "mosaic_sgd.py"

mosaics = [_base_.mosaic, dict({{_base_.mosaic}}, type="Mosaic9")]
pipelines = {}
for name, shift, scaling, chance in [("tiny", 0.1, (0.5, 1.6), 0.05), ("large", 0.2, (0.1, 2.0), 0.15)]:
    affine = dict({{_base_.warp}}, max_translate_ratio=shift, scaling_ratio_range=scaling, border=_base_.half)
    mix = dict(type="RandomChoice", transforms=[[one, affine] for one in mosaics], prob=[0.8, 0.2])
    mixup = dict(type="YOLOv5MixUp", alpha=8.0, beta=8.0, prob=chance, pre_transform=[*_base_.load, mix])
    pipelines[name] = [*_base_.load, mix, mixup, *_base_.finish]
tiny_pipeline, train_pipeline = pipelines["tiny"], pipelines["large"]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(constructor="YOLOv7OptimWrapperConstructor")
default_hooks = dict(param_scheduler=dict(scheduler_type="cosine", lr_factor=0.1), checkpoint=dict(interval=1))
train_cfg = dict(val_interval=1)
