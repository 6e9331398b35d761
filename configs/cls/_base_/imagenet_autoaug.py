# As imagenet_pillow.py, with the policies of AutoAugment, and erasing; images are in BGR order there.
_base_ = "imagenet_pillow.py"

train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type="AutoAugment", policies="imagenet", hparams=dict(pad_val=[104, 116, 124])),
    dict(
        type="RandomErasing",
        erase_prob=0.2,
        mode="rand",
        min_area_ratio=0.02,
        max_area_ratio=1 / 3,
        fill_color=[103.53, 116.28, 123.675],
        fill_std=[57.375, 57.12, 58.395],
    ),
    dict(type="PackInputs"),
]
train_dataloader = dict(batch_size=128, dataset=dict(pipeline=train_pipeline))
