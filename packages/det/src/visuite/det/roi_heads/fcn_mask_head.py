"""The mask of a region's object (He et al., arXiv:1703.06870).

Shapes: R regions, C channels, h and w the bins of a region, K classes, m the edge of a mask, N objects of an image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import ConvModule, build_conv_layer, build_upsample_layer
from visuite.cv.ops import full_precision
from visuite.det.heads.dense import rescale_boxes
from visuite.det.registry import MODELS
from visuite.det.roi_heads.paste import paste_masks
from visuite.engine.model import BaseModule
from visuite.engine.structures import InstanceData

Cfg = Mapping[str, Any]


@MODELS.register_module()
class FCNMaskHead(BaseModule):
    """Convolutions, an enlarging layer, and a mask for each class.

    Names of parameters: convs.i.conv, upsample, conv_logits.

    Args:
        num_convs: Convolutions before the enlarging layer.
        roi_feat_size: h = w; told for its users, masks are as large as features and enlarging make them.
        in_channels: C.
        conv_kernel_size: Of the convolutions.
        conv_out_channels: Their channels.
        num_classes: K.
        class_agnostic: One mask for each region, not one for each class.
        upsample_cfg: `type` (`deconv`, `nearest`, `bilinear`, `carafe` where registered, or None) and `scale_factor`.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of their norms.
        predictor_cfg: Config of the last convolution.
        loss_mask: Config or object.
        train_cfg: `mask_size`: m.
        test_cfg: `mask_thr_binary`: from where on a pixel belongs to the object.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        num_convs: int = 4,
        roi_feat_size: int = 14,
        *,
        in_channels: int = 256,
        conv_kernel_size: int = 3,
        conv_out_channels: int = 256,
        num_classes: int = 80,
        class_agnostic: bool = False,
        upsample_cfg: Cfg = {"type": "deconv", "scale_factor": 2},  # noqa: B006 (read only, as the next)
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        predictor_cfg: Cfg = {"type": "Conv"},  # noqa: B006
        loss_mask: Cfg | nn.Module = {"type": "CrossEntropyLoss", "use_mask": True},  # noqa: B006
        train_cfg: Cfg | None = None,
        test_cfg: Cfg | None = None,
        init_cfg: Any = None,
    ) -> None:
        layers = ["ConvTranspose2d", "Conv2d"]
        he = {"type": "Kaiming", "layer": layers, "mode": "fan_out", "nonlinearity": "relu", "bias": 0}
        super().__init__(he if init_cfg is None else init_cfg)
        self.roi_feat_size, self.in_channels = roi_feat_size, in_channels
        self.num_classes, self.class_agnostic = num_classes, class_agnostic
        self.train_cfg, self.test_cfg = dict(train_cfg or {}), dict(test_cfg or {})
        self.loss_mask = MODELS.build(loss_mask)
        pad = (conv_kernel_size - 1) // 2
        self.convs = nn.ModuleList()
        for index in range(num_convs):
            before = in_channels if index == 0 else conv_out_channels
            self.convs.append(
                ConvModule(
                    before, conv_out_channels, conv_kernel_size, padding=pad, conv_cfg=conv_cfg, norm_cfg=norm_cfg
                )
            )
        width = conv_out_channels if num_convs else in_channels
        self.upsample = _upsample(dict(upsample_cfg), width, conv_out_channels)
        learns = upsample_cfg.get("type") == "deconv"
        width = conv_out_channels if learns else width
        self.activate = nn.ReLU(inplace=True) if learns else nn.Identity()
        masks = 1 if class_agnostic else num_classes
        self.conv_logits = build_conv_layer(dict(predictor_cfg), width, masks, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn the features (R, C, h, w) of regions into mask logits (R, K, m, m), or (R, 1, m, m)."""
        x = nn.Sequential(*self.convs)(x)
        return self.conv_logits(self.activate(self.upsample(x)))

    def get_targets(
        self,
        sampling_results: Sequence[Any],
        batch_gt_instances: Sequence[InstanceData],
        rcnn_train_cfg: Cfg | None = None,
    ) -> torch.Tensor:
        """Return the truth (R, m, m), 0 or 1, of the regions with an object: what of its mask lies in the region."""
        size = (rcnn_train_cfg or self.train_cfg)["mask_size"]
        size = (size, size) if isinstance(size, int) else tuple(size)
        targets = []
        for one, truth in zip(sampling_results, batch_gt_instances, strict=True):
            boxes = one.pos_priors
            if len(boxes) == 0:
                targets.append(boxes.new_zeros((0, *size)))
                continue
            cut = truth.masks.crop_and_resize(
                boxes.detach(), size, inds=one.pos_assigned_gt_inds, device=boxes.device
            )  # fmt: skip
            targets.append(torch.as_tensor(cut.to_ndarray() if hasattr(cut, "to_ndarray") else cut).to(boxes))
        return torch.cat(targets)

    def loss_and_target(
        self,
        mask_preds: torch.Tensor,
        sampling_results: Sequence[Any],
        batch_gt_instances: Sequence[InstanceData],
        rcnn_train_cfg: Cfg | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return `loss_mask` of the regions with an object.

        Args:
            mask_preds: (R, K, m, m).
            sampling_results: One for each image.
            batch_gt_instances: `masks` of each image.
            rcnn_train_cfg: `mask_size`; by default the head's own.
        """
        targets = self.get_targets(sampling_results, batch_gt_instances, rcnn_train_cfg)
        labels = torch.cat([one.pos_gt_labels for one in sampling_results])
        logits = full_precision(mask_preds)
        if len(logits) == 0:
            return {"loss_mask": logits.sum()}
        classes = torch.zeros_like(labels) if self.class_agnostic else labels
        return {"loss_mask": self.loss_mask(logits, targets, classes)}

    def predict_by_feat(
        self,
        mask_preds: Sequence[torch.Tensor],
        results_list: Sequence[InstanceData],
        batch_img_metas: Sequence[Mapping[str, Any]],
        rcnn_test_cfg: Cfg | None = None,
        *,
        rescale: bool = False,
        activate_map: bool = False,
    ) -> list[InstanceData]:
        """Give the objects of each image their `masks` (N, H, W) bool, and with `rescale` their boxes in its size.

        Args:
            mask_preds: Logits (N, K, m, m) of each image.
            results_list: Its objects, `bboxes` (N, 4) in the size of the input.
            batch_img_metas: `img_shape`, and with `rescale` `ori_shape` and `scale_factor`.
            rcnn_test_cfg: `mask_thr_binary`; by default the head's own.
            rescale: Give masks and boxes in the size of the image file.
            activate_map: The masks are probabilities already.
        """
        threshold = (rcnn_test_cfg or self.test_cfg)["mask_thr_binary"]
        for masks, found, meta in zip(mask_preds, results_list, batch_img_metas, strict=True):
            if rescale:
                found.bboxes = rescale_boxes(found.bboxes, meta)
            size = meta["ori_shape" if rescale else "img_shape"][:2]
            label = torch.zeros_like(found.labels) if self.class_agnostic else found.labels
            own = full_precision(masks[torch.arange(len(masks), device=masks.device), label])
            own = own if activate_map else own.sigmoid()
            found.masks = paste_masks(own, found.bboxes, (int(size[0]), int(size[1])), threshold)
        return list(results_list)


def _upsample(cfg: dict[str, Any], in_channels: int, out_channels: int) -> nn.Module:
    """Build the enlarging layer: a transposed convolution, whose stride is `scale_factor`, another, or none."""
    kind, factor = cfg.get("type"), cfg.get("scale_factor")
    if kind is None:
        return nn.Identity()
    if kind == "deconv":
        cfg.pop("scale_factor")
        shape = {"in_channels": in_channels, "out_channels": out_channels, "kernel_size": factor, "stride": factor}
        return build_upsample_layer({**cfg, **shape})
    if kind in ("nearest", "bilinear"):
        return build_upsample_layer(cfg)
    return build_upsample_layer({**cfg, "channels": in_channels})
