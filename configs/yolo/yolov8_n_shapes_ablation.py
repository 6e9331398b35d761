# What mosaics, their early end, many scales and boxes refined by masks do: CHANGE=no_mosaic, no_calm, scales or masks.
_base_ = ["yolov8_n_shapes.py"]

change = "{{$CHANGE:nothing}}"
work_dir = f"work_dirs/ablation_{change}"
load, mosaic, affine, last = _base_.load, _base_.train_pipeline[2], _base_.train_pipeline[3], _base_.last
masks = [load[0], dict(load[1], with_mask=True, poly2mask=False)]
refined = [*masks, dict(mosaic, pre_transform=masks), dict(affine, use_mask_refine=True)]
pipelines = dict(
    no_mosaic=[*load, *_base_.fit, dict(affine, border=(0, 0)), *last],
    masks=[*refined, dict(type="RemoveDataElement", keys=["gt_masks"]), *last],
)
train_dataloader = dict(dataset=dict(pipeline=pipelines.get(change, _base_.train_pipeline)))
custom_hooks = _base_.custom_hooks[:-1] if change == "no_calm" else _base_.custom_hooks
scales = dict(type="YOLOXBatchSyncRandomResize", random_size_range=(128, 224), interval=10)
model = dict(data_preprocessor=dict(batch_augments=[scales] if change == "scales" else []))
