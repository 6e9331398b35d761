# Fast-SCNN (arXiv:1902.04502) from scratch. Rare classes weigh more: few pixels are poles, signs and bicyclists.
_base_ = ["_base_/camvid.py", "_base_/adamw_short.py", "_base_/runtime.py"]

norm = dict(type="BN", requires_grad=True)
weights = [0.6, 0.6, 2.5, 0.5, 1.0, 0.7, 2.5, 1.5, 1.0, 2.0, 2.0]
loss = dict(type="CrossEntropyLoss", class_weight=weights)
head = dict(type="DepthwiseSeparableFCNHead", in_channels=128, channels=128, concat_input=False, in_index=-1)
aux = dict(type="FCNHead", in_channels=64, channels=32, num_convs=1, concat_input=False, in_index=0)
model = dict(
    type="EncoderDecoder",
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(type="FastSCNN", norm_cfg=norm),
    decode_head=dict(head, num_classes=11, norm_cfg=norm, loss_decode=loss),
    auxiliary_head=dict(aux, num_classes=11, norm_cfg=norm, loss_decode=dict(loss, loss_weight=0.4)),
)
