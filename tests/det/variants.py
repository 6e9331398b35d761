"""A small detector of each kind, and batches for it.

A new detector gets its row here, and with it all contracts (test_contracts.py).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from visuite.det.detectors import BaseDetector
from visuite.det.registry import MODELS
from visuite.det.structures import BitmapMasks, DetDataSample
from visuite.engine.structures import InstanceData

Cfg = dict[str, Any]
Size = tuple[int, int]
CLASSES = 3


@dataclass(frozen=True)
class Variant:
    """A small detector.

    Args:
        model: Its config, but for the backbone's channels and the preprocessor, which `make` adds.
        head: Where its first head is, for errors of channels: the path in the config, and the word that errors have.
        masks: Whether it finds masks.
        classes: How many classes it tells.
        clips: Whether its boxes end at the image's edge.
        proposals: Whether samples have to bring regions.
        traces: Whether torch's older exporter, which traces, knows its operators.
        scope: Where its parts are registered.
        preprocessor: The type of its preprocessor.
        channels: The backbone's argument for the channels of images.
        shake: The noise with which a fresh one tells objects apart.
    """

    model: Cfg
    head: tuple[str, ...] = ("bbox_head",)
    masks: bool = False
    classes: int = CLASSES
    clips: bool = True
    proposals: bool = False
    traces: bool = True
    scope: str = "det"
    preprocessor: str = "DetDataPreprocessor"
    channels: str = "in_channels"
    shake: float = 0.02

    def config(self, *, classes: int = CLASSES, in_channels: int = 3) -> Cfg:
        """Its config, for so many classes and input channels."""
        cfg = _with_classes(copy.deepcopy(self.model), classes)
        cfg["_scope_"] = self.scope
        cfg["backbone"][self.channels] = in_channels
        cfg["data_preprocessor"] = {
            "type": self.preprocessor,
            "mean": [127.0] * in_channels,
            "std": [60.0] * in_channels,
            "pad_size_divisor": 32,
            "pad_mask": self.masks,
        }
        return cfg

    def make(self, **options: int) -> BaseDetector:
        """The detector, with weights of seed 0."""
        torch.manual_seed(0)
        model = MODELS.build(self.config(**options))
        model.init_weights()
        return model

    def batch(self, *counts: int, **options: Any) -> Cfg:
        """A batch of images with so many objects each; see `batch`."""
        return batch(*counts, masks=self.masks, proposals=self.proposals, **options)


def batch(
    *counts: int,
    sizes: Sequence[Size] = ((64, 96), (80, 64)),
    ignored: int = 0,
    classes: int = CLASSES,
    channels: int = 3,
    masks: bool = False,
    proposals: bool = False,
    factor: float = 0.5,
    seed: int = 0,
) -> Cfg:
    """Random images with random objects.

    Args:
        counts: Objects of each image.
        sizes: (h, w) of each.
        ignored: Regions of each that are ignored; 0: samples do not speak of such.
        classes: Labels are below this.
        channels: Of the images.
        masks: Objects have masks: their boxes, filled.
        proposals: Samples bring 20 regions, of which some are near objects.
        factor: Inputs are so many times as large as the files.
        seed: Of everything.
    """
    random = torch.Generator().manual_seed(seed)
    images, samples = [], []
    for count, (h, w) in zip(counts, sizes, strict=True):
        images.append(torch.randint(0, 256, (channels, h, w), dtype=torch.uint8, generator=random))
        meta = {"img_shape": (h, w), "ori_shape": (round(h / factor), round(w / factor)), "scale_factor": (factor,) * 2}
        boxes = boxes_within((h, w), count, random)
        objects = InstanceData(bboxes=boxes, labels=torch.randint(0, classes, (count,), generator=random))
        if masks:
            objects.masks = BitmapMasks(filled(boxes, (h, w)), h, w)
        sample = DetDataSample(metainfo=meta, gt_instances=objects)
        if ignored:
            sample.ignored_instances = InstanceData(
                bboxes=boxes_within((h, w), ignored, random), labels=torch.zeros(ignored, dtype=torch.long)
            )
        if proposals:
            near = boxes_within((h, w), 20, random)
            near[: min(count, 10)] = boxes[:10] + 0.5
            sample.proposals = InstanceData(bboxes=near, scores=torch.rand(20, generator=random))
        samples.append(sample)
    return {"inputs": images, "data_samples": samples}


def boxes_within(size: Size, count: int, random: torch.Generator) -> torch.Tensor:
    """Return boxes (count, 4) in an image of (h, w), with edges of a third of it or so."""
    whole = torch.tensor([size[1], size[0]], dtype=torch.float32)
    edge = (0.1 + 0.5 * torch.rand(count, 2, generator=random)) * whole
    start = torch.rand(count, 2, generator=random) * (whole - edge)
    return torch.cat([start, start + edge], dim=1)


def filled(boxes: torch.Tensor, size: Size) -> np.ndarray:
    """Return masks (N, h, w) of what lies in each box."""
    masks = np.zeros((len(boxes), *size), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.round().int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = 1
    return masks


def _with_classes(cfg: Any, classes: int) -> Any:
    """Set every `num_classes` in a config."""
    if isinstance(cfg, list):
        return [_with_classes(one, classes) for one in cfg]
    if not isinstance(cfg, Mapping):
        return cfg
    changed = {key: _with_classes(value, classes) for key, value in cfg.items()}
    return changed | ({"num_classes": classes} if "num_classes" in changed else {})


# ---------------------------------------------------------------------- parts

BACKBONE: Cfg = {"type": "det.ResNet", "depth": 18, "base_channels": 8, "stem_channels": 8, "norm_eval": True}
#: Maps of 8, 16, 32 and 64 channels with strides 4, 8, 16 and 32.
FPN: Cfg = {"type": "FPN", "in_channels": [8, 16, 32, 64], "out_channels": 16, "num_outs": 5}
#: The same from stride 8 on.
FPN_OF_ONE_STAGE: Cfg = {**FPN, "start_level": 1, "add_extra_convs": "on_output"}
FROM_8: Cfg = {**BACKBONE, "out_indices": (1, 2, 3)}
GN: Cfg = {"type": "GN", "num_groups": 4}
HEAD: Cfg = {"num_classes": CLASSES, "in_channels": 16, "feat_channels": 16}
NMS: Cfg = {"type": "nms", "iou_threshold": 0.6}
DENSE_TEST: Cfg = {"nms_pre": 100, "min_bbox_size": 0, "score_thr": 0.0, "nms": NMS, "max_per_img": 20}
FOCAL: Cfg = {"type": "FocalLoss", "use_sigmoid": True, "gamma": 2.0, "alpha": 0.25, "loss_weight": 1.0}
SIGMOID: Cfg = {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0}
GIOU: Cfg = {"type": "GIoULoss", "loss_weight": 2.0}
DELTAS: Cfg = {"type": "DeltaXYWHBBoxCoder"}
ONE_ANCHOR: Cfg = {
    "type": "AnchorGenerator",
    "ratios": [1.0],
    "octave_base_scale": 8,
    "scales_per_octave": 1,
    "strides": [8, 16, 32, 64, 128],
}


def one_stage(kind: str, head: Cfg, train_cfg: Cfg | None = None, **parts: Any) -> Cfg:
    return {
        "type": kind,
        "backbone": BACKBONE,
        "neck": FPN_OF_ONE_STAGE,
        "bbox_head": {**HEAD, **head},
        "train_cfg": train_cfg,
        "test_cfg": DENSE_TEST,
        **parts,
    }


def overlaps(pos: float, neg: float, least: float, **more: Any) -> Cfg:
    return {"type": "MaxIoUAssigner", "pos_iou_thr": pos, "neg_iou_thr": neg, "min_pos_iou": least, **more}


def retina(**changes: Any) -> Cfg:
    head = {"type": "RetinaHead", "stacked_convs": 1, "bbox_coder": DELTAS, "loss_cls": FOCAL, **changes}
    head.setdefault("loss_bbox", {"type": "L1Loss"})
    return one_stage("RetinaNet", head, {"assigner": overlaps(0.5, 0.4, 0, ignore_iof_thr=0.5), "pos_weight": -1})


def fcos(**changes: Any) -> Cfg:
    strides, ranges = [8, 16, 32, 64, 128], [[-1, 32], [32, 64], [64, 128], [128, 256], [256, 1e8]]
    head = {"type": "FCOSHead", "stacked_convs": 1, "norm_cfg": GN, "strides": strides, "regress_ranges": ranges}
    return one_stage("FCOS", {**head, "loss_cls": FOCAL, "loss_bbox": {"type": "IoULoss"}, **changes})


def ssd(**changes: Any) -> Cfg:
    anchors = {
        "type": "SSDAnchorGenerator",
        "strides": [16, 32, 64, 128],
        "ratios": [[2], [2, 3], [2, 3], [2]],
        "min_sizes": [12, 24, 48, 72],
        "max_sizes": [24, 48, 72, 96],
    }
    depthwise: Cfg = {"use_depthwise": True, "norm_cfg": {"type": "BN"}} if changes else {}
    neck = {
        "type": "SSDNeck",
        "in_channels": (32, 64),
        "out_channels": (32, 64, 32, 16),
        "level_strides": (2, 2),
        "level_paddings": (1, 1),
        "l2_norm_scale": None if changes else 20,
        **depthwise,
    }
    head = {
        "type": "SSDHead",
        "in_channels": (32, 64, 32, 16),
        "anchor_generator": anchors,
        "bbox_coder": {**DELTAS, "target_stds": [0.1, 0.1, 0.2, 0.2]},
        **changes,
        **depthwise,
    }
    train_cfg = {
        "assigner": overlaps(0.5, 0.5, 0.0, gt_max_assign_all=False),
        "sampler": {"type": "PseudoSampler"},
        "smoothl1_beta": 1.0,
        "neg_pos_ratio": 3,
    }
    backbone = {**BACKBONE, "out_indices": (2, 3)}
    return one_stage("SingleStageDetector", head, train_cfg, backbone=backbone, neck=neck)


def yolox(**changes: Any) -> Cfg:
    neck = {"type": "YOLOXPAFPN", "in_channels": [16, 32, 64], "out_channels": 16, "num_csp_blocks": 1}
    head = {"type": "YOLOXHead", "stacked_convs": 1, **changes}
    train_cfg = {"assigner": {"type": "SimOTAAssigner", "center_radius": 2.5}}
    return one_stage("YOLOX", head, train_cfg, backbone=FROM_8, neck=neck)


def rtmdet(**changes: Any) -> Cfg:
    neck = {"type": "CSPNeXtPAFPN", "in_channels": [16, 32, 64], "out_channels": 16, "num_csp_blocks": 1}
    head = {"type": "RTMDetSepBNHead", "stacked_convs": 1, "norm_cfg": {"type": "BN"}, **changes}
    train_cfg = {"assigner": {"type": "DynamicSoftLabelAssigner", "topk": 13}}
    return one_stage("RTMDet", head, train_cfg, backbone=FROM_8, neck=neck)


RPN_HEAD: Cfg = {
    "type": "RPNHead",
    "in_channels": 16,
    "feat_channels": 16,
    "anchor_generator": {
        "type": "AnchorGenerator",
        "scales": [4],
        "ratios": [0.5, 1, 2],
        "strides": [4, 8, 16, 32, 64],
    },
    "bbox_coder": DELTAS,
    "loss_cls": SIGMOID,
    "loss_bbox": {"type": "L1Loss"},
}
RPN_TRAIN: Cfg = {
    "assigner": overlaps(0.7, 0.3, 0.3, ignore_iof_thr=0.5),
    "sampler": {
        "type": "RandomSampler",
        "num": 64,
        "pos_fraction": 0.5,
        "neg_pos_ub": -1,
        "add_gt_as_proposals": False,
    },
    "allowed_border": -1,
    "pos_weight": -1,
}
PROPOSE: Cfg = {"nms_pre": 100, "max_per_img": 50, "nms": {**NMS, "iou_threshold": 0.7}, "min_bbox_size": 0}
SAMPLE: Cfg = {
    "type": "RandomSampler",
    "num": 32,
    "pos_fraction": 0.25,
    "neg_pos_ub": -1,
    "add_gt_as_proposals": True,
}


def extractor(size: int) -> Cfg:
    layer = {"type": "RoIAlign", "output_size": size, "sampling_ratio": 0}
    return {
        "type": "SingleRoIExtractor",
        "roi_layer": layer,
        "out_channels": 16,
        "featmap_strides": [4, 8, 16, 32],
        "finest_scale": 16,
    }


BOX_HEAD: Cfg = {
    "type": "Shared2FCBBoxHead",
    "in_channels": 16,
    "fc_out_channels": 16,
    "roi_feat_size": 3,
    "num_classes": CLASSES,
    "bbox_coder": {**DELTAS, "target_stds": [0.1, 0.1, 0.2, 0.2]},
    "loss_cls": {"type": "CrossEntropyLoss", "use_sigmoid": False},
    "loss_bbox": {"type": "L1Loss"},
}
MASK_HEAD: Cfg = {
    "type": "FCNMaskHead",
    "num_convs": 1,
    "in_channels": 16,
    "conv_out_channels": 16,
    "num_classes": CLASSES,
    "loss_mask": {"type": "CrossEntropyLoss", "use_mask": True},
}
MASKS: Cfg = {"mask_roi_extractor": extractor(4), "mask_head": MASK_HEAD}
CASCADE: Cfg = {"num_stages": 2, "stage_loss_weights": [1, 0.5]}


def two_stage(kind: str, *, cascade: bool = False, masks: bool = False, **parts: Any) -> Cfg:
    overlap = [overlaps(one, one, one, match_low_quality=True, ignore_iof_thr=0.5) for one in (0.5, 0.6)]
    each = [{"assigner": one, "sampler": SAMPLE, "mask_size": 8, "pos_weight": -1} for one in overlap]
    agnostic = {**BOX_HEAD, "reg_class_agnostic": True}
    roi_head = {
        "type": "CascadeRoIHead" if cascade else "StandardRoIHead",
        "bbox_roi_extractor": extractor(3),
        "bbox_head": [agnostic, agnostic] if cascade else BOX_HEAD,
        **(CASCADE if cascade else {}),
        **(MASKS if masks else {}),
    }
    rcnn = {"score_thr": 0.0, "nms": NMS, "max_per_img": 20, "mask_thr_binary": 0.5}
    return {
        "type": kind,
        "backbone": BACKBONE,
        "neck": FPN,
        "rpn_head": RPN_HEAD,
        "roi_head": roi_head,
        "train_cfg": {"rpn": RPN_TRAIN, "rpn_proposal": PROPOSE, "rcnn": each if cascade else each[0]},
        "test_cfg": {"rpn": PROPOSE, "rcnn": rcnn},
        **parts,
    }


def c4() -> Cfg:
    """One map, and layers behind the extractor that box and mask head share, in the manner of ResNet-C4."""
    one = {**extractor(6), "out_channels": 32, "featmap_strides": [16]}
    anchors = {"type": "AnchorGenerator", "scales": [1, 2, 4], "ratios": [0.5, 1, 2], "strides": [16]}
    cfg = two_stage("MaskRCNN", backbone={**BACKBONE, "num_stages": 3, "strides": (1, 2, 2), "dilations": (1, 1, 1)})
    cfg["backbone"]["out_indices"] = (2,)
    cfg["rpn_head"] = {**RPN_HEAD, "in_channels": 32, "anchor_generator": anchors}
    cfg["roi_head"] = {
        **cfg["roi_head"],
        "bbox_roi_extractor": one,
        "shared_head": {"type": "ResLayer", "depth": 18, "stage": 0, "stride": 2},
        "bbox_head": {**BOX_HEAD, "type": "BBoxHead", "with_avg_pool": True, "in_channels": 64},
        "mask_head": {**MASK_HEAD, "num_convs": 0, "in_channels": 64},
        "mask_roi_extractor": None,
    }
    cfg["train_cfg"] = {**cfg["train_cfg"], "rcnn": {**cfg["train_cfg"]["rcnn"], "mask_size": 6}}
    del cfg["neck"]
    return cfg


def detr(kind: str, head: Cfg, *, levels: int = 1, costs: Sequence[str] = ("ClassificationCost",), **parts: Any) -> Cfg:
    deformable = kind == "DeformableDETR"
    attention = {"embed_dims": 32, "num_heads": 4, "dropout": 0.0}
    points = {"embed_dims": 32, "num_heads": 4, "num_points": 2}
    network = {"embed_dims": 32, "feedforward_channels": 32, "ffn_drop": 0.0}
    encoder = {"self_attn_cfg": points if deformable else attention, "ffn_cfg": network}
    decoder = {"self_attn_cfg": attention, "cross_attn_cfg": points if deformable else attention, "ffn_cfg": network}
    box_costs = [{"type": "BBoxL1Cost", "weight": 5.0}, {"type": "IoUCost", "iou_mode": "giou", "weight": 2.0}]
    match = [{"type": costs[0], "weight": 1.0}, *box_costs]
    return {
        "type": kind,
        "num_queries": 12,
        "backbone": FROM_8 if deformable else {**BACKBONE, "out_indices": (3,)},
        "neck": {
            "type": "ChannelMapper",
            "in_channels": [16, 32, 64] if deformable else [64],
            "kernel_size": 1,
            "out_channels": 32,
            "act_cfg": None,
            "norm_cfg": GN if deformable else None,
            "num_outs": levels,
        },
        "encoder": {"num_layers": 1, "layer_cfg": encoder},
        "decoder": {"num_layers": 2, "layer_cfg": decoder, "return_intermediate": True},
        "positional_encoding": {"num_feats": 16, "normalize": True},
        "bbox_head": {"num_classes": CLASSES, "embed_dims": 32, **head},
        "train_cfg": {"assigner": {"type": "HungarianAssigner", "match_costs": match}},
        "test_cfg": {"max_per_img": 10},
        **parts,
    }


def deformable_detr(**parts: Any) -> Cfg:
    return detr("DeformableDETR", {"type": "DeformableDETRHead"}, levels=4, costs=["FocalLossCost"], **parts) | {
        "num_feature_levels": 4
    }


# ---------------------------------------------------------------------- the table

RPN_FIRST = ("rpn_head",)
ATSS: Cfg = {
    "assigner": {"type": "ATSSAssigner", "topk": 9},
    "allowed_border": -1,
    "pos_weight": -1,
}
ATSS_HEAD: Cfg = {
    "stacked_convs": 1,
    "norm_cfg": GN,
    "anchor_generator": ONE_ANCHOR,
    "loss_bbox": GIOU,
}
QUALITY: Cfg = {"type": "QualityFocalLoss", "use_sigmoid": True, "beta": 2.0}

VARIANTS: dict[str, Variant] = {
    "rpn": Variant(
        {
            "type": "RPN",
            "backbone": BACKBONE,
            "neck": FPN,
            "rpn_head": RPN_HEAD,
            "train_cfg": {"rpn": RPN_TRAIN},
            "test_cfg": {"rpn": PROPOSE},
        },
        head=RPN_FIRST,
        classes=1,
    ),
    "faster-rcnn": Variant(two_stage("FasterRCNN"), head=RPN_FIRST),
    "fast-rcnn": Variant(
        two_stage("FastRCNN", rpn_head=None), head=("roi_head", "bbox_head"), proposals=True, traces=False
    ),
    "mask-rcnn": Variant(two_stage("MaskRCNN", masks=True), head=RPN_FIRST, masks=True),
    "mask-rcnn-c4": Variant(c4(), head=RPN_FIRST, masks=True),
    "cascade-rcnn": Variant(two_stage("CascadeRCNN", cascade=True), head=RPN_FIRST),
    "cascade-mask-rcnn": Variant(two_stage("CascadeRCNN", cascade=True, masks=True), head=RPN_FIRST, masks=True),
    "retinanet": Variant(retina()),
    "retinanet-softmax": Variant(retina(loss_cls={"type": "CrossEntropyLoss"})),
    "retinanet-decoded": Variant(retina(reg_decoded_bbox=True, loss_bbox=GIOU)),
    "fcos": Variant(fcos()),
    "fcos-centred": Variant(fcos(center_sampling=True, norm_on_bbox=True, centerness_on_reg=True)),
    "atss": Variant(
        one_stage(
            "ATSS",
            {
                **ATSS_HEAD,
                "type": "ATSSHead",
                "loss_cls": FOCAL,
                "bbox_coder": {**DELTAS, "target_stds": [0.1, 0.1, 0.2, 0.2]},
            },
            ATSS,
        )
    ),
    "gfl": Variant(one_stage("GFL", {**ATSS_HEAD, "type": "GFLHead", "loss_cls": QUALITY, "reg_max": 8}, ATSS)),
    "ssd": Variant(ssd()),
    "ssdlite": Variant(ssd(use_depthwise=True)),
    "yolox": Variant(yolox(), clips=False),
    "yolox-depthwise": Variant(yolox(use_depthwise=True), clips=False),
    "rtmdet": Variant(rtmdet()),
    "rtmdet-tiny": Variant(rtmdet(exp_on_reg=True, share_conv=False, with_objectness=True)),
    "detr": Variant(detr("DETR", {"type": "DETRHead"}), head=("neck",)),
    "deformable-detr": Variant(deformable_detr(), head=("neck",)),
    "deformable-detr-refine": Variant(deformable_detr(with_box_refine=True), head=("neck",)),
    "deformable-detr-two-stage": Variant(deformable_detr(with_box_refine=True, as_two_stage=True), head=("neck",)),
}  # fmt: skip
