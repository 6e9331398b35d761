"""The head of vision transformers.

Shapes: B images, C channels of the features, D channels inside, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cls.heads.cls_head import ClsHead, Features
from visuite.cls.registry import MODELS
from visuite.cv.layers import build_activation_layer

Cfg = Mapping[str, Any]
_INIT: Cfg = {"type": "Constant", "layer": "Linear", "val": 0}
_TANH: Cfg = {"type": "Tanh"}


@MODELS.register_module()
class VisionTransformerClsHead(ClsHead):
    """One linear layer, `layers.head`; before it perhaps another, `layers.pre_logits`, with an activation.

    The last layer starts at zero (Dosovitskiy et al., arXiv:2010.11929).

    Args:
        num_classes: K.
        in_channels: C.
        hidden_dim: D; None is no layer inside.
        act_cfg: The activation inside.
        loss: Config or object of the loss.
        topk: For which k the accuracy is logged while training.
        cal_acc: Log it at all.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: `num_classes` is not positive.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        hidden_dim: int | None = None,
        *,
        act_cfg: Cfg = _TANH,
        loss: Cfg | nn.Module | None = None,
        topk: int | Sequence[int] = (1,),
        cal_acc: bool = False,
        init_cfg: Any = _INIT,
    ) -> None:
        super().__init__(loss, topk, cal_acc=cal_acc, init_cfg=init_cfg)
        if num_classes <= 0:
            raise ValueError(f"num_classes is positive, not {num_classes}")
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.hidden_dim = hidden_dim
        self.layers = nn.ModuleDict()
        if hidden_dim is not None:
            self.layers["pre_logits"] = nn.Linear(in_channels, hidden_dim)
            self.layers["act"] = build_activation_layer(dict(act_cfg))
        self.layers["head"] = nn.Linear(hidden_dim or in_channels, num_classes)

    def init_weights(self) -> None:
        """Initialise as `init_cfg` says, and the layer inside so that it keeps the variance."""
        super().init_weights()
        if self.hidden_dim is not None:
            inner: Any = self.layers["pre_logits"]
            nn.init.trunc_normal_(inner.weight, std=inner.in_features**-0.5)
            nn.init.zeros_(inner.bias)

    def pre_logits(self, feats: Features) -> Any:
        """Return what the last layer works on: (B, C) or (B, D)."""
        return self._hidden(feats[-1])

    def forward(self, feats: Features) -> torch.Tensor:
        """Return the scores (B, K) of the last features (B, C) before the softmax."""
        return self.layers["head"](self.pre_logits(feats))

    def _hidden(self, x: torch.Tensor) -> torch.Tensor:
        return x if self.hidden_dim is None else self.layers["act"](self.layers["pre_logits"](x))
