# Some short epochs from scratch, the last of them without mosaics: AdamW in the groups of YOLOv5, half precision,
# averaged weights. Whoever trains longer follows the papers: SGD, and rates of biases that come from above.
_base_ = ["runtime.py"]

epochs, calm_epochs = 15, 4
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=3)
optim_wrapper = dict(
    type="AmpOptimWrapper",
    dtype="bfloat16",
    constructor="YOLOv5OptimizerConstructor",
    optimizer=dict(type="AdamW", fused=True, lr=2e-3, weight_decay=0.05, batch_size_per_gpu=8),
    clip_grad=dict(max_norm=10),
)
falling = dict(type="YOLOv5ParamSchedulerHook", scheduler_type="cosine", lr_factor=0.02, max_epochs=epochs)
warming = dict(warmup_epochs=1, warmup_mim_iter=100, warmup_bias_lr=0.0)
default_hooks = dict(param_scheduler=dict(falling, **warming))
custom_hooks = [dict(type="EMAHook", ema_type="ExpMomentumEMA", momentum=0.002, gamma=200, update_buffers=True, priority=49)]
