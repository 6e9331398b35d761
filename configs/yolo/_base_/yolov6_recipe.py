# As mosaic_sgd.py, for 400 epochs along a cosine, the last 15 without mosaics.
_base_ = "mosaic_sgd.py"

epochs, last_epochs = 400, 15
last_pipeline = [*_base_.load, *_base_.fill, _base_.gentle, *_base_.finish]
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(optimizer=dict(batch_size_per_gpu=32))
default_hooks = dict(param_scheduler=dict(scheduler_type="cosine", max_epochs=epochs))
switch = dict(type="PipelineSwitchHook", switch_epoch=epochs - last_epochs, switch_pipeline=last_pipeline)
custom_hooks = [_base_.ema, switch]
train_cfg = dict(max_epochs=epochs, dynamic_intervals=[(epochs - last_epochs, 1)])
