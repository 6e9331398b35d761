"""Augmentations of a whole batch: each is called with images and samples, and returns both.

Shapes: B images, C channels, H and W the size of the batch.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from visuite.cv.image import rescale_size
from visuite.det.registry import MODELS
from visuite.det.structures import DetDataSample, box_tensor
from visuite.engine.dataset.seeding import mix
from visuite.engine.logging import MessageHub
from visuite.engine.model.batching import padded_size
from visuite.engine.structures import PixelData

Samples = Sequence[DetDataSample]
#: The fields that hold an image's true objects.
TRUE_OBJECTS = ("gt_instances", "ignored_instances")


class BatchAugment(ABC):
    """The base of augmentations of a batch."""

    @abstractmethod
    def __call__(self, inputs: Tensor, data_samples: Samples) -> tuple[Tensor, Samples]:
        """Return images (B, C, H', W') and their samples, which may be changed in place."""


class RandomSizes:
    """Sizes that change every few iterations, the same on all ranks.

    They are a function of the run's seed and iteration, so that a resumed run meets the same.

    Args:
        random_size_range: The least and the largest size.
        interval: The iterations between two changes.
        size_divisor: All sizes are multiples of it.

    Raises:
        ValueError: no range, or none that holds a multiple of `size_divisor`.
    """

    def __init__(self, random_size_range: Sequence[int], interval: int, *, size_divisor: int) -> None:
        low, high = random_size_range
        if interval < 1 or size_divisor < 1 or not 1 <= low // size_divisor <= high // size_divisor:
            raise ValueError(
                f"random_size_range {tuple(random_size_range)} is a least and a largest size, at least size_divisor "
                f"{size_divisor}, and interval {interval} is at least 1"
            )
        self.units = low // size_divisor, high // size_divisor
        self.interval = interval
        self.size_divisor = size_divisor

    def draw(self, iteration: int, seed: int) -> tuple[int, random.Random]:
        """Return the size of an iteration, in units of `size_divisor`, and what else is drawn until the next change."""
        stream = random.Random(mix(seed, iteration // self.interval))
        return stream.randint(*self.units), stream


def place_in_run() -> tuple[int, int]:
    """Return the iteration and the seed of the current run; zeros outside of one."""
    hub = MessageHub.get_current_instance()
    return hub.get_info("iter") or 0, hub.get_info("seed") or 0


@MODELS.register_module()
class BatchSyncRandomResize(BatchAugment):
    """Resize the batch to a size that changes every few iterations, the same on all ranks.

    The size is a function of the run's seed and iteration, so that a resumed run meets the same sizes. Before the first
    change, and outside of a run, batches keep their size.

    Args:
        random_size_range: The least and the largest height.
        interval: The iterations between two changes.
        size_divisor: Heights and widths are multiples of it; the width follows from the batch's aspect ratio.

    Raises:
        ValueError: no range, or none that holds a multiple of `size_divisor`.
    """

    def __init__(self, random_size_range: Sequence[int], interval: int = 10, *, size_divisor: int = 32) -> None:
        self.sizes = RandomSizes(random_size_range, interval, size_divisor=size_divisor)

    def size_at(self, iteration: int, seed: int, shape: tuple[int, int]) -> tuple[int, int]:
        """Return the size (H', W') of an iteration's batch, whose images come as (H, W)."""
        if iteration < self.sizes.interval:
            return shape
        units, _ = self.sizes.draw(iteration, seed)
        divisor = self.sizes.size_divisor
        return divisor * units, divisor * max(int(units * shape[1] / shape[0]), 1)

    def __call__(self, inputs: Tensor, data_samples: Samples) -> tuple[Tensor, Samples]:
        """Resize images (B, C, H, W), and all that their samples say of places."""
        height, width = inputs.shape[-2:]
        return resize_batch(inputs, data_samples, self.size_at(*place_in_run(), (height, width)))


@MODELS.register_module()
class BatchFixedSizePad(BatchAugment):
    """Pad the batch at the right and the bottom to one size, so that all iterations need the same memory.

    Args:
        size: (w, h) to reach; larger batches stay larger.
        img_pad_value: What padding of images holds, which are normalised already.
        pad_mask: Pad true masks too.
        mask_pad_value: With this.
        pad_seg: Pad true semantic maps too.
        seg_pad_value: With this, which losses ignore.
    """

    def __init__(
        self,
        size: Sequence[int],
        img_pad_value: float = 0,
        *,
        pad_mask: bool = False,
        mask_pad_value: int = 0,
        pad_seg: bool = False,
        seg_pad_value: int = 255,
    ) -> None:
        self.size = (size[0], size[1])
        self.img_pad_value = img_pad_value
        self.pad_mask = pad_mask
        self.mask_pad_value = mask_pad_value
        self.pad_seg = pad_seg
        self.seg_pad_value = seg_pad_value

    def __call__(self, inputs: Tensor, data_samples: Samples) -> tuple[Tensor, Samples]:
        """Pad images (B, C, H, W)."""
        shape = (max(inputs.shape[-2], self.size[1]), max(inputs.shape[-1], self.size[0]))
        for sample in data_samples:
            sample.set_metainfo({"batch_input_shape": shape, "pad_shape": shape})
            if self.pad_mask:
                pad_masks(sample, shape, self.mask_pad_value)
            if self.pad_seg:
                pad_seg_map(sample, shape, self.seg_pad_value)
        return pad_images(inputs, shape, self.img_pad_value), data_samples


@MODELS.register_module()
class BatchResize(BatchAugment):
    """Resize the batch as large as fits, with its aspect ratio kept.

    Args:
        scale: The largest allowed long and short edge, in any order.
        pad_size_divisor: Heights and widths are padded to multiples of it.
        pad_value: What padding holds.
    """

    def __init__(self, scale: Sequence[int], pad_size_divisor: int = 1, *, pad_value: float = 0) -> None:
        self.scale = (scale[0], scale[1])
        self.pad_size_divisor = pad_size_divisor
        self.pad_value = pad_value

    def __call__(self, inputs: Tensor, data_samples: Samples) -> tuple[Tensor, Samples]:
        """Resize images (B, C, H, W), and all that their samples say of places."""
        width, height = rescale_size((inputs.shape[-1], inputs.shape[-2]), self.scale)
        inputs, data_samples = resize_batch(inputs, data_samples, (height, width))
        height, width = padded_size((height, width), self.pad_size_divisor)
        for sample in data_samples:
            sample.set_metainfo({"batch_input_shape": (height, width), "pad_shape": (height, width)})
        return pad_images(inputs, (height, width), self.pad_value), data_samples


def resize_batch(inputs: Tensor, data_samples: Samples, size: tuple[int, int]) -> tuple[Tensor, Samples]:
    """Resize images (B, C, H, W) to (H', W'), and their samples' boxes, masks, maps and sizes."""
    before = (inputs.shape[-2], inputs.shape[-1])
    if before == size:
        return inputs, data_samples
    for sample in data_samples:
        resize_sample(sample, before, size)
    return F.interpolate(inputs, size, mode="bilinear", align_corners=False), data_samples


def pad_images(images: Tensor, shape: tuple[int, int], value: float) -> Tensor:
    """Pad images (..., H, W) at the right and the bottom to a shape that is not smaller."""
    below, right = shape[0] - images.shape[-2], shape[1] - images.shape[-1]
    return F.pad(images, (0, right, 0, below), value=value) if below or right else images


def pad_masks(sample: DetDataSample, shape: tuple[int, int], value: int) -> None:
    """Pad a sample's true masks to the shape (H, W)."""
    for name in TRUE_OBJECTS:
        objects = sample.get(name)
        if objects is not None and "masks" in objects:
            objects.masks = objects.masks.pad(shape, value)


def pad_seg_map(sample: DetDataSample, shape: tuple[int, int], value: int) -> None:
    """Pad a sample's true semantic map to the shape (H, W)."""
    field = sample.get("gt_sem_seg")
    if field is not None:
        maps = {key: pad_images(one, shape, value) for key, one in field.items()}
        sample.gt_sem_seg = PixelData(metainfo=field.metainfo, **maps)


def resized_meta(meta: Mapping[str, Any], before: tuple[int, int], size: tuple[int, int]) -> dict[str, Any]:
    """Return what meta information says anew of sizes, the image's batch (H, W) having become (H', W')."""
    sizes = {key: _scaled(meta[key], before, size) for key in ("img_shape", "pad_shape") if key in meta}
    return {**sizes, "batch_input_shape": size}


def resize_sample(sample: DetDataSample, before: tuple[int, int], size: tuple[int, int]) -> None:
    """Resize what a sample says of places, its batch (H, W) having become (H', W')."""
    sample.set_metainfo(resized_meta(sample.metainfo, before, size))
    for name in TRUE_OBJECTS:
        objects = sample.get(name)
        if objects is None:
            continue
        scale = [size[1] / before[1], size[0] / before[0]]
        if "bboxes" in objects:
            boxes = box_tensor(objects.bboxes)
            objects.bboxes = boxes * boxes.new_tensor(scale * 2)
        if "keypoints" in objects:
            points = objects.keypoints
            objects.keypoints = torch.cat([points[..., :2] * points.new_tensor(scale), points[..., 2:]], dim=-1)
        if "masks" in objects:
            masks = objects.masks
            objects.masks = masks.resize(_scaled((masks.height, masks.width), before, size))
    field = sample.get("gt_sem_seg")
    if field is not None:
        maps = {key: _nearest(one, _scaled(one.shape[-2:], before, size)) for key, one in field.items()}
        sample.gt_sem_seg = PixelData(metainfo=field.metainfo, **maps)


def _scaled(shape: Sequence[int], before: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Return what becomes of a shape (h, w) in a batch (H, W) that becomes (H', W')."""
    return shape[0] * size[0] // before[0], shape[1] * size[1] // before[1]


def _nearest(seg_map: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a map (1, H, W) of whole numbers."""
    return F.interpolate(seg_map[None].float(), size, mode="nearest-exact")[0].to(seg_map.dtype)
