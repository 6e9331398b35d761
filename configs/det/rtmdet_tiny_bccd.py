# RTMDet-tiny (arXiv:2212.07784), from scratch.
_base_ = ["_base_/bccd.py", "_base_/adamw_short.py", "_base_/runtime.py"]

norm, act = dict(type="BN"), dict(type="SiLU", inplace=True)
colours = dict(mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395])
width = [96, 192, 384]
head = dict(type="RTMDetSepBNHead", num_classes=3, in_channels=96, feat_channels=96, stacked_convs=2, norm_cfg=norm)
model = dict(
    type="RTMDet",
    data_preprocessor=dict(colours, type="DetDataPreprocessor", pad_size_divisor=32),
    backbone=dict(type="CSPNeXt", deepen_factor=0.167, widen_factor=0.375, norm_cfg=norm, act_cfg=act),
    neck=dict(type="CSPNeXtPAFPN", in_channels=width, out_channels=96, num_csp_blocks=1, norm_cfg=norm, act_cfg=act),
    bbox_head=dict(head, act_cfg=act),
    train_cfg=dict(assigner=dict(type="DynamicSoftLabelAssigner", topk=13), allowed_border=-1, pos_weight=-1),
    test_cfg=dict(nms_pre=1000, score_thr=0.01, nms=dict(type="nms", iou_threshold=0.6), max_per_img=100),
)
