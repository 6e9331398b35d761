"""A small YOLO of each family; a new one gets its row here, and with it all contracts (test_contracts.py)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.det.variants import CLASSES, Cfg, Variant

FIND = {"score_thr": 0.0, "nms_pre": 1000, "nms": {"type": "nms", "iou_threshold": 0.63}, "max_per_img": 50}
GIOU = {"type": "IoULoss", "iou_mode": "giou", "bbox_format": "xyxy", "loss_weight": 2.5, "return_iou": False}
ALIGNED = {"type": "BatchTaskAlignedAssigner", "num_classes": CLASSES, "topk": 10}
ATSS = {"type": "BatchATSSAssigner", "num_classes": CLASSES, "topk": 9}
STAGED = {"initial_epoch": 4, "initial_assigner": ATSS, "assigner": ALIGNED}
SMALL = {"deepen_factor": 0.33, "widen_factor": 0.125}
WIDTHS = [256, 512, 1024]


def yolo(
    backbone: str | Cfg,
    neck: Cfg,
    head: str,
    *,
    train_cfg: Cfg | None = None,
    of_head: Cfg | None = None,
    of_module: Cfg | None = None,
    size: Cfg = SMALL,
    shake: float = 0.02,
) -> Variant:
    """A YOLO of a backbone, a neck and the head of a family, `<head>Head` over `<head>HeadModule`."""
    module: dict[str, Any] = {"type": f"{head}HeadModule", "num_classes": CLASSES, "in_channels": WIDTHS}
    if "widen_factor" in size:
        module["widen_factor"] = size["widen_factor"]
    model = {
        "type": "YOLODetector",
        "backbone": {**size, **({"type": backbone} if isinstance(backbone, str) else backbone)},
        "neck": {"in_channels": WIDTHS, "out_channels": WIDTHS, **size, **neck},
        "bbox_head": {"type": f"{head}Head", "head_module": {**module, **(of_module or {})}, **(of_head or {})},
        "train_cfg": train_cfg,
        "test_cfg": FIND,
    }
    return Variant(
        model,
        head=("bbox_head", "head_module"),
        scope="yolo",
        preprocessor="YOLOv5DetDataPreprocessor",
        channels="input_channels",
        shake=shake,
    )


def rtmdet(head: str, of_module: Cfg) -> Variant:
    """An RTMDet; its head looks at levels of the same channels, and begins with boxes of two strides."""
    wide = {"type": "Normal", "name": "rtm_reg", "std": 0.01, "bias": 1.0}
    return yolo(
        "CSPNeXt",
        {"type": "CSPNeXtPAFPN", "out_channels": 256, "num_csp_blocks": 3},
        head,
        train_cfg={"assigner": {"type": "BatchDynamicSoftLabelAssigner", "num_classes": CLASSES, "topk": 13}},
        of_module={
            "in_channels": 256,
            "feat_channels": 256,
            "init_cfg": {"type": "Normal", "layer": "Conv2d", "std": 0.01, "override": wide},
            **of_module,
        },
    )


VARIANTS: dict[str, Variant] = {
    "yolov5": yolo("YOLOv5CSPDarknet", {"type": "YOLOv5PAFPN"}, "YOLOv5"),
    "yolov6": yolo(
        "YOLOv6EfficientRep",
        {"type": "YOLOv6RepPAFPN", "out_channels": [128, 256, 512]},
        "YOLOv6",
        train_cfg=STAGED,
        of_head={"loss_bbox": GIOU},
        of_module={"in_channels": [128, 256, 512]},
    ),
    "yolov7": yolo(
        {"type": "YOLOv7Backbone", "arch": "Tiny", "widen_factor": 0.25},
        {
            "type": "YOLOv7PAFPN",
            "in_channels": [128, 256, 512],
            "out_channels": [64, 128, 256],
            "is_tiny_version": True,
            "widen_factor": 0.25,
            "block_cfg": {"type": "TinyDownSampleBlock", "middle_ratio": 0.25},
        },
        "YOLOv7",
        of_module={"in_channels": [128, 256, 512], "widen_factor": 0.25},
        size={},
    ),
    "yolov8": yolo("YOLOv8CSPDarknet", {"type": "YOLOv8PAFPN"}, "YOLOv8", train_cfg={"assigner": ALIGNED}),
    "yolox": yolo(
        "YOLOXCSPDarknet",
        {"type": "YOLOXPAFPN", "out_channels": 256},
        "YOLOX",
        train_cfg={"assigner": {"type": "det.SimOTAAssigner", "center_radius": 2.5}},
        of_module={"in_channels": 256, "feat_channels": 256},
    ),
    "ppyoloe": yolo(
        {
            "type": "PPYOLOECSPResNet",
            "block_cfg": {"type": "PPYOLOEBasicBlock", "shortcut": True, "use_alpha": True},
            "attention_cfg": {"type": "EffectiveSELayer", "act_cfg": {"type": "HSigmoid"}},
            "use_large_stem": True,
        },
        {
            "type": "PPYOLOECSPPAFPN",
            "out_channels": [192, 384, 768],
            "num_csplayer": 1,
            "num_blocks_per_layer": 3,
            "block_cfg": {"type": "PPYOLOEBasicBlock", "shortcut": False, "use_alpha": False},
            "use_spp": True,
        },
        "PPYOLOE",
        train_cfg=STAGED,
        of_module={"in_channels": [192, 384, 768]},
        shake=0.08,
    ),
    "rtmdet": rtmdet("RTMDet", {"type": "RTMDetSepBNHeadModule"}),
    "rtmdet_ins": replace(rtmdet("RTMDetInsSepBN", {}), masks=True),
}
