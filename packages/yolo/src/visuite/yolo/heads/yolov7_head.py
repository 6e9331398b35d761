"""YOLOv7's head: anchors matched by their sides, of which those learn that predict best already; the large models have
auxiliary branches that the lead teaches (Wang et al., arXiv:2207.02696).

Shapes: B images, C_l channels of level l, A anchors at each place, P anchors of all levels, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import ConvModule
from visuite.det.heads.dense import Features
from visuite.det.heads.levels import Maps
from visuite.yolo.assign.ratio import Matches
from visuite.yolo.assign.yolov7 import BatchYOLOv7Assigner
from visuite.yolo.heads.anchors import AnchorDense, AnchorHeadModule, AnchorLogits, Cfg
from visuite.yolo.heads.truth import BatchTruth
from visuite.yolo.layers.implicit import ImplicitA, ImplicitM
from visuite.yolo.layers.sizes import make_divisible
from visuite.yolo.registry import MODELS

#: How near to the cells beside its own a centre is, in cells, for the auxiliary branches: all four take part.
AUX_REACH = 1.0


def implicit_conv(channels: int, out_channels: int) -> list[nn.Module]:
    """Return a 1x1 convolution between implicit knowledge (YOLOR, Wang et al., arXiv:2105.04206)."""
    return [ImplicitA(channels), nn.Conv2d(channels, out_channels, 1), ImplicitM(out_channels)]


@MODELS.register_module()
class YOLOv7HeadModule(AnchorHeadModule):
    """One 1x1 convolution for each level, with implicit knowledge.

    Names of parameters: convs_pred.l.{0,2}.implicit, convs_pred.l.1. Arguments as of `AnchorHeadModule`.
    """

    def __init__(self, num_classes: int, in_channels: int | Sequence[int], **kwargs: Any) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.convs_pred = nn.ModuleList(
            nn.Sequential(*implicit_conv(width, self.out_channels)) for width in self.in_channels
        )

    def forward(self, feats: Features) -> tuple[list[torch.Tensor], ...]:
        """Turn features (B, C_l, H_l, W_l) into classes (B, A * K, ...), boxes (B, A * 4, ...) and objectness
        (B, A, ...).
        """
        return self.split([branch(x) for branch, x in zip(self.convs_pred, feats, strict=True)])


@MODELS.register_module()
class YOLOv7p6HeadModule(AnchorHeadModule):
    """For each level a 3x3 convolution and a 1x1 one with implicit knowledge; while training, an auxiliary branch too,
    of two convolutions.

    Names of parameters: main_convs_pred.l.0.conv, main_convs_pred.l.{1,3}.implicit, main_convs_pred.l.2,
    aux_convs_pred.l.0.conv, aux_convs_pred.l.1.

    Args:
        num_classes: K.
        in_channels: C_l before widening, one for each level or one for all.
        widen_factor: Factor of all channels.
        num_base_priors: A.
        featmap_strides: Input pixels per place of each level.
        main_out_channels: Channels of the 3x3 convolution of each level, before widening.
        aux_out_channels: Those of the auxiliary branches.
        use_aux: Whether there are auxiliary branches.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int | Sequence[int],
        *,
        widen_factor: float = 1.0,
        num_base_priors: int = 3,
        featmap_strides: Sequence[int] = (8, 16, 32, 64),
        main_out_channels: Sequence[int] = (256, 512, 768, 1024),
        aux_out_channels: Sequence[int] = (320, 640, 960, 1280),
        use_aux: bool = True,
        norm_cfg: Cfg = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg = {"type": "SiLU", "inplace": True},  # noqa: B006
        init_cfg: Any = None,
    ) -> None:
        super().__init__(
            num_classes,
            in_channels,
            widen_factor=widen_factor,
            num_base_priors=num_base_priors,
            featmap_strides=featmap_strides,
            init_cfg=init_cfg,
        )
        self.use_aux = use_aux
        self.branches = ("main_convs_pred", "aux_convs_pred") if use_aux else ("main_convs_pred",)

        def branch(before: int, wanted: int, *, implicit: bool) -> nn.Sequential:
            width = make_divisible(wanted, widen_factor)
            conv = ConvModule(before, width, 3, padding=1, norm_cfg=norm_cfg, act_cfg=act_cfg)
            last = [nn.Conv2d(width, self.out_channels, 1)]
            return nn.Sequential(conv, *(implicit_conv(width, self.out_channels) if implicit else last))

        pairs = zip(self.in_channels, main_out_channels, strict=True)
        self.main_convs_pred = nn.ModuleList(branch(*pair, implicit=True) for pair in pairs)
        if use_aux:
            pairs = zip(self.in_channels, aux_out_channels, strict=True)
            self.aux_convs_pred = nn.ModuleList(branch(*pair, implicit=False) for pair in pairs)

    def forward(self, feats: Features) -> tuple[list[torch.Tensor], ...]:
        """Turn features (B, C_l, H_l, W_l) into classes (B, A * K, ...), boxes (B, A * 4, ...) and objectness
        (B, A, ...); while training, with the same three of the auxiliary branches after them.
        """
        lead = self.split([branch(x) for branch, x in zip(self.main_convs_pred, feats, strict=True)])
        if not (self.training and self.use_aux):
            return lead
        return *lead, *self.split([branch(x) for branch, x in zip(self.aux_convs_pred, feats, strict=True)])


@MODELS.register_module()
class YOLOv7Head(AnchorDense):
    """Objects learn from the anchors, among those that are matched with any, that predict them at the lowest cost.

    What the lead predicts chooses for auxiliary branches too, among more anchors (coarse to fine): all cells beside the
    one of an object's centre take part.

    Args:
        head_module: Config or object, a `YOLOv7HeadModule` or a `YOLOv7p6HeadModule`.
        simota_candidate_topk: See `BatchYOLOv7Assigner`, as the next two.
        simota_iou_weight: See there.
        simota_cls_weight: See there.
        aux_loss_weights: Weight of the losses of auxiliary branches.
        **kwargs: See `AnchorDense`.
    """

    def __init__(
        self,
        head_module: Any,
        *,
        simota_candidate_topk: int = 20,
        simota_iou_weight: float = 3.0,
        simota_cls_weight: float = 1.0,
        aux_loss_weights: float = 0.25,
        **kwargs: Any,
    ) -> None:
        super().__init__(head_module, **kwargs)
        self.aux_loss_weights = aux_loss_weights
        self.assigner = BatchYOLOv7Assigner(simota_candidate_topk, simota_iou_weight, cls_weight=simota_cls_weight)

    def loss_by_feat(
        self, cls_scores: Maps, bbox_preds: Maps, objectnesses: Maps, *aux: Maps, truth: BatchTruth
    ) -> dict[str, torch.Tensor]:
        """Return `loss_cls`, `loss_obj` and `loss_bbox`, those of auxiliary branches included."""
        lead, priors = self.logits(cls_scores, bbox_preds, objectnesses), self.places(cls_scores)
        losses = self.losses(lead, priors, self.assign(lead, priors, truth), truth)
        if not aux:
            return losses
        matches = self.assign(lead, priors, truth, reach=AUX_REACH)
        more = self.losses(self.logits(*aux), priors, matches, truth)
        return {name: loss + self.aux_loss_weights * more[name] for name, loss in losses.items()}

    @torch.no_grad()
    def assign(
        self, lead: AnchorLogits, priors: torch.Tensor, truth: BatchTruth, *, reach: float | None = None
    ) -> Matches:
        """Choose anchors (P, 6) for objects by what is predicted there."""
        matches = self.match(truth.rows, lead.sizes, reach=reach)
        at = matches.images, matches.priors
        boxes = self.decode_boxes(priors[matches.priors], lead.boxes[at].sigmoid())
        scores = (lead.scores[at].sigmoid() * lead.objects[at].sigmoid()[:, None]).sqrt()
        return self.assigner(matches, boxes, scores, truth.labels[..., None], truth.boxes, truth.valid[..., None])
