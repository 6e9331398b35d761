"""YOLOv5's head with masks: each image has some prototypes, and each object is a sum of them (YOLACT, Bolya et al.,
arXiv:1904.02689).

Shapes: B images, C_l channels of level l, A anchors at each place, P anchors of all levels, K classes, D prototypes of
h rows and w columns, M pairs of an object and an anchor, q pairs of each image, N objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from visuite.cv.layers import ConvModule
from visuite.cv.ops import full_precision
from visuite.det.assign.sweep import object_chunks
from visuite.det.heads.dense import DenseOutputs, Features, Meta
from visuite.det.heads.levels import Maps, flatten_levels
from visuite.engine.model import BaseModule
from visuite.engine.structures import InstanceData
from visuite.yolo.assign.batch import padded
from visuite.yolo.assign.ratio import Matches
from visuite.yolo.heads.anchors import AnchorDense, AnchorHeadModule, Cfg
from visuite.yolo.heads.dense import images_of_all
from visuite.yolo.heads.masks import is_stack, pixels_inside, places_of_pixels
from visuite.yolo.heads.truth import BatchTruth
from visuite.yolo.layers.sizes import make_divisible
from visuite.yolo.registry import MODELS

#: What masks learn where the config does not say.
LOSS_MASK: Cfg = {"type": "CrossEntropyLoss", "use_sigmoid": True, "reduction": "none"}


#: Of more pixels of pairs than these, 256 MiB for each float32 map of them, only a few are kept in memory at a time.
PIXELS_AT_ONCE = 2**26


class ProtoModule(BaseModule):
    """Prototypes: a 3x3 convolution, twice the size by nearest pixels, a 3x3 and a 1x1 one.

    Names of parameters: conv1.conv, conv2.conv, conv3.conv.

    Args:
        in_channels: Channels of the features.
        middle_channels: Channels between.
        mask_channels: D.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        in_channels: int,
        middle_channels: int,
        *,
        mask_channels: int,
        norm_cfg: Cfg | None,
        act_cfg: Cfg | None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        style: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.conv1 = ConvModule(in_channels, middle_channels, 3, padding=1, **style)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.conv2 = ConvModule(middle_channels, middle_channels, 3, padding=1, **style)
        self.conv3 = ConvModule(middle_channels, mask_channels, 1, **style)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, D, 2 * H, 2 * W)."""
        return self.conv3(self.conv2(self.upsample(self.conv1(x))))


@MODELS.register_module()
class YOLOv5InsHeadModule(AnchorHeadModule):
    """One 1x1 convolution for each level, and prototypes of the first.

    Names of parameters: convs_pred.l, proto_pred.conv1, proto_pred.conv2, proto_pred.conv3.

    Args:
        num_classes: K.
        in_channels: C_l before widening, one for each level or one for all.
        mask_channels: D.
        proto_channels: Channels before the prototypes, before widening.
        widen_factor: Factor of the channels, but of D.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        **kwargs: See `AnchorHeadModule`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int | Sequence[int],
        *,
        mask_channels: int = 32,
        proto_channels: int = 256,
        widen_factor: float = 1.0,
        norm_cfg: Cfg = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg = {"type": "SiLU", "inplace": True},  # noqa: B006
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, in_channels, widen_factor=widen_factor, **kwargs)
        self.mask_channels = mask_channels
        self.num_out_attrib += mask_channels
        self.convs_pred = nn.ModuleList(nn.Conv2d(width, self.out_channels, 1) for width in self.in_channels)
        self.proto_pred = ProtoModule(
            self.in_channels[0],
            make_divisible(proto_channels, widen_factor),
            mask_channels=mask_channels,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
        )

    def forward(self, feats: Features) -> tuple[list[torch.Tensor], ...]:
        """Turn features (B, C_l, H_l, W_l) into classes (B, A * K, ...), boxes (B, A * 4, ...), objectness (B, A, ...),
        coefficients (B, A * D, ...), and one map of prototypes (B, D, 2 * H_0, 2 * W_0).
        """
        maps = self.split([conv(x) for conv, x in zip(self.convs_pred, feats, strict=True)])
        return *maps, [self.proto_pred(feats[0])]


@MODELS.register_module()
class YOLOv5InsHead(AnchorDense):
    """Objects learn from all anchors that are matched with them, boxes and masks.

    Settings of `test_cfg` beside those of `YOLODense`: `mask_thr_binary`, from where on a pixel belongs to an object
    (0.5); `fast_test`: compare in the size of the result, else in that of the input, which is read between pixels then.

    Args:
        head_module: Config or object, a `YOLOv5InsHeadModule`.
        mask_overlap: Without effect: it is seen from a batch whether its masks are one map for each image.
        loss_mask: Config or object; reduction `none`.
        loss_mask_weight: Weight of the masks.
        **kwargs: See `AnchorDense`.
    """

    with_masks: ClassVar[bool] = True

    def __init__(
        self,
        head_module: Any,
        *,
        mask_overlap: bool = True,
        loss_mask: Any = LOSS_MASK,
        loss_mask_weight: float = 0.05,
        **kwargs: Any,
    ) -> None:
        super().__init__(head_module, **kwargs)
        self.loss_mask, self.loss_mask_weight = MODELS.build(loss_mask), loss_mask_weight
        self.proto_stride = self.featmap_strides[0] / 2

    # ------------------------------------------------------------------ losses

    def loss_by_feat(
        self,
        cls_scores: Maps,
        bbox_preds: Maps,
        objectnesses: Maps,
        coefficients: Maps,
        protos: Maps,
        *,
        truth: BatchTruth,
    ) -> dict[str, torch.Tensor]:
        """Return `loss_cls`, `loss_obj`, `loss_bbox` and `loss_mask`."""
        logits = self.logits(cls_scores, bbox_preds, objectnesses)
        matches = self.match(truth.rows, logits.sizes)
        losses = self.losses(logits, self.places(cls_scores), matches, truth)
        said = flatten_levels(coefficients, self.head_module.mask_channels)
        losses["loss_mask"] = self.mask_loss(said, full_precision(protos[0]), matches, truth)
        return losses

    def mask_loss(
        self, coefficients: torch.Tensor, protos: torch.Tensor, matches: Matches, truth: BatchTruth
    ) -> torch.Tensor:
        """Return the mean cost of a pixel inside an object's box, times the images of all processes: the mean of the
        pairs of an image and a level, the mean of the images, the sum of the levels.

        Very many pairs are looked at a few at a time, and again for their gradients: memory is bound.

        Args:
            coefficients: (B, P, D).
            protos: (B, D, h, w).
            matches: M pairs.
            truth: With masks.

        Raises:
            ValueError: there are objects, but no masks.
        """
        images, (h, w) = len(protos), protos.shape[2:]
        total = (coefficients.sum() + protos.sum()) * 0
        if not len(truth.rows):
            return total
        if truth.masks is None:
            raise ValueError("YOLOv5InsHead learns from masks, but the batch has none: does the pipeline load them?")
        masks = F.interpolate(truth.masks[None].float(), (h, w), mode="nearest-exact")[0].to(truth.masks.dtype)
        number = matches.objects if is_stack(masks) else truth.numbers[matches.objects] + 1
        group = matches.levels * images + matches.images
        share = 1 / group.bincount()[group].to(protos) / images
        boxes = truth.rows[matches.objects, 2:] / self.proto_stride
        rows = [coefficients[matches.images, matches.priors], boxes, share[:, None], number[:, None].to(protos)]
        order = matches.images.argsort(stable=True)
        pairs, _ = padded(matches.images[order], torch.cat(rows, dim=1)[order], images)
        if pairs.shape[1] * images * h * w <= PIXELS_AT_ONCE:
            total = total + self._cost(pairs, protos, masks)
        else:
            forget = partial(checkpoint, self._cost, use_reentrant=False, preserve_rng_state=False)
            for part in object_chunks(pairs.shape[1], images * h * w):
                total = total + forget(pairs[:, part], protos, masks)
        return total * self.loss_mask_weight * images_of_all(images)

    def _cost(self, pairs: torch.Tensor, protos: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Add up the cost of pairs (B, q, D + 6): coefficients, a box in pixels of the prototypes, weight, number."""
        said, boxes, share, number = pairs.split([protos.shape[1], 4, 1, 1], dim=2)
        logits = torch.einsum("bqd,bdhw->bqhw", said, protos)
        wanted = masks[number[..., 0].long()] if is_stack(masks) else masks[:, None] == number[..., None]
        cost = self.loss_mask(logits, wanted.to(logits)) * pixels_inside(boxes, protos.shape[2:])
        area = (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1).clamp(min=1)
        return (cost.sum(dim=(2, 3)) / area * share[..., 0]).sum()

    # ------------------------------------------------------------------ predictions

    def read(self, cls_scores: Maps, bbox_preds: Maps, objectnesses: Maps, *more: Maps) -> DenseOutputs:
        """Read classes, boxes, objectness, which multiplies the first, and coefficients."""
        outputs = super().read(cls_scores, bbox_preds, objectnesses)
        return replace(outputs, more={"coefficients": flatten_levels(more[0], self.head_module.mask_channels)})

    def predict_by_feat(
        self,
        *maps: Any,
        batch_img_metas: Sequence[Meta],
        cfg: Cfg | None = None,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> list[InstanceData]:
        """Return the objects of each image, with `masks` (N, H, W) bool in the size of the file, or of the input."""
        settings = self.test_cfg if cfg is None else cfg
        options: dict[str, Any] = {"cfg": settings, "rescale": rescale, "with_nms": with_nms}
        found = super().predict_by_feat(*maps, batch_img_metas=batch_img_metas, **options)
        for one, protos, meta in zip(found, full_precision(maps[-1][0]), batch_img_metas, strict=True):
            one.masks = self.draw_masks(one.pop("coefficients"), protos, one.bboxes, meta, settings, rescale=rescale)
        return found

    @torch.no_grad()
    def draw_masks(
        self,
        coefficients: torch.Tensor,
        protos: torch.Tensor,
        boxes: torch.Tensor,
        meta: Meta,
        cfg: Cfg,
        *,
        rescale: bool,
    ) -> torch.Tensor:
        """Return the masks (N, H, W) of objects, each within its box.

        Args:
            coefficients: (N, D).
            protos: (D, h, w).
            boxes: (N, 4) in pixels of the result.
            meta: `img_shape`; for `rescale` `ori_shape`, `scale_factor` and perhaps `pad_param`.
            cfg: `mask_thr_binary`, `fast_test`.
            rescale: Masks are of the file, else of the input.
        """
        size = (meta["ori_shape"] if rescale else meta["img_shape"])[:2]
        edges = [edge * self.proto_stride for edge in protos.shape[1:]]
        grid = places_of_pixels(size, edges, meta if rescale else {}, device=protos.device)
        threshold, factor = cfg.get("mask_thr_binary", 0.5), self.proto_stride
        masks = torch.zeros(len(boxes), *size, dtype=torch.bool, device=protos.device)
        for part in object_chunks(len(boxes), max(size[0] * size[1], int(protos[0].numel() * factor**2))):
            chances = torch.einsum("nd,dhw->nhw", coefficients[part], protos).sigmoid()[None]
            if not cfg.get("fast_test", False):
                chances = F.interpolate(chances, scale_factor=factor, mode="bilinear", align_corners=False)
                chances, threshold = (chances > threshold).float(), 0.5
            found = F.grid_sample(chances, grid, mode="bilinear", padding_mode="border", align_corners=False)[0]
            masks[part] = (found > threshold) & pixels_inside(boxes[part], size)
        return masks
