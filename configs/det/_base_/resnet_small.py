# ResNet-18 with half the channels, trained from scratch with its own statistics, and a pyramid of 64 channels.
norm = dict(type="BN", requires_grad=True)
backbone = dict(type="ResNet", depth=18, base_channels=32, stem_channels=32, norm_eval=False, zero_init_residual=False)
neck = dict(type="FPN", in_channels=[32, 64, 128, 256], out_channels=64, num_outs=5, norm_cfg=norm)
data_preprocessor = dict(
    type="DetDataPreprocessor",
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_size_divisor=32,
)
deltas = dict(type="DeltaXYWHBBoxCoder", target_stds=[0.1, 0.1, 0.2, 0.2])
