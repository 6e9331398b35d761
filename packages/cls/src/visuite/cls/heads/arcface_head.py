"""A margin between classes on the sphere of features. Deng et al., ArcFace, 2019.

Shapes: B images, C channels of the features, K classes, S centres of each class.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cls.heads.cls_head import ClsHead, Features, truth
from visuite.cls.registry import MODELS
from visuite.cls.structures import DataSample

#: Keeps the gradient of the square root finite where features lie on a centre.
_LEAST = 1e-9


class NormProduct(nn.Linear):
    """The cosine between features and the centres of classes; the nearest of a class's S centres counts.

    Args:
        in_features: C.
        num_classes: K.
        num_subcenters: S.
    """

    def __init__(self, in_features: int, num_classes: int, num_subcenters: int = 1) -> None:
        super().__init__(in_features, num_classes * num_subcenters, bias=False)
        self.num_subcenters = num_subcenters
        nn.init.xavier_uniform_(self.weight)

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # the name that nn.Linear gave it
        """Return the cosines (B, K) of features (B, C)."""
        cosine = F.linear(F.normalize(input), F.normalize(self.weight))
        return cosine.unflatten(1, (-1, self.num_subcenters)).amax(dim=2)


@MODELS.register_module()
class ArcFaceClsHead(ClsHead):
    """Cosines to centres of classes, the true one made smaller by a margin while training.

    Args:
        num_classes: K.
        in_channels: C.
        num_subcenters: S. Deng et al., Sub-center ArcFace, 2020.
        scale: What cosines are multiplied by before the softmax.
        margin: What is added to the angle to the true class, in radians; one for all classes, or one for each.
        easy_margin: Leave angles beyond a right angle as they are.
        loss: Config or object of the loss.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: `num_classes` or S is not positive, or there are other margins than classes.
    """

    margins: torch.Tensor

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        num_subcenters: int = 1,
        scale: float = 64.0,
        margin: float | Sequence[float] = 0.5,
        easy_margin: bool = False,
        loss: Mapping[str, Any] | nn.Module | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(loss, init_cfg=init_cfg)
        if num_classes <= 0 or num_subcenters <= 0:
            raise ValueError(f"num_classes and num_subcenters are positive, not {num_classes} and {num_subcenters}")
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.scale = scale
        self.easy_margin = easy_margin
        self.norm_product = NormProduct(in_channels, num_classes, num_subcenters)
        self.register_buffer("margins", torch.zeros(num_classes), persistent=False)
        self.set_margins(margin)

    def set_margins(self, margins: float | Sequence[float]) -> None:
        """Set one margin for all classes, or one for each, in radians.

        Raises:
            ValueError: there are other margins than classes.
        """
        given = torch.as_tensor(margins, dtype=torch.float32)
        if given.ndim and len(given) != self.num_classes:
            raise ValueError(f"{len(given)} margins for {self.num_classes} classes")
        self.margins.copy_(given.expand(self.num_classes))

    def forward(self, feats: Features, target: torch.Tensor | None = None) -> torch.Tensor:
        """Return the scores (B, K) before the softmax.

        Args:
            feats: The features; the last are (B, C).
            target: The true classes (B,), or a truth (B, K); with a margin for them then.
        """
        cosine = self.norm_product(self.pre_logits(feats))
        if target is None:
            return self.scale * cosine
        hot = F.one_hot(target, self.num_classes) if target.ndim == 1 else target
        return self.scale * torch.lerp(cosine, self._with_margin(cosine), hot.to(cosine.dtype))

    def loss(self, feats: Features, data_samples: Sequence[DataSample], **kwargs: Any) -> dict[str, torch.Tensor]:
        """Return `loss`; arguments as of `ClsHead.loss`."""
        target = truth(data_samples)
        cls_score = self(feats, target)
        return {"loss": self.loss_module(cls_score, target, avg_factor=len(cls_score), **kwargs)}

    def _with_margin(self, cosine: torch.Tensor) -> torch.Tensor:
        """Return the cosines (B, K) of the angles enlarged by the margins."""
        sine = (1 - cosine.square()).clamp(min=_LEAST).sqrt()
        enlarged = cosine * self.margins.cos() - sine * self.margins.sin()
        if self.easy_margin:
            return torch.where(cosine > 0, enlarged, cosine)
        # Beyond pi - margin the cosine would grow again: it falls on in a straight line instead.
        beyond = cosine - self.margins * self.margins.sin()
        return torch.where(cosine > (math.pi - self.margins).cos(), enlarged, beyond)
