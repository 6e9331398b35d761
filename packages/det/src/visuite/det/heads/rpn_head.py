"""The head that proposes regions (Ren et al., arXiv:1506.01497).

Shapes: B images, C channels of the features, F of the layers, H rows, W columns, A anchors at each place, P anchors of
all levels, N proposals of an image.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from visuite.cv.layers import ConvModule
from visuite.det.heads.anchor_head import AnchorHead
from visuite.det.heads.dense import Cfg, DenseOutputs, Meta, finish
from visuite.det.registry import MODELS
from visuite.engine.structures import InstanceData


@MODELS.register_module()
class RPNHead(AnchorHead):
    """Tell what may be an object, of whatever class, and where.

    Names of parameters: rpn_conv (rpn_conv.0.conv, ... where there are several), rpn_cls, rpn_reg.

    Args:
        in_channels: C.
        num_classes: 1.
        num_convs: 3x3 convolutions before the last layers.
        feat_channels: F.
        init_cfg: How weights are initialised.
        **kwargs: See `AnchorHead`.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int = 1,
        *,
        num_convs: int = 1,
        feat_channels: int = 256,
        init_cfg: Any = {"type": "Normal", "layer": "Conv2d", "std": 0.01},  # noqa: B006 (read only)
        **kwargs: Any,
    ) -> None:
        self.num_convs = num_convs
        super().__init__(num_classes, in_channels, feat_channels=feat_channels, init_cfg=init_cfg, **kwargs)

    def make_layers(self) -> None:
        """Make the layers; a single convolution stands alone, several are numbered."""
        if self.num_convs == 1:
            self.rpn_conv: nn.Module = nn.Conv2d(self.in_channels, self.feat_channels, 3, padding=1)
        else:
            widths = [self.in_channels, *[self.feat_channels] * self.num_convs]
            layers = [ConvModule(widths[i], widths[i + 1], 3, padding=1, inplace=False) for i in range(self.num_convs)]
            self.rpn_conv = nn.Sequential(*layers)
        self.rpn_cls = nn.Conv2d(self.feat_channels, self.num_base_priors * self.cls_out_channels, 1)
        self.rpn_reg = nn.Conv2d(self.feat_channels, self.num_base_priors * 4, 1)

    def forward_single(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn features (B, C, H, W) into scores (B, A, H, W) and offsets (B, A * 4, H, W)."""
        x = self.rpn_conv(x).relu()
        return self.rpn_cls(x), self.rpn_reg(x)

    def loss_by_feat(self, *maps: Any, **truth: Any) -> dict[str, torch.Tensor]:
        """Return `loss_rpn_cls` and `loss_rpn_bbox`; arguments as of `AnchorHead`."""
        losses = super().loss_by_feat(*maps, **truth)
        return {"loss_rpn_cls": losses["loss_cls"], "loss_rpn_bbox": losses["loss_bbox"]}

    def candidates(self, outputs: DenseOutputs, index: int, meta: Meta, cfg: Cfg) -> InstanceData:
        """Return the `nms_pre` best of each level, whatever their scores; levels are their groups."""
        scores = outputs.scores[index, :, 0]
        chosen, level_ids, start = [], [], 0
        for level, size in enumerate(outputs.level_sizes):
            most = min(cfg.get("nms_pre", size), size) if cfg.get("nms_pre", -1) > 0 else size
            chosen.append(scores[start : start + size].topk(most).indices + start)
            level_ids.append(torch.full((most,), level, device=scores.device))
            start += size
        prior = torch.cat(chosen)
        boxes = self.decode_boxes(outputs.priors[prior], outputs.boxes[index, prior], max_shape=meta["img_shape"])
        return InstanceData(bboxes=boxes, scores=scores[prior], level_ids=torch.cat(level_ids))

    def result(
        self, candidates: InstanceData, cfg: Cfg, meta: Meta, *, rescale: bool = False, with_nms: bool = True
    ) -> InstanceData:
        """Return the proposals of an image, `bboxes` (N, 4), `scores` (N,) and `labels` (N,), all 0, the best first.

        Levels do not suppress each other, since they propose objects of different sizes.
        """
        found = finish(candidates, cfg, meta, rescale=rescale, with_nms=with_nms, groups="level_ids")
        return InstanceData(
            bboxes=found.bboxes, scores=found.scores, labels=torch.zeros_like(found.scores, dtype=torch.long)
        )
