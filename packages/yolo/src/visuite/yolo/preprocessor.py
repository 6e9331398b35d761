"""From a batch, however it was collated, to normalised images and their objects.

Shapes: B images, C channels, H and W the size of the batch, h and w that of one image, N objects of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visuite.det.preprocessor import DetDataPreprocessor
from visuite.engine.model import ImgDataPreprocessor
from visuite.yolo.datasets.collate import samples_of
from visuite.yolo.registry import MODELS


@MODELS.register_module()
class YOLOv5DetDataPreprocessor(DetDataPreprocessor):
    """Move a batch to the device, normalise and pad it there, and augment it while training.

    Samples are a list of `DetDataSample`, or what `yolov5_collate` makes of it, one tensor of all objects: that form
    costs little to send to a device, and keeps no object of its own for each image. Predictions belong to images, so
    that outside training they become samples.

    Args:
        *args: As of `DetDataPreprocessor`.
        **kwargs: As of `DetDataPreprocessor`.
    """

    def forward(self, data: Mapping[str, Any], training: bool = False) -> dict[str, Any]:
        """Return `inputs` (B, C, H, W) float and `data_samples`: a list, or while training the form they came in.

        Args:
            data: `inputs`: images (C, h, w) or a tensor (B, C, h, w); `data_samples`: a list, or a dict of `img_metas`
                and `bboxes_labels` (N, 6).
            training: Augment.
        """
        samples: Any = data.get("data_samples")
        if not isinstance(samples, Mapping):
            return super().forward(data, training)
        if not training:
            return super().forward({**data, "data_samples": samples_of(samples)})
        batch = ImgDataPreprocessor.forward(self, dict(data), training)
        inputs = batch["inputs"]
        samples = dict(batch["data_samples"])
        shape = tuple(inputs.shape[-2:])
        samples["img_metas"] = [{**meta, "batch_input_shape": shape} for meta in samples.get("img_metas", ())]
        for augment in self.batch_augments:
            inputs, samples = augment(inputs, samples)
        return {**batch, "inputs": inputs, "data_samples": samples}


@MODELS.register_module()
class PPYOLOEDetDataPreprocessor(YOLOv5DetDataPreprocessor):
    """As `YOLOv5DetDataPreprocessor`, but while training `batch_augments` see images of any sizes, not yet normalised.

    Args:
        *args: As of `DetDataPreprocessor`.
        **kwargs: As of `DetDataPreprocessor`.
    """

    def forward(self, data: Mapping[str, Any], training: bool = False) -> dict[str, Any]:
        """Return `inputs` (B, C, H, W) float and `data_samples`, in the form in which they came."""
        if not training:
            return super().forward(data)
        data = self.cast_data(dict(data))
        inputs: Any = data["inputs"]
        samples: Any = data.get("data_samples")
        for augment in self.batch_augments:
            inputs, samples = augment(inputs, samples)
        return super().forward({**data, "inputs": inputs, "data_samples": samples})
