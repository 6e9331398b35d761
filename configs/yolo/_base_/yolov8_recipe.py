# As mosaic_sgd.py, for 500 epochs, the last 10 without mosaics.
_base_ = "mosaic_sgd.py"

epochs, last_epochs = 500, 10
load, fill, finish, half = _base_.load, _base_.fill, _base_.finish, _base_.half
gentle, strong = dict({{_base_.gentle}}, max_aspect_ratio=100), dict({{_base_.strong}}, max_aspect_ratio=100)
train_pipeline = [*load, _base_.mosaic, dict(gentle, border=half), *finish]
last_pipeline, strong_last_pipeline = [*load, *fill, gentle, *finish], [*load, *fill, strong, *finish]
tiles = [*load, _base_.mosaic, dict(strong, border=half)]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(batch_shapes_cfg=None))
test_dataloader = val_dataloader
optim_wrapper = dict(clip_grad=dict(max_norm=10.0))
default_hooks = dict(param_scheduler=dict(max_epochs=epochs))
switch = dict(type="PipelineSwitchHook", switch_epoch=epochs - last_epochs, switch_pipeline=last_pipeline)
custom_hooks = [_base_.ema, switch]
train_cfg = dict(max_epochs=epochs, dynamic_intervals=[(epochs - last_epochs, 1)])
