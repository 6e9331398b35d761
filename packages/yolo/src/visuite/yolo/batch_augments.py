"""Training at many scales: batches are resized on the device, whichever form their samples come in.

Any YOLO does so by one key: `data_preprocessor.batch_augments=[dict(type='YOLOXBatchSyncRandomResize', ...)]`.

Shapes: B images, C channels, H and W the size of the batch, h and w that of one image, N objects of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from visuite.cv.image import rescale_size
from visuite.det.batch_augments import (
    BatchAugment,
    BatchSyncRandomResize,
    RandomSizes,
    place_in_run,
    resize_sample,
    resized_meta,
)
from visuite.yolo.heads.truth import Samples
from visuite.yolo.registry import MODELS

Size = tuple[int, int]
#: How images may be interpolated; each has its own look.
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "area")


@MODELS.register_module()
class YOLOXBatchSyncRandomResize(BatchSyncRandomResize):
    """`BatchSyncRandomResize` that also takes what `yolov5_collate` makes of samples.

    Args:
        random_size_range: The least and the largest height.
        interval: The iterations between two changes.
        size_divisor: Heights and widths are multiples of it; the width follows from the batch's aspect ratio.

    Raises:
        ValueError: no range, or none that holds a multiple of `size_divisor`.
    """

    def __call__(self, inputs: Tensor, data_samples: Any) -> tuple[Tensor, Any]:
        """Resize images (B, C, H, W), and all that their samples say of places."""
        before = (inputs.shape[-2], inputs.shape[-1])
        size = self.size_at(*place_in_run(), before)
        if size == before:
            return inputs, data_samples
        samples = resize_samples(data_samples, [before] * len(inputs), [size] * len(inputs))
        return F.interpolate(inputs, size, mode="bilinear", align_corners=False), samples


@MODELS.register_module()
class PPYOLOEBatchRandomResize(BatchAugment):
    """Resize images of any sizes to one that changes every few iterations (PP-YOLOE, arXiv:2203.16250).

    Size and interpolation are functions of the run's seed and iteration: the same on all ranks, and after resuming.

    Args:
        random_size_range: The least and the largest size.
        interval: The iterations between two changes.
        size_divisor: Sizes are multiples of it.
        random_interp: Draw how images are interpolated, too; otherwise it is bilinear.
        keep_ratio: Make the longer edge as long as the size says, instead of both.

    Raises:
        ValueError: no range, or none that holds a multiple of `size_divisor`.
    """

    def __init__(
        self,
        random_size_range: Sequence[int],
        interval: int = 1,
        *,
        size_divisor: int = 32,
        random_interp: bool = True,
        keep_ratio: bool = False,
    ) -> None:
        self.sizes = RandomSizes(random_size_range, interval, size_divisor=size_divisor)
        self.random_interp = random_interp
        self.keep_ratio = keep_ratio

    def draw(self, iteration: int, seed: int) -> tuple[int, str]:
        """Return the size of an iteration's images, and how they are interpolated."""
        units, stream = self.sizes.draw(iteration, seed)
        return units * self.sizes.size_divisor, stream.choice(INTERPOLATIONS) if self.random_interp else "bilinear"

    def __call__(self, inputs: Any, data_samples: Any) -> tuple[Any, Any]:
        """Resize images, a list of (C, h, w) or a tensor (B, C, H, W), and all that their samples say of places.

        Returns:
            Floating-point images, in one tensor unless their sizes differ, and the samples.
        """
        edge, mode = self.draw(*place_in_run())
        before = [(image.shape[-2], image.shape[-1]) for image in inputs]
        after = [fit(size, edge) if self.keep_ratio else (edge, edge) for size in before]
        images = [interpolate(image, size, mode) for image, size in zip(inputs, after, strict=True)]
        samples = None if data_samples is None else resize_samples(data_samples, before, after)
        return (torch.stack(images) if len(set(after)) == 1 else images), samples


def fit(size: Size, edge: int) -> Size:
    """Return the size (h', w') whose longer edge is given, with the aspect ratio of (h, w)."""
    width, height = rescale_size((size[1], size[0]), (edge, edge))
    return height, width


def interpolate(image: Tensor, size: Size, mode: str) -> Tensor:
    """Resize an image (C, h, w) to (h', w'), in floating point; whole numbers stay in the range of their type."""
    smooth: dict[str, Any] = {"align_corners": False} if mode in ("bilinear", "bicubic") else {}
    resized = F.interpolate(image[None].float(), size, mode=mode, **smooth)[0]
    if image.dtype.is_floating_point:
        return resized
    limits = torch.iinfo(image.dtype)
    return resized.clamp(limits.min, limits.max)  # cubic curves go beyond what they connect


def resize_samples(samples: Samples, before: Sequence[Size], after: Sequence[Size]) -> Samples:
    """Resize what samples, in either form, say of places, image i of (h, w) `before[i]` being `after[i]` now.

    Samples of the one form are changed in place, those of the other are new.
    """
    if not isinstance(samples, Mapping):
        for sample, old, new in zip(samples, before, after, strict=True):
            resize_sample(sample, old, new)
        return samples
    rows = samples["bboxes_labels"]
    scales = rows.new_tensor([[new[1] / old[1], new[0] / old[0]] for old, new in zip(before, after, strict=True)])
    mine = scales.reshape(-1, 2)[rows[:, 0].long()]  # along x and y, of each object
    metas = samples.get("img_metas", ())
    done = {
        **samples,
        "bboxes_labels": torch.cat([rows[:, :2], rows[:, 2:] * mine.repeat(1, 2)], dim=1),
        "img_metas": [{**meta, **resized_meta(meta, *one)} for meta, *one in zip(metas, before, after, strict=False)],
    }
    if "masks" in samples:
        done["masks"] = resize_masks(samples["masks"], before, after)
    if "keypoints" in samples:
        points = samples["keypoints"]
        done["keypoints"] = torch.cat([points[..., :2] * mine[:, None], points[..., 2:]], dim=-1)
    return done


def resize_masks(masks: Tensor, before: Sequence[Size], after: Sequence[Size]) -> Tensor:
    """Resize the masks (N, h, w) of a batch of one size, in whatever share of its size they come.

    Raises:
        ValueError: images of several sizes.
    """
    if len({*before}) != 1 or len({*after}) != 1:
        raise ValueError("the masks of a batch are one tensor: its images must have one size, before and after")
    size = (masks.shape[-2] * after[0][0] // before[0][0], masks.shape[-1] * after[0][1] // before[0][1])
    return F.interpolate(masks[None].float(), size, mode="nearest-exact")[0].to(masks.dtype)
