"""Anchors: boxes as priors, several in each place of a feature map.

Shapes: levels with maps of H rows and W columns, A anchors in each place. Anchors are `xyxy` in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch

from visuite.det.boxes.grid import Device, GridPriors, Size, pair_of
from visuite.det.registry import TASK_UTILS

Strides = Sequence[float | Sequence[float]]
Centre = tuple[float, float]


def anchor_sizes(base_size: float, scales: torch.Tensor, ratios: torch.Tensor, scale_major: bool) -> torch.Tensor:
    """Return the (w, h) of anchors of every scale and every ratio: (A, 2).

    Args:
        base_size: The edge of the square that has scale 1 and ratio 1.
        scales: (S,), edge over `base_size`.
        ratios: (R,), height over width; the area stays.
        scale_major: Those of one ratio stand together; else those of one scale.
    """
    tall = ratios.sqrt()
    edges = torch.stack((base_size * (1 / tall), base_size * tall), dim=-1)  # (R, 2)
    sizes = edges[:, None] * scales[None, :, None]
    return (sizes if scale_major else sizes.transpose(0, 1)).reshape(-1, 2)


def boxes_about(centre: Centre, sizes: torch.Tensor, pixel: int = 0) -> torch.Tensor:
    """Return boxes (A, 4) of sizes (A, 2) about one point.

    With `pixel` = 1 the second corner is the last pixel inside, and corners are whole numbers.
    """
    middle = sizes.new_tensor(centre)
    half = 0.5 * (sizes - pixel)
    boxes = torch.cat((middle - half, middle + half), dim=1)
    return boxes.round() if pixel else boxes


def scale_series(
    scales: Sequence[float] | None, octave_base_scale: float | None, scales_per_octave: int | None
) -> torch.Tensor:
    """Return scales (S,): the given ones, or equal steps of an octave from its base.

    Raises:
        ValueError: neither or both ways.
    """
    octave = octave_base_scale is not None and scales_per_octave is not None
    if (scales is not None) == octave or octave != (octave_base_scale is not None or scales_per_octave is not None):
        raise ValueError(
            "scales, or octave_base_scale and scales_per_octave, say how large anchors are: "
            f"{scales=}, {octave_base_scale=}, {scales_per_octave=}"
        )
    if scales is not None:
        return torch.tensor(scales, dtype=torch.float32)
    assert octave_base_scale is not None
    assert scales_per_octave is not None
    steps = [2 ** (step / scales_per_octave) * octave_base_scale for step in range(scales_per_octave)]
    return torch.tensor(steps, dtype=torch.float32)


class Anchors(GridPriors):
    """Lay base anchors (A, 4) per level out over grids."""

    @property
    def base_anchors(self) -> list[torch.Tensor]:
        """The anchors (A, 4) of each level's first place."""
        return self._base_priors

    @property
    def num_base_anchors(self) -> list[int]:
        """A of each level; the older name of `num_base_priors`."""
        return self.num_base_priors


@TASK_UTILS.register_module()
class AnchorGenerator(Anchors):
    """Anchors of every scale and every ratio. Ren et al., Faster R-CNN, arXiv:1506.01497.

    Args:
        strides: Pixels from one place of a level to the next, one number or (w, h).
        ratios: Heights over widths.
        scales: Edges over the base size; or else the next two.
        base_sizes: The edge of scale 1 of each level; the stride if not given.
        scale_major: The anchors of one ratio stand together; else those of one scale.
        octave_base_scale: The first of the scales of an octave, Lin et al., arXiv:1708.02002 ...
        scales_per_octave: ... and into how many steps it is divided.
        centers: Where the anchors of each level's first place stand, (x, y) in pixels.
        center_offset: The same in parts of the base size, where `centers` is not given.

    Raises:
        ValueError: arguments that exclude each other, or lists of another number of levels.
    """

    #: 1 where the second corner is the last pixel inside.
    pixel: ClassVar[int] = 0

    def __init__(
        self,
        strides: Strides,
        ratios: Sequence[float],
        *,
        scales: Sequence[float] | None = None,
        base_sizes: Sequence[float] | None = None,
        scale_major: bool = True,
        octave_base_scale: float | None = None,
        scales_per_octave: int | None = None,
        centers: Sequence[Centre] | None = None,
        center_offset: float = 0.0,
    ) -> None:
        self.base_sizes = [min(pair_of(stride)) for stride in strides] if base_sizes is None else list(base_sizes)
        self.scales = scale_series(scales, octave_base_scale, scales_per_octave)
        self.ratios = torch.tensor(ratios, dtype=torch.float32)
        if centers is not None and center_offset != 0:
            raise ValueError(f"centers and center_offset={center_offset} exclude each other")
        if centers is None:
            centers = [pair_of(center_offset * (size - self.pixel)) for size in self.base_sizes]
        for given, name in ((self.base_sizes, "base_sizes"), (centers, "centers")):
            if len(given) != len(strides):
                raise ValueError(f"{len(given)} {name} for {len(strides)} strides")
        sizes = [anchor_sizes(size, self.scales, self.ratios, scale_major) for size in self.base_sizes]
        super().__init__(strides, [boxes_about(*one, self.pixel) for one in zip(centers, sizes, strict=True)])


@TASK_UTILS.register_module()
class LegacyAnchorGenerator(AnchorGenerator):
    """Anchors as MMDetection 1.x had them: corners are whole pixels, the second one being the last inside.

    Arguments as of `AnchorGenerator`; models of that time were trained with `center_offset=0.5`.
    """

    pixel = 1


@TASK_UTILS.register_module()
class SSDAnchorGenerator(Anchors):
    """Anchors of SSD: each level has a square of its least size, one between its least and largest, and others of the
    least size's area. Liu et al., arXiv:1512.02325.

    They stand in that order: 1 : 1 least, 1 : 1 between, then 1 / ratio and ratio for each of `ratios`.

    Args:
        strides: Pixels from one place of a level to the next, one number or (w, h).
        ratios: For each level, the ratios of edges that its anchors have, lying and standing.
        min_sizes: The least edge of each level in pixels, given together with `max_sizes`.
        max_sizes: The largest edge of each level.
        basesize_ratio_range: If no sizes are given: those of the second and of the last level, over `input_size`. The
            first level's are as in the paper, for inputs of 300 and 512 pixels.
        input_size: The edge of the input image.
        scale_major: Without effect, for there is one order of anchors.

    Raises:
        ValueError: one of the sizes without the other, lists of another number of levels, or a range for which the
            paper says no first level.
    """

    #: 1 where the second corner is the last pixel inside.
    pixel: ClassVar[int] = 0

    def __init__(
        self,
        strides: Strides,
        ratios: Sequence[Sequence[float]],
        *,
        min_sizes: Sequence[float] | None = None,
        max_sizes: Sequence[float] | None = None,
        basesize_ratio_range: tuple[float, float] = (0.15, 0.9),
        input_size: int = 300,
        scale_major: bool = True,
    ) -> None:
        if (min_sizes is None) != (max_sizes is None):
            raise ValueError("min_sizes and max_sizes are given together")
        if min_sizes is None or max_sizes is None:
            min_sizes, max_sizes = ssd_sizes(len(strides), basesize_ratio_range, input_size)
        for given, name in ((ratios, "ratios"), (min_sizes, "min_sizes"), (max_sizes, "max_sizes")):
            if len(given) != len(strides):
                raise ValueError(f"{len(given)} {name} for {len(strides)} strides")
        self.min_sizes, self.max_sizes = list(min_sizes), list(max_sizes)
        bases = []
        for stride, least, largest, others in zip(strides, min_sizes, max_sizes, ratios, strict=True):
            wide, high = pair_of(stride)
            centre = (wide - self.pixel) / 2, (high - self.pixel) / 2
            tall = torch.tensor([1.0, *(ratio for other in others for ratio in (1 / other, other))])
            sizes = anchor_sizes(least, torch.tensor([1.0, math.sqrt(largest / least)]), tall, scale_major=False)
            bases.append(boxes_about(centre, sizes[[0, len(tall), *range(1, len(tall))]], self.pixel))
        super().__init__(strides, bases)


@TASK_UTILS.register_module()
class LegacySSDAnchorGenerator(SSDAnchorGenerator):
    """SSD's anchors as MMDetection 1.x had them: corners are whole pixels, the second one being the last inside.

    Arguments as of `SSDAnchorGenerator`.
    """

    pixel = 1


#: The first level's least and largest edge in percent of the input, by the input's edge and the least of the others.
SSD_FIRST_LEVEL = {(300, 0.15): (7, 15), (300, 0.2): (10, 20), (512, 0.1): (4, 10), (512, 0.15): (7, 15)}


def ssd_sizes(levels: int, span: tuple[float, float], input_size: int) -> tuple[list[int], list[int]]:
    """Return the least and the largest edges of SSD's anchors for each level, spaced evenly from the second on.

    Raises:
        ValueError: fewer than 3 levels, or the paper says no first level for this range and input.
    """
    if levels < 3:
        raise ValueError(f"{levels} levels have no even steps between the second and the last: give the sizes")
    if (input_size, span[0]) not in SSD_FIRST_LEVEL:
        known = ", ".join(f"{size} with {low}" for size, low in SSD_FIRST_LEVEL)
        raise ValueError(
            f"input_size {input_size} with basesize_ratio_range {span}: no sizes of the first level are known but for "
            f"{known}; give min_sizes and max_sizes"
        )
    low, high = round(span[0] * 100), round(span[1] * 100)
    step = (high - low) // (levels - 2)
    percents = [low + step * level for level in range(levels - 1)]
    first_least, first_largest = SSD_FIRST_LEVEL[input_size, span[0]]
    least, largest = [first_least, *percents], [first_largest, *(percent + step for percent in percents)]
    return [input_size * percent // 100 for percent in least], [input_size * percent // 100 for percent in largest]


@TASK_UTILS.register_module()
class YOLOAnchorGenerator(Anchors):
    """Anchors of given widths and heights in the middle of each place. Redmon and Farhadi, arXiv:1804.02767.

    Args:
        strides: Pixels from one place of a level to the next, one number or (w, h).
        base_sizes: (w, h) of every anchor of each level, in pixels.

    Raises:
        ValueError: sizes of another number of levels.
    """

    def __init__(self, strides: Strides, base_sizes: Sequence[Sequence[Sequence[float]]]) -> None:
        self.base_sizes = [[tuple(size) for size in level] for level in base_sizes]
        self.centers = [(wide / 2, high / 2) for wide, high in map(pair_of, strides)]
        if len(base_sizes) != len(strides):
            raise ValueError(f"base_sizes of {len(base_sizes)} levels for {len(strides)} strides")
        sizes = [torch.tensor(level, dtype=torch.float32) for level in self.base_sizes]
        super().__init__(strides, [boxes_about(*one) for one in zip(self.centers, sizes, strict=True)])

    def responsible_flags(
        self, featmap_sizes: Sequence[Size], gt_bboxes: torch.Tensor, device: Device = "cpu"
    ) -> list[torch.Tensor]:
        """Tell which anchors stand in a place that holds the centre of an object.

        Args:
            featmap_sizes: (H, W) of each level.
            gt_bboxes: (G, 4).
            device: Of the flags.

        Returns:
            (H * W * A,), bool, per level.

        Raises:
            ValueError: another number of maps than levels.
        """
        self._check_levels(featmap_sizes, "feature maps")
        centres = ((gt_bboxes[:, :2] + gt_bboxes[:, 2:]) / 2).to(device)
        flags = []
        for size, stride, count in zip(featmap_sizes, self.strides, self.num_base_priors, strict=True):
            column, row = (centres / centres.new_tensor(stride)).long().unbind(1)
            held = torch.zeros(size[0], size[1], count, dtype=torch.bool, device=device)
            held[row.clamp(0, size[0] - 1), column.clamp(0, size[1] - 1)] = True
            flags.append(held.flatten())
        return flags
