"""A small model of each head and of each backbone that only segmentation has, and what of it is special.

A new head or backbone gets its row here, and with it all contracts (segmentors/test_contracts.py).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from visuite.engine.registry import MODELS

WIDTHS = (8, 16, 24, 32)
Cfg = dict[str, Any]


class Pyramid(nn.Module):
    """A backbone of one convolution for each map, of the map before; each perhaps with a token.

    Args:
        in_channels: Of images.
        strides: Of the maps.
        widths: Their channels.
        tokens: Hand out pairs of a map and its mean.
    """

    def __init__(
        self,
        in_channels: int = 3,
        strides: tuple[int, ...] = (4, 8, 16, 32),
        widths: tuple[int, ...] = WIDTHS,
        tokens: bool = False,
    ) -> None:
        super().__init__()
        self.out_strides, self.out_channels, self.tokens = strides, widths, tokens
        before = zip((in_channels, *widths[:-1]), (1, *strides[:-1]), strict=True)
        self.convs = nn.ModuleList(
            nn.Conv2d(known, wide, 2 * (stride // reached) - 1, stride // reached, stride // reached - 1)
            for (known, reached), wide, stride in zip(before, widths, strides, strict=True)
        )

    def forward(self, x: torch.Tensor) -> tuple[Any, ...]:
        maps = []
        for conv in self.convs:
            x = conv(x).relu()
            maps.append(x)
        return tuple((one, one.mean((2, 3))) for one in maps) if self.tokens else tuple(maps)


@dataclass(frozen=True)
class Variant:
    """A small segmentor.

    Args:
        head: Config of the head, or of several in a cascade; `num_classes` is filled in.
        backbone: Config of the backbone.
        neck: Config of the neck.
        auxiliary: Config of an auxiliary head, or of several.
        model: More of the segmentor's arguments.
        tolerance: By how much scores may differ in bfloat16.
        indifferent: Beginnings of names of parameters that do not matter, so that their gradients are rounding alone.
        traces: Whether torch's older exporter does with open sizes; else its exporter of programs is asked.
        any_size: Whether an exported model takes images of other sizes than it was exported with.
    """

    head: Any
    backbone: Mapping[str, Any] = field(default_factory=lambda: {"type": Pyramid})
    neck: Mapping[str, Any] | None = None
    auxiliary: Any = None
    model: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float = 0.1
    indifferent: tuple[str, ...] = ()
    traces: bool = True
    any_size: bool = True

    def config(self, num_classes: int = 3, in_channels: int = 3, **changes: Any) -> Cfg:
        """Return the model's config.

        Args:
            num_classes: Of all heads.
            in_channels: Of images.
            **changes: Arguments of the heads that make the prediction.
        """
        heads = copy.deepcopy(self.head)
        for one in heads if isinstance(heads, list) else [heads]:
            one.update(changes)
        cfg: Cfg = {
            "type": "CascadeEncoderDecoder" if isinstance(heads, list) else "EncoderDecoder",
            "_scope_": "seg",
            "backbone": dict(self.backbone),
            "decode_head": heads,
            "data_preprocessor": {"mean": [127.0] * in_channels, "std": [60.0] * in_channels},
            **self.model,
        }
        if isinstance(heads, list):
            cfg["num_stages"] = len(heads)
        for name, part in (("neck", self.neck), ("auxiliary_head", self.auxiliary)):
            if part is not None:
                cfg[name] = part
        cfg = copy.deepcopy(cfg)
        _fill(cfg["decode_head"], num_classes)
        _fill(cfg.get("auxiliary_head"), num_classes)
        if in_channels != 3:
            inner = cfg["backbone"].get("backbone_cfg", {})
            inner["in_channels"] = in_channels
            if inner.get("type") != "STDCNet":
                cfg["backbone"]["in_channels"] = in_channels
            cfg.pop("auxiliary_head", None)  # those on maps that hold the image itself are made for three channels
        return cfg

    def binary(self) -> Any:
        """Build it with a single channel of scores, told by a sigmoid."""
        cfg = self.config(num_classes=1)
        for name in ("decode_head", "auxiliary_head"):
            _by_sigmoid(cfg.get(name))
        return MODELS.build(cfg)

    def make(self, **changes: Any) -> Any:
        """Build it; see `config`."""
        return MODELS.build(self.config(**changes))


def _by_sigmoid(node: Any) -> None:
    """Give all losses below a node that a softmax would be of the sigmoid."""
    if isinstance(node, dict):
        if node.get("type") == "CrossEntropyLoss":
            node["use_sigmoid"] = True
        if "channels" in node:
            node.setdefault("loss_decode", {"type": "CrossEntropyLoss", "use_sigmoid": True})
        for one in node.values():
            _by_sigmoid(one)
    elif isinstance(node, (list, tuple)):
        for one in node:
            _by_sigmoid(one)


def _fill(node: Any, num_classes: int) -> None:
    """Give all heads below a node the number of classes."""
    if isinstance(node, dict):
        if "channels" in node or "kernel_updator_cfg" in node:
            node["num_classes"] = num_classes
        for one in node.values():
            _fill(one, num_classes)
    elif isinstance(node, (list, tuple)):
        for one in node:
            _fill(one, num_classes)


def _head(kind: str, **arguments: Any) -> Cfg:
    """Return the config of a head of 16 channels on the coarsest map, unless it says otherwise."""
    shared: Cfg = {"in_channels": 32, "in_index": 3, "channels": 16, "norm_cfg": {"type": "BN"}}
    return {"type": kind, **shared, **arguments}


ALL: Cfg = {"in_channels": list(WIDTHS), "in_index": [0, 1, 2, 3]}
SIDE_BY_SIDE: Cfg = {**ALL, "input_transform": "resize_concat"}
SELECTED: Cfg = {**ALL, "input_transform": "multiple_select"}
LAST_TWO: Cfg = {"in_channels": [24, 32], "in_index": [2, 3]}
TWO: Cfg = {"type": Pyramid, "strides": (4, 8), "widths": (8, 16)}
#: Maps of one size, as transformers give them.
ALIKE: Cfg = {"type": Pyramid, "strides": (16,) * 4, "widths": (32,) * 4}
FOUR: Cfg = {"in_channels": [32] * 4, "in_index": [0, 1, 2, 3]}
THIN_RESNET: Cfg = {"type": "ResNetV1c", "depth": 18, "base_channels": 8, "stem_channels": 8}
DILATED: Cfg = {"strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4)}
FCN: Cfg = _head("FCNHead", concat_input=False, num_convs=1)
FINE: Cfg = {**FCN, "in_channels": 8, "in_index": 0}
CE: Cfg = {"type": "CrossEntropyLoss"}
PID: Cfg = {"type": "PIDHead", "in_channels": 32, "channels": 8, "loss_decode": [CE, CE, {"type": "BoundaryLoss"}, CE]}
BY_STEP: Cfg = {
    "type": "KernelUpdateHead",
    "in_channels": 16,
    "out_channels": 16,
    "num_heads": 2,
    "num_mask_fcs": 1,
    "feedforward_channels": 16,
    "feat_transform_cfg": {"act_cfg": None},
    "kernel_updator_cfg": {"type": "KernelUpdator", "in_channels": 8, "feat_channels": 8},
}

HEADS: dict[str, Variant] = {
    "ann": Variant(_head("ANNHead", **LAST_TWO, project_channels=8, key_pool_scales=(1, 2)), any_size=False),
    "apc": Variant(_head("APCHead", pool_scales=(1, 2))),
    "aspp": Variant(_head("ASPPHead", dilations=(1, 2, 3))),
    "cc": Variant(_head("CCHead")),
    "da": Variant(_head("DAHead", pam_channels=4)),
    "dm": Variant(_head("DMHead", filter_sizes=(1, 2, 3), fusion=True), any_size=False),
    "dnl": Variant(_head("DNLHead")),
    "dpt": Variant(
        _head("DPTHead", **FOUR, embed_dims=32, post_process_channels=[4, 8, 16, 16], readout_type="project"),
        {**ALIKE, "tokens": True},
    ),
    "ds_aspp": Variant(_head("DepthwiseSeparableASPPHead", dilations=(1, 2), c1_in_channels=8, c1_channels=4)),
    "ds_fcn": Variant(_head("DepthwiseSeparableFCNHead")),
    "ema": Variant(_head("EMAHead", ema_channels=16, num_bases=4, num_stages=3)),
    "enc": Variant(_head("EncHead", **LAST_TWO, num_codes=4, add_lateral=True)),
    "fcn": Variant(_head("FCNHead"), auxiliary={**FCN, "in_channels": 24, "in_index": 2}),
    "fcn_of_all": Variant(_head("FCNHead", **SIDE_BY_SIDE, kernel_size=1, num_convs=1), auxiliary=[FCN, FINE]),
    "fcn_hard": Variant(_head("FCNHead", sampler={"type": "OHEMPixelSampler", "thresh": 0.7, "min_kept": 50})),
    "fpn": Variant(_head("FPNHead", **ALL, feature_strides=[4, 8, 16, 32])),
    "gc": Variant(
        _head("GCHead", fusion_types=("channel_add", "channel_mul")),
        indifferent=("decode_head.gc_block.conv_mask.bias",),
    ),
    "ham": Variant(_head("LightHamHead", **ALL, ham_channels=16, ham_kwargs={"MD_R": 4}), traces=False),
    "isa": Variant(_head("ISAHead", isa_channels=8, down_factor=(2, 2)), any_size=False),
    "knet": Variant(
        {
            "type": "IterativeDecodeHead",
            "num_stages": 2,
            "kernel_generate_head": _head("FCNHead"),
            "kernel_update_head": [BY_STEP, BY_STEP],
        },
        traces=False,
    ),
    "lraspp": Variant(
        _head("LRASPPHead", **{**SELECTED, "in_channels": [8, 16, 32], "in_index": [0, 1, 3]}), any_size=False
    ),
    "nl": Variant(_head("NLHead")),
    "ocr": Variant([_head("FCNHead", **SIDE_BY_SIDE), _head("OCRHead", **SIDE_BY_SIDE, ocr_channels=8)]),
    "point": Variant(
        [
            _head("FPNHead", **ALL, feature_strides=[4, 8, 16, 32]),
            _head("PointHead", norm_cfg=None, in_channels=[8], in_index=[0]),
        ],
        model={
            "train_cfg": {"num_points": 32, "oversample_ratio": 3, "importance_sample_ratio": 0.75},
            "test_cfg": {"mode": "whole", "subdivision_steps": 2, "subdivision_num_points": 64, "scale_factor": 2},
        },
        any_size=False,
    ),
    "psa": Variant(_head("PSAHead", in_channels=16, in_index=1, mask_size=(3, 4)), TWO),
    "psp": Variant(_head("PSPHead")),
    "segformer": Variant(_head("SegformerHead", **ALL)),
    "segmenter": Variant(
        _head("SegmenterMaskTransformerHead", norm_cfg={"type": "LN"}, num_layers=1, num_heads=2, embed_dims=16),
        traces=False,
    ),
    "setr_mla": Variant(
        _head("SETRMLAHead", in_channels=[8] * 4, in_index=[0, 1, 2, 3], channels=16, mla_channels=4),
        ALIKE,
        neck={"type": "MLANeck", "in_channels": [32] * 4, "out_channels": 8, "norm_cfg": {"type": "BN"}},
    ),
    "setr_up": Variant(_head("SETRUPHead", num_convs=2, up_scale=2)),
    "uper": Variant(_head("UPerHead", **ALL)),
}

SMALL_TRANSFORMER: Cfg = {"img_size": 64, "patch_size": 16, "embed_dims": 16, "num_layers": 2, "num_heads": 2}
FROM_TRANSFORMER: Cfg = {**FCN, "in_channels": 16, "in_index": 1}

BACKBONES: dict[str, Variant] = {
    "beit": Variant(FROM_TRANSFORMER, {"type": "BEiT", **SMALL_TRANSFORMER, "out_indices": (0, 1)}, any_size=False),
    "bisenet_v1": Variant(
        {**FCN, "in_channels": 12, "in_index": 0},
        {
            "type": "BiSeNetV1",
            "backbone_cfg": {**THIN_RESNET, "type": "ResNet"},
            "spatial_channels": (4, 4, 4, 8),
            "context_channels": (8, 32, 64),
            "out_channels": 12,
        },
        auxiliary=[{**FCN, "in_channels": 8, "in_index": 1}, {**FCN, "in_channels": 8, "in_index": 2}],
    ),
    "bisenet_v2": Variant(
        {**FCN, "in_channels": 16, "in_index": 0},
        {
            "type": "BiSeNetV2",
            "detail_channels": (4, 8, 16),
            "semantic_channels": (4, 8, 8, 16),
            "semantic_expansion_ratio": 2,
            "bga_channels": 16,
        },
        auxiliary=[{**FCN, "in_channels": wide, "in_index": i} for i, wide in ((1, 4), (2, 8), (3, 8), (4, 16))],
        indifferent=("backbone.semantic.stage4_CEBlock.gap.1.bias",),
    ),
    "cgnet": Variant(
        {**FCN, "in_channels": 32, "in_index": 2},
        {"type": "CGNet", "num_channels": (4, 8, 16), "num_blocks": (2, 2), "reductions": (2, 4)},
        auxiliary=[{**FCN, "in_channels": 7, "in_index": 0}, {**FCN, "in_channels": 19, "in_index": 1}],
    ),
    "ddrnet": Variant(
        {"type": "DDRHead", "in_channels": 32, "channels": 8, "loss_decode": [CE, CE]},
        {"type": "DDRNet", "channels": 8, "ppm_channels": 8},
    ),
    "erfnet": Variant(
        {**FCN, "in_channels": 4, "in_index": 0},
        {
            "type": "ERFNet",
            "enc_downsample_channels": (6, 8, 16),
            "enc_stage_non_bottlenecks": (1, 2),
            "enc_non_bottleneck_dilations": (2, 4),
            "enc_non_bottleneck_channels": (8, 16),
            "dec_upsample_channels": (8, 4),
            "dec_stages_non_bottleneck": (1, 1),
            "dec_non_bottleneck_channels": (8, 4),
        },
    ),
    "fast_scnn": Variant(
        {**FCN, "in_channels": 16, "in_index": 2},
        {
            "type": "FastSCNN",
            "downsample_dw_channels": (4, 6),
            "global_in_channels": 8,
            "global_block_channels": (8, 12, 16),
            "global_out_channels": 16,
            "higher_in_channels": 8,
            "lower_in_channels": 16,
            "fusion_out_channels": 16,
        },
        auxiliary=[{**FCN, "in_channels": 8, "in_index": 0}, {**FCN, "in_channels": 16, "in_index": 1}],
    ),
    "fastfcn": Variant(
        _head("PSPHead", in_channels=16, in_index=2),
        neck={"type": "JPU", "in_channels": WIDTHS, "start_level": 1, "mid_channels": 8, "dilations": (1, 2)},
        auxiliary={**FCN, "in_channels": 24, "in_index": 1},
    ),
    "icnet": Variant(
        {**FCN, "in_channels": 8, "in_index": 2},
        {
            "type": "ICNet",
            "backbone_cfg": {**THIN_RESNET, **DILATED},
            "layer_channels": (16, 64),
            "light_branch_middle_channels": 4,
            "psp_out_channels": 16,
            "out_channels": (8, 16, 16),
        },
        neck={"type": "ICNeck", "in_channels": (8, 16, 16), "out_channels": 8},
        auxiliary=[{**FCN, "in_channels": 8, "in_index": 0}, {**FCN, "in_channels": 8, "in_index": 1}],
    ),
    "mae": Variant(
        FROM_TRANSFORMER,
        {"type": "MAE", **SMALL_TRANSFORMER, "out_indices": (0, 1), "final_norm": True},
        any_size=False,
    ),
    "mscan": Variant(
        _head("FCNHead", **SIDE_BY_SIDE),
        {"type": "MSCAN", "embed_dims": WIDTHS, "mlp_ratios": (2,) * 4, "depths": (1, 1, 2, 1)},
    ),
    "pidnet_small": Variant(
        PID,
        {"type": "PIDNet", "channels": 8, "ppm_channels": 8},
    ),
    "pidnet_large": Variant(
        PID,
        {"type": "PIDNet", "channels": 8, "ppm_channels": 8, "num_stem_blocks": 3, "num_branch_blocks": 4},
        any_size=False,
    ),
    "stdc": Variant(
        {**FCN, "in_channels": 16, "in_index": 3},
        {
            "type": "STDCContextPathNet",
            "backbone_cfg": {
                "type": "STDCNet",
                "stdc_type": "STDCNet1",
                "in_channels": 3,
                "channels": (8, 8, 16, 32, 64),
                "bottleneck_type": "cat",
                "norm_cfg": {"type": "BN"},
                "act_cfg": {"type": "ReLU"},
            },
            "last_in_channels": (64, 32),
            "out_channels": 8,
            "ffm_cfg": {"in_channels": 24, "out_channels": 16, "scale_factor": 4},
        },
        auxiliary=[
            {**FCN, "in_channels": 8, "in_index": 2},
            {**FCN, "in_channels": 8, "in_index": 1},
            {**FCN, "type": "STDCHead", "in_channels": 16, "in_index": 0},
        ],
    ),
    "unet": Variant(
        {**FCN, "in_channels": 4, "in_index": 4},
        {"type": "UNet", "base_channels": 4},
        auxiliary={**FCN, "in_channels": 8, "in_index": 3},
    ),
}

VARIANTS = {**HEADS, **BACKBONES}
