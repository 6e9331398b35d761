"""Attention to each class of an image that may have several.

Shapes: B images, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from visuite.cls.heads.cls_head import Features
from visuite.cls.heads.multi_label_head import MultiLabelClsHead
from visuite.cls.registry import MODELS

#: The temperatures of the parts of a head, by how many there are.
_TEMPERATURES: Mapping[int, tuple[float, ...]] = {
    1: (1,),
    2: (1, math.inf),
    4: (1, 2, 4, math.inf),
    6: (1, 2, 3, 4, 5, math.inf),
    8: (1, 2, 3, 4, 5, 6, 7, math.inf),
}


class CSRAModule(nn.Module):
    """Scores of classes, `head`, their mean over all places and the mean over those that speak for the class.

    Args:
        num_classes: K.
        in_channels: C.
        temperature: How sharply the second mean looks; infinite: at the best place alone.
        lam: How much it counts.
    """

    def __init__(self, num_classes: int, in_channels: int, *, temperature: float, lam: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.lam = lam
        self.head = nn.Conv2d(in_channels, num_classes, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to scores (B, K)."""
        length = self.head.weight.flatten(1).norm(dim=1)
        places = self.head(x).flatten(2) / length[:, None]
        if math.isinf(self.temperature):
            attended = places.amax(dim=2)
        else:
            attended = (places * (self.temperature * places).softmax(dim=2)).sum(dim=2)
        return places.mean(dim=2) + self.lam * attended


@MODELS.register_module()
class CSRAClsHead(MultiLabelClsHead):
    """Class-specific residual attention, the sum of several parts `csra_heads` (Zhu and Wu, arXiv:2108.02456).

    Args:
        num_classes: K.
        in_channels: C.
        num_heads: How many parts there are, of different temperatures: 1, 2, 4, 6 or 8.
        lam: How much attention counts beside the plain mean.
        loss: As of `MultiLabelClsHead`.
        thr: As of `MultiLabelClsHead`.
        topk: As of `MultiLabelClsHead`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: `num_classes` is not positive, or another `num_heads`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        num_heads: int,
        lam: float,
        loss: Mapping[str, Any] | nn.Module = {"type": "CrossEntropyLoss", "use_sigmoid": True},  # noqa: B006
        thr: float | None = None,
        topk: int | None = None,
        init_cfg: Any = {"type": "Normal", "layer": "Linear", "std": 0.01},  # noqa: B006  # never written to
    ) -> None:
        super().__init__(loss, thr, topk=topk, init_cfg=init_cfg)
        if num_classes <= 0:
            raise ValueError(f"num_classes is positive, not {num_classes}")
        if num_heads not in _TEMPERATURES:
            raise ValueError(f"num_heads is one of {list(_TEMPERATURES)}, not {num_heads}")
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.csra_heads = nn.ModuleList(
            CSRAModule(num_classes, in_channels, temperature=temperature, lam=lam)
            for temperature in _TEMPERATURES[num_heads]
        )

    def forward(self, feats: Features) -> torch.Tensor:
        """Return the scores (B, K) of maps (B, C, H, W) before the sigmoid."""
        x = self.pre_logits(feats)
        return torch.stack([part(x) for part in self.csra_heads]).sum(dim=0)
