# RTMDet (arXiv:2212.07784) in its size l.
_base_ = "detector.py"

strides, num_classes = [8, 16, 32], 80
norm, act = dict(type="BN"), dict(type="SiLU", inplace=True)
style = dict(norm_cfg=norm, act_cfg=act)
model = dict(
    data_preprocessor=dict(mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395], bgr_to_rgb=False),
    backbone=dict(style, type="CSPNeXt", expand_ratio=0.5, channel_attention=True),
    neck=dict(style, type="CSPNeXtPAFPN", in_channels=[256, 512, 1024], out_channels=256, num_csp_blocks=3),
    bbox_head=dict(
        type="RTMDetHead",
        head_module=dict(
            style,
            type="RTMDetSepBNHeadModule",
            num_classes=num_classes,
            in_channels=256,
            feat_channels=256,
            stacked_convs=2,
            share_conv=True,
            pred_kernel_size=1,
            featmap_strides=strides,
        ),
        prior_generator=dict(type="det.MlvlPointGenerator", offset=0, strides=strides),
        bbox_coder=dict(type="DistancePointBBoxCoder"),
        loss_cls=dict(type="QualityFocalLoss", use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_bbox=dict(type="GIoULoss", loss_weight=2.0),
    ),
    train_cfg=dict(
        assigner=dict(type="BatchDynamicSoftLabelAssigner", num_classes=num_classes, topk=13),
        allowed_border=-1,
        pos_weight=-1,
    ),
)

pretrained = dict(type="Pretrained", prefix="backbone.")
weights = "https://download.openmmlab.com/mmdetection/v3.0/rtmdet/cspnext_rsb_pretrain/cspnext-{}_imagenet_600e.pth"
