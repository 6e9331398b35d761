# A few short epochs from scratch: AdamW, one cycle of the learning rate, half precision, averaged weights.
epochs = 20
channels_last = True
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=5)
optim_wrapper = dict(
    type="AmpOptimWrapper",
    dtype="bfloat16",
    optimizer=dict(type="AdamW", lr=4e-3, weight_decay=0.02),
    clip_grad=dict(max_norm=10),
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0),
)
param_scheduler = dict(type="OneCycleLR", eta_max=4e-3, total_steps=epochs, by_epoch=True, convert_to_iter_based=True)
custom_hooks = [dict(type="EMAHook", momentum=0.01, update_buffers=True)]
