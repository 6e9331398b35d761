# YOLOv7 (arXiv:2207.02696) in its size l. Losses weigh what they shall for 80 classes and images of 640 pixels.
_base_ = "detector.py"

channels, strides = [256, 512, 1024], [8, 16, 32]
anchors = [[(12, 16), (19, 36), (40, 28)], [(36, 75), (76, 55), (72, 146)], [(142, 110), (192, 243), (459, 401)]]
bce = dict(type="CrossEntropyLoss", use_sigmoid=True, reduction="mean")
model = dict(
    backbone=dict(type="YOLOv7Backbone", arch="L"),
    neck=dict(type="YOLOv7PAFPN", in_channels=[512, 1024, 1024], out_channels=[128, 256, 512]),  # these are doubled
    bbox_head=dict(
        type="YOLOv7Head",
        head_module=dict(type="YOLOv7HeadModule", num_classes=80, in_channels=channels, featmap_strides=strides),
        prior_generator=dict(type="det.YOLOAnchorGenerator", base_sizes=anchors, strides=strides),
        loss_cls=dict(bce, loss_weight=0.3),
        loss_bbox=dict(
            type="IoULoss", iou_mode="ciou", bbox_format="xywh", reduction="mean", loss_weight=0.05, return_iou=True
        ),
        loss_obj=dict(bce, loss_weight=0.7),
        prior_match_thr=4.0,
        obj_level_weights=[4.0, 1.0, 0.4],
        simota_candidate_topk=10,
        simota_iou_weight=3.0,
        simota_cls_weight=1.0,
    ),
)

leaky = dict(type="LeakyReLU", negative_slope=0.1)
tiny = dict(type="TinyDownSampleBlock", middle_ratio=0.25)
wide = dict(type="ELANBlock", middle_ratio=0.4, block_ratio=0.4, num_blocks=3, num_convs_in_block=2)
parts = dict(
    tiny=dict(block_cfg=tiny, act_cfg=leaky, is_tiny_version=True, use_repconv_outs=False),
    l=dict(),
    x=dict(block_cfg=wide, use_repconv_outs=False),
)
