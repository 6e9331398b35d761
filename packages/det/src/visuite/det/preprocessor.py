"""From collated images and objects to a normalised batch.

Shapes: B images, C channels, H and W the size of the batch, h and w that of one image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from visuite.det.batch_augments import TRUE_OBJECTS, BatchAugment, pad_masks, pad_seg_map
from visuite.det.registry import MODELS
from visuite.det.structures import DetDataSample, box_tensor
from visuite.engine.model import BaseDataPreprocessor, ImgDataPreprocessor
from visuite.engine.model.batching import padded_size


@MODELS.register_module()
class DetDataPreprocessor(ImgDataPreprocessor):
    """Move a batch to the device, pad and normalise it there, and augment it while training.

    Images of one batch may differ in size: they are padded to the largest. Every sample learns `batch_input_shape`, the
    size (H, W) of the batch, and `pad_shape`, to which its own image alone would have been padded.

    Args:
        mean: One value per channel.
        std: One value per channel.
        pad_mask: Pad true masks too, while training.
        mask_pad_value: With this.
        pad_seg: Pad true semantic maps too, while training.
        seg_pad_value: With this, which losses ignore.
        boxtype2tensor: Take boxes out of objects that hold them as `.tensor`.
        batch_augments: Configs or callables, called one after the other with images (B, C, H, W) and samples while
            training; each returns both.
        **of_images: As of `ImgDataPreprocessor`: `pad_size_divisor`, `pad_value`, `bgr_to_rgb`, `non_blocking`, ...
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        *,
        pad_mask: bool = False,
        mask_pad_value: int = 0,
        pad_seg: bool = False,
        seg_pad_value: int = 255,
        boxtype2tensor: bool = True,
        batch_augments: Sequence[Mapping[str, Any] | BatchAugment] | None = None,
        **of_images: Any,
    ) -> None:
        super().__init__(mean, std, **of_images)
        self.pad_mask = pad_mask
        self.mask_pad_value = mask_pad_value
        self.pad_seg = pad_seg
        self.seg_pad_value = seg_pad_value
        self.boxtype2tensor = boxtype2tensor
        self.batch_augments: list[BatchAugment] = [MODELS.build(one) for one in batch_augments or ()]

    def forward(self, data: Mapping[str, Any], training: bool = False) -> dict[str, Any]:
        """Return `inputs` (B, C, H, W) float and `data_samples` (None where there are none), other keys unchanged.

        Args:
            data: `inputs`: images (C, h, w) or a tensor (B, C, h, w); perhaps `data_samples`, one for each.
            training: Pad masks and maps too, and augment.

        Raises:
            ValueError: another number of samples than of images.
        """
        batch = super().forward(dict(data), training)
        inputs, samples = batch["inputs"], batch["data_samples"]
        if samples is None:
            return batch
        if len(samples) != len(inputs):
            raise ValueError(f"a batch of {len(inputs)} images has one sample for each, not {len(samples)}")
        for image, sample in zip(data["inputs"], samples, strict=True):
            self._prepare(sample, image.shape[-2:], inputs.shape[-2:], training)
        for augment in self.batch_augments if training else ():
            inputs, samples = augment(inputs, samples)
        return {**batch, "inputs": inputs, "data_samples": samples}

    def _prepare(self, sample: DetDataSample, size: Sequence[int], shape: Sequence[int], training: bool) -> None:
        """Fit a sample to its batch: its image is (h, w), the batch (H, W)."""
        padded = (shape[0], shape[1])
        sample.set_metainfo({"batch_input_shape": padded, "pad_shape": padded_size(size, self.pad_size_divisor)})
        if self.boxtype2tensor:
            for name in (*TRUE_OBJECTS, "proposals"):
                objects = sample.get(name)
                if objects is not None and "bboxes" in objects:
                    objects.bboxes = box_tensor(objects.bboxes)
        if training and self.pad_mask:
            pad_masks(sample, padded, self.mask_pad_value)
        if training and self.pad_seg:
            pad_seg_map(sample, padded, self.seg_pad_value)


@MODELS.register_module()
class MultiBranchDataPreprocessor(BaseDataPreprocessor):
    """Prepare a batch for each branch of a semi-supervised model, as `MultiBranch` sorted it.

    Args:
        data_preprocessor: What prepares one branch, or its config.
    """

    def __init__(self, data_preprocessor: DetDataPreprocessor | Mapping[str, Any]) -> None:
        super().__init__()
        self.data_preprocessor: DetDataPreprocessor = MODELS.build(data_preprocessor)

    def forward(self, data: Mapping[str, Any], training: bool = False) -> dict[str, Any]:
        """Return `inputs` and `data_samples` as dicts of branches, each as `DetDataPreprocessor` gives them.

        Args:
            data: Dicts of branches, whose lists hold None for images that a branch does not have; a branch without any
                image is left out. A batch that is not sorted is prepared as a whole.
            training: Pad masks and maps too, and augment.
        """
        if not isinstance(data["inputs"], Mapping):
            return self.data_preprocessor(data, training)
        done: dict[str, dict[str, Any]] = {}
        for branch, images in data["inputs"].items():
            there = [index for index, image in enumerate(images) if image is not None]
            if there:
                part = {key: [values[branch][index] for index in there] for key, values in data.items()}
                for key, value in self.data_preprocessor(part, training).items():
                    done.setdefault(key, {})[branch] = value
        return done
