# A small U-Net (arXiv:1505.04597) from scratch: a quarter of the channels, at half the resolution from its first step on.
_base_ = ["fast_scnn_camvid.py"]

convs = dict(enc_num_convs=(2, 2, 2, 2, 2), dec_num_convs=(2, 2, 2, 2))
unet = dict(
    convs, type="UNet", base_channels=16, num_stages=5, strides=(2, 1, 1, 1, 1), upsample_cfg=dict(type="InterpConv")
)
model = dict(
    backbone=dict(unet, _delete_=True, norm_cfg={{_base_.norm}}),
    decode_head=dict(type="FCNHead", in_channels=16, in_index=4, channels=32, num_convs=1),
    auxiliary_head=dict(in_channels=64, in_index=2),
)
