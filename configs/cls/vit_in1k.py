# Vision transformer (arXiv:2010.11929) by the recipe of MAE's authors (arXiv:2111.06377); 32 processes of 128 images.
_base_ = ["_base_/imagenet_strong.py", "_base_/adamw_300e.py", "_base_/runtime.py"]

loss = dict(type="LabelSmoothLoss", label_smooth_val=0.1, mode="original")
head = dict(type="VisionTransformerClsHead", num_classes=1000, in_channels=768, loss=loss)
backbone = dict(type="VisionTransformer", arch="base", img_size=224, patch_size=16, drop_path_rate=0.1)
model = dict(type="ImageClassifier", backbone=backbone, head=head)
model.update(init_cfg=[dict(type="TruncNormal", layer="Linear", std=0.02)])
model["init_cfg"].append(dict(type="Constant", layer="LayerNorm", val=1.0, bias=0.0))
train_dataloader = dict(batch_size=128)
optim_wrapper = dict(optimizer=dict(lr=1.6e-3, weight_decay=0.3, betas=(0.9, 0.95)))
auto_scale_lr = dict(base_batch_size=4096)
custom_hooks = [dict(type="EMAHook", momentum=1e-4)]
