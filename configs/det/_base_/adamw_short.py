# A dozen short epochs from scratch: AdamW, warm-up, cosine, half precision, averaged weights.
epochs = 12
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=4)
optimizer = dict(type="AdamW", lr=1e-3, weight_decay=0.05)
optim_wrapper = dict(
    type="AmpOptimWrapper",
    dtype="bfloat16",
    optimizer=optimizer,
    clip_grad=dict(max_norm=10),
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0, bypass_duplicate=True),
)
warm_up = dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=100)
cosine = dict(type="CosineAnnealingLR", eta_min=2e-5, begin=1, end=epochs, by_epoch=True, convert_to_iter_based=True)
param_scheduler = [warm_up, cosine]
custom_hooks = [dict(type="EMAHook", momentum=0.01, update_buffers=True)]
