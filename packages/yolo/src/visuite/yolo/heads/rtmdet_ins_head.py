"""RTMDet's head with masks: each point says the weights of three convolutions, which draw its object (Lyu et al.,
arXiv:2212.07784; CondInst, Tian et al., arXiv:2003.05664).

Shapes: B images, C channels of the features, F of the layers, D prototypes of h rows and w columns, W weights of the
convolutions, P points of all levels, N objects of the batch, M positive points, q objects or points of a chunk.
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
from visuite.yolo.heads.masks import is_stack, places_of_pixels
from visuite.yolo.heads.points import Cfg, PointTargets
from visuite.yolo.heads.rtmdet_head import RTMDetHead, RTMDetSepBNHeadModule, through
from visuite.yolo.heads.truth import BatchTruth
from visuite.yolo.registry import MODELS

LOSS_MASK: Cfg = {"type": "DiceLoss", "loss_weight": 2.0, "eps": 5e-6, "reduction": "mean"}

#: Offsets from a point are told to the convolutions in so many of its strides.
REACH = 8
#: Of more numbers of prototypes than these, 256 MiB, only those of a few points are kept in memory at a time.
NUMBERS_AT_ONCE = 2**26


class MaskFeatModule(BaseModule):
    """Prototypes: all levels in the size of the first, a 1x1 convolution, 3x3 ones, and a 1x1 one.

    Names of parameters: fusion_conv, stacked_convs.i.conv, projection.

    Args:
        in_channels: C.
        feat_channels: F.
        stacked_convs: 3x3 convolutions.
        num_levels: How many levels there are.
        num_prototypes: D.
        style: Configs of the convolutions, their norms and activations.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        in_channels: int,
        feat_channels: int,
        *,
        stacked_convs: int = 4,
        num_levels: int = 3,
        num_prototypes: int = 8,
        style: Cfg,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        self.fusion_conv = nn.Conv2d(num_levels * in_channels, in_channels, 1)
        widths = [in_channels, *[feat_channels] * stacked_convs]
        self.stacked_convs = nn.Sequential(
            *(ConvModule(width, feat_channels, 3, padding=1, **style) for width in widths[:-1])
        )
        self.projection = nn.Conv2d(widths[-1], num_prototypes, 1)

    def forward(self, feats: Features) -> torch.Tensor:
        """Turn features (B, C, H_l, W_l) into prototypes (B, D, H_0, W_0)."""
        size = feats[0].shape[-2:]
        same = [feats[0], *(F.interpolate(x, size, mode="bilinear", align_corners=False) for x in feats[1:])]
        return self.projection(self.stacked_convs(self.fusion_conv(torch.cat(same, dim=1))))


@MODELS.register_module()
class RTMDetInsSepBNHeadModule(RTMDetSepBNHeadModule):
    """RTMDet's stacks, a third one for the weights of convolutions, and prototypes.

    Names of parameters: those of `RTMDetSepBNHeadModule`, kernel_convs.l.i.conv, rtm_kernel.l, mask_head.

    Args:
        num_classes: K.
        in_channels: C before widening.
        num_prototypes: D.
        dyconv_channels: Channels between the convolutions that are said.
        num_dyconvs: How many of these there are.
        use_sigmoid_cls: Must be true.
        **kwargs: See `RTMDetSepBNHeadModule`.

    Raises:
        ValueError: `use_sigmoid_cls=False`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        num_prototypes: int = 8,
        dyconv_channels: int = 8,
        num_dyconvs: int = 3,
        use_sigmoid_cls: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        if not use_sigmoid_cls:
            raise ValueError("scores are sigmoids: use_sigmoid_cls=True")
        widths = [num_prototypes + 2, *[dyconv_channels] * (num_dyconvs - 1), 1]
        self.dynamic_shapes = [(widths[i + 1], widths[i]) for i in range(num_dyconvs)]
        self.num_weights = sum(rows * columns + rows for rows, columns in self.dynamic_shapes)
        self.kernel_convs = self.stacks()
        self.rtm_kernel = self.predictors(self.num_weights)
        self.mask_head = MaskFeatModule(
            self.in_channels,
            self.feat_channels,
            num_levels=len(self.featmap_strides),
            num_prototypes=num_prototypes,
            style=self.style,
        )

    def forward(self, feats: Features) -> tuple[list[torch.Tensor], ...]:  # type: ignore[override]
        """Turn features (B, C, H_l, W_l) into classes (B, K, H_l, W_l), distances (B, 4, H_l, W_l), weights
        (B, W, H_l, W_l), and one map of prototypes (B, D, H_0, W_0).
        """
        scores, distances = super().forward(feats)
        kernels = [self.rtm_kernel[level](through(self.kernel_convs[level], x)) for level, x in enumerate(feats)]
        return scores, distances, kernels, [self.mask_head(feats)]


@MODELS.register_module()
class RTMDetInsSepBNHead(RTMDetHead):
    """Points that find objects as RTMDet's do, and draw them.

    Settings of `test_cfg` beside those of `YOLODense`: `mask_thr_binary`, from where on a pixel belongs to an object.

    Args:
        head_module: Config or object, an `RTMDetInsSepBNHeadModule`.
        loss_mask: Config or object, over maps of logits.
        mask_loss_stride: Pixels of the input for one where masks are compared.
        **kwargs: See `RTMDetHead`.
    """

    with_masks: ClassVar[bool] = True

    def __init__(
        self, head_module: Any, *, loss_mask: Any = LOSS_MASK, mask_loss_stride: int = 4, **kwargs: Any
    ) -> None:
        super().__init__(head_module, **kwargs)
        self.loss_mask, self.mask_loss_stride = MODELS.build(loss_mask), mask_loss_stride
        self.proto_stride = self.featmap_strides[0]

    # ------------------------------------------------------------------ losses

    def loss_by_feat(  # type: ignore[override]
        self, cls_scores: Maps, bbox_preds: Maps, kernels: Maps, protos: Maps, *, truth: BatchTruth
    ) -> dict[str, torch.Tensor]:
        """Return `loss_cls`, `loss_bbox` and `loss_mask`."""
        losses, targets = self.losses_and_targets(cls_scores, bbox_preds, truth)
        said = flatten_levels(kernels, self.head_module.num_weights)
        losses["loss_mask"] = self.mask_loss(said, full_precision(protos[0]), self.places(cls_scores), targets, truth)
        return losses

    def mask_loss(
        self,
        kernels: torch.Tensor,
        protos: torch.Tensor,
        priors: torch.Tensor,
        targets: PointTargets,
        truth: BatchTruth,
    ) -> torch.Tensor:
        """Return the mean loss of the positive points' masks.

        Very many points are looked at a few at a time, and again for their gradients: memory is bound.

        Args:
            kernels: (B, P, W).
            protos: (B, D, h, w).
            priors: (P, 4).
            targets: What comes of the assignment.
            truth: With masks.

        Raises:
            ValueError: there are objects, but no masks.
        """
        total = (kernels.sum() + protos.sum()) * 0
        images, places = targets.positive.nonzero(as_tuple=True)
        if not len(images):
            return total
        if truth.masks is None:
            raise ValueError("RTMDetInsSepBNHead learns masks, but the batch has none: does the pipeline load them?")
        half, step = self.mask_loss_stride // 2, self.mask_loss_stride
        masks = truth.masks[:, half::step, half::step]
        numbers, counts = targets.owners[images, places] - 1, truth.valid.sum(dim=1)
        objects = (counts.cumsum(0) - counts)[images] + numbers

        def cost(part: slice, protos: torch.Tensor) -> torch.Tensor:
            logits = self.draw(kernels[images[part], places[part]], protos, priors[places[part]], images[part])
            logits = F.interpolate(logits[:, None], masks.shape[1:], mode="bilinear", align_corners=False)[:, 0]
            wanted = masks[objects[part]] if is_stack(masks) else masks[images[part]] == numbers[part, None, None] + 1
            return self.loss_mask(logits, wanted.to(logits), reduction_override="none").sum()

        numbers_of_point = max(protos[0].numel(), masks[0].numel())
        if numbers_of_point * len(images) <= NUMBERS_AT_ONCE:
            return total + cost(slice(0, len(images)), protos) / len(images)
        forget = partial(checkpoint, cost, use_reentrant=False, preserve_rng_state=False)
        for part in object_chunks(len(images), numbers_of_point):
            total = total + forget(part, protos) / len(images)
        return total

    def draw(
        self, kernels: torch.Tensor, protos: torch.Tensor, points: torch.Tensor, images: torch.Tensor
    ) -> torch.Tensor:
        """Return the maps (q, h, w) of logits that the convolutions of points make of prototypes and places.

        Args:
            kernels: (q, W): the weights of all convolutions, then their biases.
            protos: (B, D, h, w).
            points: (q, 4), where they stand, and strides.
            images: (q,).
        """
        shapes = self.head_module.dynamic_shapes
        sizes = [rows * columns for rows, columns in shapes] + [rows for rows, _ in shapes]
        parts = kernels.split(sizes, dim=1)
        h, w = protos.shape[2:]
        x, y = (torch.arange(edge, device=protos.device) * self.proto_stride for edge in (w, h))
        reach = points[:, 2:] * REACH
        across = ((points[:, :1] - x) / reach[:, :1])[:, None, :].expand(-1, h, -1)
        down = ((points[:, 1:2] - y) / reach[:, 1:])[:, :, None].expand(-1, -1, w)
        maps = torch.cat([torch.stack([across, down], dim=1), protos[images]], dim=1).flatten(2)
        for index, (rows, columns) in enumerate(shapes):
            weight, bias = parts[index].reshape(-1, rows, columns), parts[len(shapes) + index]
            maps = torch.baddbmm(bias[..., None], weight, maps)
            maps = maps.relu() if index < len(shapes) - 1 else maps
        return maps.reshape(-1, h, w)

    # ------------------------------------------------------------------ predictions

    def read(self, cls_scores: Maps, bbox_preds: Maps, *more: Maps) -> DenseOutputs:
        """Read classes, distances in strides, and the weights of convolutions."""
        outputs = super().read(cls_scores, bbox_preds)
        kernels = flatten_levels(more[0], self.head_module.num_weights)
        return replace(outputs, more={"kernels": kernels, "points": outputs.priors.expand(len(kernels), -1, -1)})

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
        for index, (one, meta) in enumerate(zip(found, batch_img_metas, strict=True)):
            protos = full_precision(maps[-1][0][index : index + 1])
            one.masks = self.draw_masks(one.pop("kernels"), protos, one.pop("points"), meta, settings, rescale=rescale)
        return found

    @torch.no_grad()
    def draw_masks(
        self,
        kernels: torch.Tensor,
        protos: torch.Tensor,
        points: torch.Tensor,
        meta: Meta,
        cfg: Cfg,
        *,
        rescale: bool,
    ) -> torch.Tensor:
        """Return the masks (N, H, W) of an image's objects.

        Args:
            kernels: (N, W).
            protos: (1, D, h, w).
            points: (N, 4).
            meta: `img_shape`; for `rescale` `ori_shape`, `scale_factor` and perhaps `pad_param`.
            cfg: `mask_thr_binary`.
            rescale: Masks are of the file, else of the input.
        """
        size = (meta["ori_shape"] if rescale else meta["img_shape"])[:2]
        edges = [edge * self.proto_stride for edge in protos.shape[2:]]
        grid = places_of_pixels(size, edges, meta if rescale else {}, device=protos.device)
        masks = torch.zeros(len(kernels), *size, dtype=torch.bool, device=protos.device)
        for part in object_chunks(len(kernels), max(size[0] * size[1], protos.numel())):
            logits = self.draw(kernels[part], protos, points[part], torch.zeros_like(points[part, 0], dtype=torch.long))
            found = F.grid_sample(logits[None], grid, mode="bilinear", padding_mode="border", align_corners=False)[0]
            masks[part] = found.sigmoid() > cfg.get("mask_thr_binary", 0.5)
        return masks
