"""From collated images and maps to a normalised batch.

Shapes: B images, C channels, H and W the size of the batch, h and w that of one image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from visuite.engine.model import ImgDataPreprocessor
from visuite.engine.structures import PixelData
from visuite.seg.registry import MODELS
from visuite.seg.structures import SegDataSample

Samples = Sequence[SegDataSample] | None
BatchAugment = Callable[[torch.Tensor, Samples], tuple[torch.Tensor, Samples]]
_TRUE_MAPS = ("gt_sem_seg", "gt_edge_map", "gt_depth_map")


@MODELS.register_module()
class SegDataPreProcessor(ImgDataPreprocessor):
    """Move a batch to the device, normalise it, and pad images and true maps there, at the right and the bottom.

    Images of one batch may differ in size: without a rule they are padded to the largest. Every sample learns
    `img_shape` (h, w), `pad_shape` (H, W) and `img_padding_size` (left, right, top, bottom).

    Args:
        mean: One value per channel, or one for all.
        std: Likewise.
        size: (H, W) that images are padded to while training; larger ones stay larger.
        size_divisor: Instead of it: H and W become multiples of this while training.
        pad_val: What padding of images holds, after normalising.
        seg_pad_val: What padding of true maps holds, which losses ignore.
        bgr_to_rgb: Reverse the order of three channels.
        rgb_to_bgr: The same thing, by its other name.
        batch_augments: Modules or configs, each called with images (B, C, H, W) and samples while training; it
            returns both.
        test_cfg: `size` or `size_divisor` while not training; without it images of one size are not padded.
        non_blocking: Copy to the device without waiting.

    Raises:
        ValueError: both `size` and `size_divisor`, or an unknown key in `test_cfg`.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        *,
        size: Sequence[int] | None = None,
        size_divisor: int | None = None,
        pad_val: float = 0,
        seg_pad_val: float = 255,
        bgr_to_rgb: bool = False,
        rgb_to_bgr: bool = False,
        batch_augments: Sequence[Mapping[str, Any] | BatchAugment] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        non_blocking: bool = False,
    ) -> None:
        super().__init__(
            mean=mean,
            std=std,
            pad_value=pad_val,
            bgr_to_rgb=bgr_to_rgb,
            rgb_to_bgr=rgb_to_bgr,
            non_blocking=non_blocking,
        )
        unknown = sorted(set(test_cfg or ()) - {"size", "size_divisor"})
        if unknown:
            raise ValueError(f"test_cfg of the data_preprocessor holds size or size_divisor, not {unknown[0]!r}")
        self.size, self.size_divisor = _checked(size, size_divisor)
        self.test_size, self.test_size_divisor = _checked(**(test_cfg or {}))
        self.seg_pad_val = seg_pad_val
        self.batch_augments: list[BatchAugment] = [MODELS.build(one) for one in batch_augments or ()]

    def forward(self, data: Mapping[str, Any], training: bool = False) -> dict[str, Any]:
        """Return `inputs` (B, C, H, W) float and `data_samples` (None where there are none), other keys unchanged.

        Args:
            data: `inputs`: images (C, h, w) or a tensor (B, C, h, w); perhaps `data_samples`, one for each.
            training: Pad true maps too, and augment.

        Raises:
            ValueError: a true map is not of its image's size.
        """
        batch = super().forward(dict(data), training)
        samples = batch["data_samples"]
        sizes = [(image.shape[-2], image.shape[-1]) for image in data["inputs"]]
        batch["inputs"] = self._pad(batch["inputs"], training)
        for index, sample in enumerate(samples or ()):
            if training:
                self._pad_maps(sample, index, sizes[index], batch["inputs"].shape[-2:])
            self._note(sample, sizes[index], batch["inputs"].shape[-2:])
        if training:
            for augment in self.batch_augments:
                batch["inputs"], batch["data_samples"] = augment(batch["inputs"], batch["data_samples"])
        return batch

    def _pad(self, images: torch.Tensor, training: bool) -> torch.Tensor:
        """Return images (B, C, H, W) as large as the rule for training, or for testing, says."""
        size, divisor = (self.size, self.size_divisor) if training else (self.test_size, self.test_size_divisor)
        height, width = images.shape[-2:]
        below, right = -height % divisor, -width % divisor
        if size is not None:
            below, right = max(size[0] - height, 0), max(size[1] - width, 0)
        return F.pad(images, (0, right, 0, below), value=self.pad_value) if below or right else images

    def _pad_maps(self, sample: SegDataSample, index: int, size: tuple[int, int], padded: Sequence[int]) -> None:
        """Pad the true maps of an image as it was padded itself."""
        for name in _TRUE_MAPS:
            field = sample.get(name)
            if field is None:
                continue
            if field.shape != size:
                raise ValueError(f"sample {index}: {name} is {field.shape} high and wide, its image {size}")
            pad = (0, padded[1] - size[1], 0, padded[0] - size[0])
            maps = {key: F.pad(value, pad, value=self.seg_pad_val) for key, value in field.items()}
            setattr(sample, name, PixelData(metainfo=field.metainfo, **maps))

    @staticmethod
    def _note(sample: SegDataSample, size: tuple[int, int], padded: Sequence[int]) -> None:
        right, below = padded[1] - size[1], padded[0] - size[0]
        sample.set_metainfo(
            {"img_shape": size, "pad_shape": tuple(padded), "img_padding_size": (0, right, 0, below)},
        )


def _checked(size: Sequence[int] | None = None, size_divisor: int | None = None) -> tuple[Sequence[int] | None, int]:
    """Return a rule for padding, of which one part says nothing.

    Raises:
        ValueError: both parts say something, or `size` is not a pair.
    """
    if size is not None and size_divisor is not None:
        raise ValueError("size and size_divisor both say how far images are padded: set one")
    if size is not None and (isinstance(size, int) or len(size) != 2):
        raise ValueError(f"size is (height, width), not {size!r}")
    return size, size_divisor or 1
