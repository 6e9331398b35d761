"""The head of LeViT.

Shapes: B images, C channels of the features, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cls.heads.cls_head import ClsHead, Features
from visuite.cls.registry import MODELS
from visuite.cls.structures import DataSample


class BatchNormLinear(nn.Module):
    """A batch norm, `bn`, and a linear layer, `linear`.

    Args:
        in_channels: C.
        out_channels: Channels out.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(in_channels)
        self.linear = nn.Linear(in_channels, out_channels)
        nn.init.trunc_normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C) to (B, out_channels)."""
        return self.linear(self.bn(x))

    @torch.no_grad()
    def fuse(self) -> nn.Linear:
        """Return the one linear layer that predicts the same."""
        assert self.bn.running_mean is not None
        assert self.bn.running_var is not None
        scale = self.bn.weight * (self.bn.running_var + self.bn.eps).rsqrt()
        fused = nn.Linear(self.linear.in_features, self.linear.out_features, device=scale.device, dtype=scale.dtype)
        fused.weight.copy_(self.linear.weight * scale)
        fused.bias.copy_(self.linear(self.bn.bias - self.bn.running_mean * scale))
        return fused


@MODELS.register_module()
class LeViTClsHead(ClsHead):
    """A normalised linear layer, `head`, and one that a teacher taught, `head_dist` (Graham et al., arXiv:2104.01136).

    The score is the mean of both. Without a teacher both learn from the labels.

    Args:
        num_classes: K.
        distillation: Have the second layer.
        in_channels: C.
        deploy: Be made for weights whose norms are fused into the linear layers.
        loss: Config or object of the loss.
        topk: For which k the accuracy is logged while training.
        cal_acc: Log it at all.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: `num_classes` or `in_channels` is not positive.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        distillation: bool = True,
        *,
        in_channels: int | None = None,
        deploy: bool = False,
        loss: Mapping[str, Any] | nn.Module | None = None,
        topk: int | Sequence[int] = (1,),
        cal_acc: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(loss, topk, cal_acc=cal_acc, init_cfg=init_cfg)
        if num_classes <= 0 or not in_channels or in_channels <= 0:
            raise ValueError(f"num_classes and in_channels are positive, not {num_classes} and {in_channels}")
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.distillation = distillation
        self.deploy = deploy
        layer = nn.Linear if deploy else BatchNormLinear
        self.head: nn.Module = layer(in_channels, num_classes)
        if distillation:
            self.head_dist: nn.Module = layer(in_channels, num_classes)

    def scores(self, feats: Features) -> list[torch.Tensor]:
        """Return the scores (B, K) of each layer, of features (B, C)."""
        x = self.pre_logits(feats)
        return [self.head(x), self.head_dist(x)] if self.distillation else [self.head(x)]

    def forward(self, feats: Features) -> torch.Tensor:
        """Return the mean of the layers' scores (B, K)."""
        return torch.stack(self.scores(feats)).mean(dim=0)

    def loss(self, feats: Features, data_samples: Sequence[DataSample], **kwargs: Any) -> dict[str, torch.Tensor]:
        """Return the mean of the layers' losses."""
        return self.mean_loss_of(self.scores(feats), data_samples, **kwargs)

    def switch_to_deploy(self) -> None:
        """Fuse the norms into the linear layers, for good."""
        for name, layer in list(self.named_children()):
            if isinstance(layer, BatchNormLinear):
                setattr(self, name, layer.fuse())
        self.deploy = True
