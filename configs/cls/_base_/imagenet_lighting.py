# As imagenet.py, in BGR order, with colours shifted along their principal components.
_base_ = "imagenet.py"

data_preprocessor = dict(mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395], to_rgb=False)
train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(
        type="Lighting",
        eigval=[0.2175, 0.0188, 0.0045],
        eigvec=[[-0.5836, -0.6948, 0.4203], [-0.5808, -0.0045, -0.814], [-0.5675, 0.7192, 0.4009]],
        alphastd=25.5,
        to_rgb=False,
    ),
    dict(type="PackInputs"),
]
train_dataloader = dict(batch_size=128, dataset=dict(pipeline=train_pipeline))
