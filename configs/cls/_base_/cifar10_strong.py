# As cifar10.py, with RandAugment, and Mixup or CutMix on most batches.
_base_ = "cifar10.py"

data_preprocessor = dict(
    batch_augments=dict(augments=[dict(type="Mixup", alpha=0.8), dict(type="CutMix", alpha=1.0)], probs=[0.3, 0.4])
)
randaugment = dict(
    type="RandAugment",
    policies="timm_increasing",
    num_policies=2,
    total_level=10,
    magnitude_level=5,
    magnitude_std=0.5,
    hparams=dict(pad_val=[125, 123, 114]),
)
train_pipeline = [*_base_.train_pipeline[:-1], randaugment, dict(type="PackInputs")]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
