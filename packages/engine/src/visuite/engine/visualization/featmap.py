"""Feature maps as pictures.

C, H, W: channels, height and width of a feature map.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from visuite.engine.visualization.canvas import as_rgb

REDUCTIONS = ("squeeze_mean", "select_max")


def heat_colors(values: np.ndarray) -> np.ndarray:
    """Colour numbers of 0..1 from blue over green to red; (H, W) to (H, W, 3) uint8."""
    # The "jet" scale: three tents of height 1.5, cut at 1, around 3/4, 2/4 and 1/4.
    tents = [1.5 - np.abs(4 * values - peak) for peak in (3, 2, 1)]
    return (np.stack(tents, axis=-1).clip(0, 1) * 255).round().astype(np.uint8)


def feature_picture(
    featmap: torch.Tensor,
    overlaid_image: np.ndarray | None = None,
    channel_reduction: str | None = "squeeze_mean",
    topk: int = 20,
    arrangement: tuple[int, int] = (4, 5),
    resize_shape: tuple[int, int] | None = None,
    alpha: float = 0.5,
) -> np.ndarray:
    """Return a picture of a feature map, (H, W, 3) uint8 RGB.

    Args:
        featmap: (C, H, W).
        overlaid_image: An RGB picture, laid under the map, which takes its size.
        channel_reduction: 'squeeze_mean' shows the mean of the channels, 'select_max' the channel with the
            largest mean; None shows `topk` of them.
        topk: How many channels, those with the largest means; -1 shows a map of 1 or 3 channels as it is.
        arrangement: Rows and columns of the channels.
        resize_shape: (height, width) of each shown map.
        alpha: How much of the map is seen over the picture.

    Raises:
        TypeError, ValueError: not a (C, H, W) tensor, no such reduction, or an arrangement too small for `topk`.
    """
    _check(featmap, channel_reduction, topk, arrangement)
    featmap = featmap.detach().float().cpu()
    under = None if overlaid_image is None else as_rgb(overlaid_image)
    if under is not None and under.shape[:2] != tuple(featmap.shape[1:]):
        featmap = _resize(featmap, under.shape[:2])
    if channel_reduction == "squeeze_mean":
        return _shown(featmap.mean(dim=0), under, resize_shape, alpha)
    means = featmap.mean(dim=(1, 2))
    if channel_reduction == "select_max":
        return _shown(featmap[means.argmax()], under, resize_shape, alpha)
    if topk == -1:
        return _shown(featmap if len(featmap) == 3 else featmap[0], under, resize_shape, alpha)
    best = means.topk(min(topk, len(featmap))).indices
    return _tiled([_shown(featmap[index], under, resize_shape, alpha) for index in best], arrangement)


def _check(featmap: torch.Tensor, reduction: str | None, topk: int, arrangement: tuple[int, int]) -> None:
    if not isinstance(featmap, torch.Tensor):
        raise TypeError(f"a feature map is a tensor of shape (C, H, W), not {type(featmap).__name__}")
    if featmap.ndim != 3:
        raise ValueError(f"a feature map has shape (C, H, W), not {tuple(featmap.shape)}")
    if reduction is not None:
        if reduction not in REDUCTIONS:
            raise ValueError(f"channel_reduction is one of {REDUCTIONS} or None, not {reduction!r}")
    elif topk == -1:
        if len(featmap) not in (1, 3):
            raise ValueError(f"topk=-1 shows maps of 1 or 3 channels as they are; this has {len(featmap)}")
    elif topk < 1 or arrangement[0] * arrangement[1] < topk:
        raise ValueError(f"arrangement {arrangement} has no room for topk={topk} channels")


def _resize(featmap: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    return F.interpolate(featmap[None], size=tuple(size), mode="bilinear", align_corners=False)[0]


def _shown(
    values: torch.Tensor, under: np.ndarray | None, resize_shape: tuple[int, int] | None, alpha: float
) -> np.ndarray:
    """Return one map (H, W), or three channels (3, H, W), stretched to the full range, coloured and laid over."""
    values = torch.nan_to_num(values)
    low, high = values.amin(), values.amax()
    stretched = ((values - low) / (high - low).clamp(min=1e-12)).numpy()
    picture = heat_colors(stretched) if stretched.ndim == 2 else (stretched.transpose(1, 2, 0) * 255).astype(np.uint8)
    if under is not None:
        picture = (alpha * picture + (1 - alpha) * under).round().astype(np.uint8)
    if resize_shape is not None:
        planes = _resize(torch.from_numpy(picture).permute(2, 0, 1).float(), resize_shape)
        picture = planes.permute(1, 2, 0).round().clamp(0, 255).byte().numpy()
    return picture


def _tiled(pictures: list[np.ndarray], arrangement: tuple[int, int]) -> np.ndarray:
    """Lay pictures of one size in rows and columns, 2 white pixels apart."""
    gap = 2
    height, width = pictures[0].shape[:2]
    rows, columns = arrangement
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet
