"""A small network of each backbone; a new one gets its row here, and with it all contracts (test_contracts.py)."""

from __future__ import annotations

from typing import Any

from tests.cv.backbones.variants import Gate, Variant

THIN: dict[str, Any] = {"deepen_factor": 0.1, "widen_factor": 0.125, "out_indices": (0, 1, 2, 3, 4)}
P6: dict[str, Any] = {**THIN, "arch": "P6", "out_indices": (0, 5)}
GATES = [{"cfg": {"type": Gate}, "stages": (False, True, False, True)}]
ALL6 = (0, 1, 2, 3, 4, 5)
#: A bias before a norm learns nothing.
PLAIN = {"type": "ConvWrapper", "bias": False}
#: Images whose sides the first stride divides: there, a rest would be dropped.
EVEN = ((34, 66), (98, 46))


def _row(type: str, arguments: dict[str, Any], frozen: int = 1, **more: Any) -> Variant:
    names = ("stem.", *(f"stage{index}." for index in range(1, frozen + 1)))
    return Variant(f"yolo.{type}", arguments, (frozen, names), checkpoints_by="", **more)


VARIANTS = {
    "yolov5": _row("YOLOv5CSPDarknet", {**THIN, "plugins": GATES}, 3, sizes=EVEN),
    "yolov5-p6": _row("YOLOv5CSPDarknet", P6, sizes=EVEN),
    "yolov6": _row("YOLOv6EfficientRep", {**THIN, "plugins": GATES}, 2),
    "yolov6-v3": _row("YOLOv6EfficientRep", {**THIN, "use_cspsppf": True}, 0),
    "yolov6-large": _row("YOLOv6CSPBep", {**THIN, "deepen_factor": 0.33, "block_cfg": PLAIN}),
    "yolov7-tiny": _row("YOLOv7Backbone", {**THIN, "arch": "Tiny"}, 2),
    "yolov7": _row("YOLOv7Backbone", THIN),
    "yolov7-w6": _row("YOLOv7Backbone", {**THIN, "arch": "W", "out_indices": ALL6}, 3),
    "yolov7-e6e": _row("YOLOv7Backbone", {**THIN, "arch": "E2E", "out_indices": (0, 5)}, 0),
    "yolov8": _row("YOLOv8CSPDarknet", {**THIN, "last_stage_out_channels": 512}, 2),
    "yolox": _row("YOLOXCSPDarknet", THIN, 0),
    "yolox-p6": _row("YOLOXCSPDarknet", {**P6, "use_depthwise": True, "spp_kernal_sizes": (3, 7)}),
    "ppyoloe": _row("PPYOLOECSPResNet", {**THIN, "deepen_factor": 0.33, "use_large_stem": True}, 2),
    "ppyoloe-plain": _row("PPYOLOECSPResNet", {**THIN, "attention_cfg": None, "plugins": GATES}),
    "cspnext": _row("CSPNeXt", {**THIN, "plugins": GATES}),
    "cspnext-p6": _row("CSPNeXt", {**P6, "channel_attention": False, "use_depthwise": True, "expand_ratio": 0.25}),
}
