"""Boxes as shifts and growths of priors, the coding of R-CNN. Girshick et al., arXiv:1311.2524.

Shapes: N boxes, B images, K classes; * any of (N) and (B, N). Boxes are `xyxy`; deltas (dx, dy, dw, dh) are the
shift of the centre over the prior's size and the logarithm of the sizes' ratio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch

from visuite.cv.ops import full_precision
from visuite.det.boxes.coder import BBoxCoder, MaxShape, clip_boxes
from visuite.det.registry import TASK_UTILS

#: Sizes in pixels below which a box is coded as if it had this one, so that no delta is infinite.
LEAST_SIZE = 1e-6


def bbox2delta(
    proposals: torch.Tensor,
    gt: torch.Tensor,
    means: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
    stds: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
    *,
    pixel: int = 0,
) -> torch.Tensor:
    """Return the deltas (*, 4) that lead from each proposal to the object in the same place.

    Args:
        proposals: (*, 4).
        gt: (*, 4).
        means: What is taken from the deltas ...
        stds: ... before they are divided by these.
        pixel: 1 where the second corner is the last pixel inside.

    Raises:
        ValueError: the shapes differ.
    """
    if proposals.shape != gt.shape:
        raise ValueError(f"each proposal has its object: {tuple(proposals.shape)} and {tuple(gt.shape)} do not match")
    at, size = _centre_and_size(proposals, pixel)
    goal, goal_size = _centre_and_size(gt, pixel)
    deltas = torch.cat(((goal - at) / size, torch.log(goal_size / size)), dim=-1)
    return (deltas - deltas.new_tensor(means)) / deltas.new_tensor(stds)


def delta2bbox(
    rois: torch.Tensor,
    deltas: torch.Tensor,
    means: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
    stds: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
    *,
    max_shape: MaxShape | None = None,
    wh_ratio_clip: float = 16 / 1000,
    clip_border: bool = True,
    add_ctr_clamp: bool = False,
    ctr_clamp: float = 32,
    pixel: int = 0,
) -> torch.Tensor:
    """Return the boxes (*, 4), or (*, K * 4), that deltas lead to.

    Args:
        rois: (*, 4), or (N, 4) for all images.
        deltas: (*, 4), or (*, K * 4), four for each class.
        means: What is added to the deltas ...
        stds: ... after they are multiplied by these.
        max_shape: (h, w) of the image, or one for each of B images: boxes end at its border.
        wh_ratio_clip: The least growth; the largest is its inverse.
        clip_border: Whether `max_shape` counts.
        add_ctr_clamp: Bound the shift, and growth only from above. Chen et al., YOLOF, arXiv:2103.09460.
        ctr_clamp: The bound of the shift in pixels.
        pixel: 1 where the second corner is the last pixel inside, and so the border is h - 1, w - 1.

    Raises:
        ValueError: the number of deltas is no multiple of 4, or shapes that do not match.
    """
    if deltas.shape[-1] % 4 or deltas.shape[-2] != rois.shape[-2]:
        raise ValueError(f"rois (*, 4) take deltas (*, K * 4): not {tuple(rois.shape)} and {tuple(deltas.shape)}")
    parts = full_precision(deltas).unflatten(-1, (deltas.shape[-1] // 4, 4))
    parts = parts * parts.new_tensor(stds) + parts.new_tensor(means)
    at, size = (part.unsqueeze(-2) for part in _centre_and_size(rois, pixel, least=None))
    shift, growth = parts[..., :2] * size, parts[..., 2:]
    largest = abs(math.log(wh_ratio_clip))
    if add_ctr_clamp:
        shift, growth = shift.clamp(-ctr_clamp, ctr_clamp), growth.clamp(max=largest)
    else:
        growth = growth.clamp(-largest, largest)
    centre, half = at + shift, (size * growth.exp() - pixel) / 2
    boxes = torch.cat((centre - half, centre + half), dim=-1)
    if clip_border and max_shape is not None:
        boxes = clip_boxes(boxes, _last_pixel(max_shape, boxes) if pixel else max_shape)
    return boxes.flatten(-2)


def _centre_and_size(
    boxes: torch.Tensor, pixel: int, least: float | None = LEAST_SIZE
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return centres (*, 2), and sizes (*, 2) of at least `least`."""
    first, last = full_precision(boxes).split(2, dim=-1)
    size = last - first + pixel
    return (first + last) * 0.5, size if least is None else size.clamp(min=least)


def _last_pixel(max_shape: MaxShape, boxes: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(max_shape).to(boxes)[..., :2] - 1


@TASK_UTILS.register_module()
class DeltaXYWHBBoxCoder(BBoxCoder):
    """Shifts over the prior's size, growths as logarithms; then normalised.

    Args:
        target_means: Means of the four deltas.
        target_stds: Their standard deviations.
        clip_border: End decoded boxes at the image's border.
        add_ctr_clamp: Bound the shift of centres, as YOLOF does.
        ctr_clamp: The bound in pixels.
    """

    #: 1 where the second corner is the last pixel inside.
    pixel: ClassVar[int] = 0

    def __init__(
        self,
        target_means: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
        target_stds: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
        *,
        clip_border: bool = True,
        add_ctr_clamp: bool = False,
        ctr_clamp: float = 32,
    ) -> None:
        self.means, self.stds = tuple(target_means), tuple(target_stds)
        self.clip_border = clip_border
        self.add_ctr_clamp = add_ctr_clamp
        self.ctr_clamp = ctr_clamp

    def encode(self, bboxes: torch.Tensor, gt_bboxes: torch.Tensor) -> torch.Tensor:
        """Return the deltas (*, 4) from boxes (*, 4) to objects (*, 4)."""
        return bbox2delta(bboxes, gt_bboxes, self.means, self.stds, pixel=self.pixel)

    def decode(
        self,
        bboxes: torch.Tensor,
        pred_bboxes: torch.Tensor,
        max_shape: MaxShape | None = None,
        wh_ratio_clip: float = 16 / 1000,
    ) -> torch.Tensor:
        """Return the boxes (*, K * 4) of deltas (*, K * 4) from boxes (*, 4); see `delta2bbox`."""
        return delta2bbox(
            bboxes,
            pred_bboxes,
            self.means,
            self.stds,
            max_shape=max_shape,
            wh_ratio_clip=wh_ratio_clip,
            clip_border=self.clip_border,
            add_ctr_clamp=self.add_ctr_clamp,
            ctr_clamp=self.ctr_clamp,
            pixel=self.pixel,
        )


@TASK_UTILS.register_module()
class LegacyDeltaXYWHBBoxCoder(DeltaXYWHBBoxCoder):
    """The same for boxes whose second corner is the last pixel inside, as MMDetection 1.x had them.

    Arguments as of `DeltaXYWHBBoxCoder`.
    """

    pixel = 1
