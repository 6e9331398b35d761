# Mask R-CNN (arXiv:1703.06870) over a small ResNet, from scratch.
_base_ = ["_base_/faster_rcnn_small.py", "_base_/shapes.py", "_base_/adamw_short.py", "_base_/runtime.py"]

extract14 = dict({{_base_.extract}}, roi_layer=dict(type="RoIAlign", output_size=14, sampling_ratio=2))
mask_head = dict(type="FCNMaskHead", num_convs=2, in_channels=64, conv_out_channels=64, num_classes=4)
model = dict(
    type="MaskRCNN",
    data_preprocessor=dict(pad_mask=True),
    roi_head=dict(bbox_head=dict(num_classes=4), mask_roi_extractor=extract14, mask_head=mask_head),
    train_cfg=dict(rcnn=dict(mask_size=28)),
    test_cfg=dict(rcnn=dict(mask_thr_binary=0.5)),
)
train_cfg = dict(max_epochs=8)
