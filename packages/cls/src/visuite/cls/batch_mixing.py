"""Mixing each image of a batch with another one, and their labels in the same measure.

Shapes: B images, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from visuite.cls.registry import BATCH_AUGMENTS

#: x1, y1, x2, y2 in pixels, the right and lower edge being outside.
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Mix:
    """What is drawn for a batch.

    Attributes:
        partner: (B,), the number of the image that each is mixed with.
        share: What each image keeps of its own, from 0 to 1.
        box: Where the partner comes in; None: everywhere.
    """

    partner: np.ndarray
    share: float
    box: Box | None = None


class BatchMixing(ABC):
    """The base of augmentations that mix images: chance decides in `draw`, `mix` changes the images.

    Args:
        alpha: Both parameters of the Beta distribution of the share that an image keeps.

    Raises:
        ValueError: `alpha` is not positive.
    """

    def __init__(self, alpha: float) -> None:
        if alpha <= 0:
            raise ValueError(f"{type(self).__name__}: alpha is positive, not {alpha}")
        self.alpha = alpha

    @abstractmethod
    def draw(self, shape: Sequence[int]) -> Mix:
        """Draw for a batch of shape (B, C, H, W)."""

    @abstractmethod
    def mix(self, inputs: torch.Tensor, drawn: Mix) -> torch.Tensor:
        """Return the mixed images (B, C, H, W); the given ones stay as they are."""

    def __call__(self, inputs: torch.Tensor, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mix images (B, C, H, W) and soft labels (B, K)."""
        drawn = self.draw(inputs.shape)
        partner = torch.from_numpy(drawn.partner).to(scores.device)
        mixed = drawn.share * scores + (1 - drawn.share) * scores[partner]
        return self.mix(inputs, drawn), mixed

    def __repr__(self) -> str:
        return f"{type(self).__name__}(alpha={self.alpha})"


@BATCH_AUGMENTS.register_module()
class Mixup(BatchMixing):
    """Blend images. Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018.

    Args:
        alpha: Both parameters of the Beta distribution of the share that an image keeps.
    """

    def draw(self, shape: Sequence[int]) -> Mix:
        """Draw the partners and the share."""
        return Mix(np.random.permutation(shape[0]), float(np.random.beta(self.alpha, self.alpha)))

    def mix(self, inputs: torch.Tensor, drawn: Mix) -> torch.Tensor:
        """Blend."""
        partners = inputs[torch.from_numpy(drawn.partner).to(inputs.device)]
        return drawn.share * inputs + (1 - drawn.share) * partners


@BATCH_AUGMENTS.register_module()
class CutMix(BatchMixing):
    """Put a rectangle of one image into another. Yun et al., CutMix, 2019.

    Args:
        alpha: Both parameters of the Beta distribution of the share that an image keeps.
        cutmix_minmax: The least and the largest edges of the rectangle, as shares of the image's; in place of `alpha`,
            and always inside the image.
        correct_lam: Mix the labels by the area that is left after the image's border has cut the rectangle.

    Raises:
        ValueError: `cutmix_minmax` is no range of shares.
    """

    def __init__(self, alpha: float, cutmix_minmax: Sequence[float] | None = None, *, correct_lam: bool = True) -> None:
        super().__init__(alpha)
        if cutmix_minmax is not None and not 0 <= cutmix_minmax[0] <= cutmix_minmax[1] <= 1:
            raise ValueError(f"cutmix_minmax {tuple(cutmix_minmax)} is no range of shares: 0 <= least <= largest <= 1")
        self.cutmix_minmax = cutmix_minmax
        self.correct_lam = correct_lam

    def draw(self, shape: Sequence[int]) -> Mix:
        """Draw the partners, the share and the rectangle."""
        h, w = shape[-2:]
        share = self._draw_share()
        box = self._box_by_share(h, w, share) if self.cutmix_minmax is None else self._box_by_edges(h, w)
        if self.correct_lam or self.cutmix_minmax is not None:
            share = 1 - (box[2] - box[0]) * (box[3] - box[1]) / (h * w)
        return Mix(np.random.permutation(shape[0]), share, box)

    def mix(self, inputs: torch.Tensor, drawn: Mix) -> torch.Tensor:
        """Put the partners' rectangles in."""
        assert drawn.box is not None
        x1, y1, x2, y2 = drawn.box
        partner = torch.from_numpy(drawn.partner).to(inputs.device)
        mixed = inputs.clone()
        mixed[..., y1:y2, x1:x2] = inputs[..., y1:y2, x1:x2][partner]
        return mixed

    def _draw_share(self) -> float:
        return float(np.random.beta(self.alpha, self.alpha))

    def _box_by_share(self, h: int, w: int, share: float) -> Box:
        """Return a rectangle of the image's shape that takes `1 - share` of it, about any point of the image."""
        edge = math.sqrt(1 - share)
        tall, wide = int(h * edge), int(w * edge)
        top, left = np.random.randint(h) - tall // 2, np.random.randint(w) - wide // 2
        return max(0, left), max(0, top), min(w, left + wide), min(h, top + tall)

    def _box_by_edges(self, h: int, w: int) -> Box:
        """Return a rectangle inside the image, with edges in the given range."""
        assert self.cutmix_minmax is not None
        least, largest = self.cutmix_minmax
        tall, wide = (np.random.randint(int(edge * least), int(edge * largest) + 1) for edge in (h, w))
        top, left = np.random.randint(h - tall + 1), np.random.randint(w - wide + 1)
        return left, top, left + wide, top + tall


@BATCH_AUGMENTS.register_module()
class ResizeMix(CutMix):
    """Put a whole image, made small, into another. Qin et al., ResizeMix, 2020.

    Args:
        alpha: Both parameters of the Beta distribution of the share that an image keeps.
        lam_min: The least share.
        lam_max: The largest share; the distribution is stretched over this range.
        interpolation: How images are made small, as of `torch.nn.functional.interpolate`.
        cutmix_minmax: As of `CutMix`.
        correct_lam: As of `CutMix`.

    Raises:
        ValueError: the shares are no range.
    """

    def __init__(
        self,
        alpha: float,
        lam_min: float = 0.1,
        *,
        lam_max: float = 0.8,
        interpolation: str = "bilinear",
        cutmix_minmax: Sequence[float] | None = None,
        correct_lam: bool = True,
    ) -> None:
        super().__init__(alpha, cutmix_minmax, correct_lam=correct_lam)
        if not 0 <= lam_min <= lam_max <= 1:
            raise ValueError(f"0 <= lam_min {lam_min} <= lam_max {lam_max} <= 1 does not hold")
        self.lam_min = lam_min
        self.lam_max = lam_max
        self.interpolation = interpolation

    def mix(self, inputs: torch.Tensor, drawn: Mix) -> torch.Tensor:
        """Put the partners in."""
        assert drawn.box is not None
        x1, y1, x2, y2 = drawn.box
        mixed = inputs.clone()
        if x2 > x1 and y2 > y1:
            partners = inputs[torch.from_numpy(drawn.partner).to(inputs.device)]
            smooth = {"align_corners": False} if self.interpolation in ("bilinear", "bicubic") else {}
            small = F.interpolate(partners, (y2 - y1, x2 - x1), mode=self.interpolation, **smooth)
            mixed[..., y1:y2, x1:x2] = small
        return mixed

    def _draw_share(self) -> float:
        return self.lam_min + (self.lam_max - self.lam_min) * super()._draw_share()
