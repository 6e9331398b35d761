# shapes.py, with one change to the augmentation: CHANGE=no_mosaic, scales or masks (boxes refined by masks).
_base_ = "shapes.py"

change = "{{$CHANGE:nothing}}"
load, last = _base_.load, _base_.last
mosaic, affine = _base_.train_pipeline[2:4]
if change == "no_mosaic":
    train_pipeline = [*load, *_base_.fit, dict(affine, border=(0, 0)), *last]
if change == "masks":
    masks = [load[0], dict(load[1], with_mask=True, poly2mask=False)]
    refined = [*masks, dict(mosaic, pre_transform=masks), dict(affine, use_mask_refine=True)]
    train_pipeline = [*refined, dict(type="RemoveDataElement", keys=["gt_masks"]), *last]
    del masks, refined
if change in ("no_mosaic", "masks"):
    train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
del load, last, mosaic, affine
