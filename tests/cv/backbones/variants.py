"""A small network of each backbone, and what of it is special where the contracts are concerned.

A new backbone gets its row here, and with it all contracts: those of backbones (test_contracts.py) and, in front of a
head, those of classifiers (tests/cls/classifiers/test_contracts.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from torch import nn

from visuite.cv.backbones import CSPNet, Darknet
from visuite.cv.backbones.cspnet import CSPArch
from visuite.engine.registry import MODELS

Size = tuple[int, int]


@dataclass(frozen=True)
class Variant:
    """A small network.

    Args:
        type: The name it is registered by, or its class.
        arguments: Those of its constructor.
        frozen: A value of `frozen_stages`, and the beginnings of the names of what it holds; None where it has none.
        norm_eval: Whether it has batch norms, and the argument that holds their statistics.
        checkpoints_by: The argument by which it computes activations again; '' where it has none.
        sizes: Sizes of images that no stride divides; whole ones where a rest is dropped, none where it has one size.
        any_channels: Whether it has an argument `in_channels`.
        maps: Whether it hands out maps.
        indifferent: Beginnings of names of parameters that do not matter, so that their gradients are rounding alone.
        gradients: More arguments, with which all parameters are of use.
        traces: Whether torch's older exporter knows its operators.
        traces_sizes: Whether a traced model takes images of other sizes; a program does always.
        needs: A package that it needs.
    """

    type: Any
    arguments: dict[str, Any] = field(default_factory=dict)
    frozen: tuple[int, tuple[str, ...]] | None = None
    norm_eval: bool = True
    checkpoints_by: str = "with_cp"
    sizes: tuple[Size, ...] = ((97, 65),)
    any_channels: bool = True
    maps: bool = True
    indifferent: tuple[str, ...] = ()
    gradients: dict[str, Any] = field(default_factory=dict)
    traces: bool = True
    traces_sizes: bool = True
    needs: str = ""

    @property
    def size(self) -> Size:
        """Rows and columns of an image that it takes."""
        return (64, 96) if self.sizes else (64, 64)

    def make(self, **more: Any) -> Any:
        """Build it, with more arguments."""
        if self.needs:
            pytest.importorskip(self.needs)
        return MODELS.build({"type": self.type, **self.arguments, **more})


class ThinCSPNet(CSPNet):
    """Classification's CSPNet with few layers."""

    arch_settings = {
        "darknet": {53: CSPArch((8, 16), (1, 2), (2, 1), (0.5, 1))},
        "resnet": {50: CSPArch((8, 16), (1, 2), (2, 2), (0.5, 0.5))},
    }


class ThinDarknet(Darknet):
    """Darknet with one block a stage."""

    arch_settings = {53: (1, 1, 1, 1, 1)}


class Gate(nn.Module):
    """A plugin that weighs channels."""

    _abbr_ = "gate"

    def __init__(self, in_channels: int, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 1, bias=bias)

    def forward(self, x: Any) -> Any:
        return x * self.conv(x).sigmoid()


def _hrnet() -> dict[str, Any]:
    def stage(branches: int, block: str = "BASIC") -> dict[str, Any]:
        widths = tuple(4 * 2**branch for branch in range(branches))
        ones = (1,) * branches
        return {"num_modules": 1, "num_branches": branches, "block": block, "num_blocks": ones, "num_channels": widths}

    return {"stage1": stage(1, "BOTTLENECK"), **{f"stage{n}": stage(n) for n in (2, 3, 4)}}


HRNET_STAGES = _hrnet()
ODD = ((33, 65), (97, 47))
WHOLE = ((96, 64),)
ALL4, ALL5 = (0, 1, 2, 3), (0, 1, 2, 3, 4)
BN = {"type": "BN"}
STEM, DEEP = ("conv1", "bn1", "layer1", "layer2"), ("stem", "layer1", "layer2")
RESNET: dict[str, Any] = {"depth": 50, "base_channels": 8, "zero_init_residual": False}
RESNET18 = {**RESNET, "depth": 18}
DILATED = {"strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4), "multi_grid": (1, 2, 4), "contract_dilation": True}
DCN = {"dcn": {"type": "DCNv2", "deform_groups": 1}, "stage_with_dcn": (False, True, True, True)}
REGNET = {"w0": 8, "wa": 8.0, "wm": 2.0, "depth": 5, "group_w": 4, "bot_mul": 1.0}
CSP = {"deepen_factor": 0.1, "widen_factor": 0.125, "out_indices": ALL5}
EFFICIENT = {"out_indices": (1, 2, 3, 4, 5, 6)}
DENSENET = {"growth_rate": 4, "depths": (1, 2, 2, 1), "init_channels": 8}
REPVGG = {
    "num_blocks": (1, 2, 2, 1),
    "width_factor": (1, 1, 1, 1),
    "groups": 2,
    "se_cfg": {"ratio": 2, "divisor": 1},
}
CONVNEXT = {
    "arch": {"depths": (1, 2, 1, 1), "channels": (8, 8, 16, 16)},
    "out_indices": ALL4,
    "gap_before_final_norm": False,
    "layer_scale_init_value": 0.5,
}
VIT: dict[str, Any] = {
    "arch": {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32},
    "img_size": 64,
    "out_type": "featmap",
}
VIT_OTHER = {"with_cls_token": False, "pre_norm": True, "layer_scale_init_value": 0.5, "img_size": (32, 64)}
SWIN: dict[str, Any] = {
    "arch": {"embed_dims": 8, "depths": (2, 2, 2), "num_heads": (1, 2, 4)},
    "window_size": 4,
    "out_indices": (0, 1, 2),
    "drop_path_rate": 0.0,
}
SWIN_CLS = {"pad_small_map": False, "use_abs_pos_embed": True, "img_size": 64, "out_after_downsample": True}
TWINS: dict[str, Any] = {"embed_dims": (8, 16), "depths": (2, 2), "num_heads": (1, 2), "mlp_ratios": (2, 2)}
TWINS |= {"patch_sizes": (4, 2), "strides": (4, 2), "sr_ratios": (4, 2), "out_indices": (0, 1), "qkv_bias": True}
PVT: dict[str, Any] = {
    "embed_dims": 8,
    "num_layers": (1, 1, 1, 1),
    "num_heads": (1, 1, 2, 2),
    "pretrain_img_size": 64,
    "drop_path_rate": 0.0,
}
POOLFORMER: dict[str, Any] = {
    "arch": {"layers": (1, 1, 1), "embed_dims": (8, 8, 16), "mlp_ratios": (2, 2, 2), "layer_scale_init_value": 1.0},
    "frozen_stages": -1,
    "out_indices": (0, 2, 3, 4),
}
MIXER = {"embed_dims": 16, "num_layers": 2, "tokens_mlp_dims": 8, "channels_mlp_dims": 32}
XCIT = {"embed_dims": 16, "depth": 2, "num_heads": 2, "out_type": "featmap", "tokens_norm": True}
#: What a transformer lacks: batch norms, and sizes that tracing leaves open.
TOKENS: dict[str, Any] = {"norm_eval": False, "sizes": ODD, "traces_sizes": False}

VARIANTS: dict[str, Variant] = {
    "resnet-18": Variant("ResNet", RESNET18, (2, STEM), sizes=ODD),
    "resnet-50": Variant("ResNet", RESNET, (2, STEM)),
    "resnet-caffe": Variant("ResNet", {**RESNET, "style": "caffe"}, (2, STEM)),
    "resnet-d": Variant("ResNetV1d", RESNET, (2, DEEP)),
    "resnet-d-cls": Variant("ResNetV1d", {**RESNET, "key_style": "cls"}, (0, ("stem",))),
    "resnet-dilated": Variant("ResNetV1c", {**RESNET, **DILATED}, (2, DEEP), sizes=ODD),
    "resnet-dcn": Variant("ResNet", {**RESNET, **DCN}, (2, STEM), traces=False),
    "resnet-gn": Variant(
        "ResNet",
        {**RESNET18, "norm_cfg": {"type": "GN", "num_groups": 4}},
        (2, ("conv1", "gn1", "layer1", "layer2")),
        norm_eval=False,
    ),
    "resnet-three-stages": Variant("ResNet", {**RESNET18, "num_stages": 3, "out_indices": (0, 2)}, (2, STEM)),
    "resnet-plugins": Variant("ResNet", {**RESNET, "plugins": [{"cfg": {"type": Gate}, "position": "after_conv3"}]}),
    "resnet-cifar": Variant("ResNet_CIFAR", RESNET18, (2, STEM)),
    "resnext": Variant("ResNet", {**RESNET, "groups": 4, "width_per_group": 4}, (1, STEM[:3])),
    "seresnet": Variant("ResNet", {**RESNET, "se_ratio": 4}, (1, STEM[:3])),
    "seresnet-basic": Variant("ResNet", {**RESNET18, "se_ratio": 4}, (0, STEM[:2])),
    "wide-resnet": Variant("ResNet", {**RESNET, "base_channels": 16, "expansion": 2}, (0, STEM[:2])),
    "resnest": Variant("ResNeSt", RESNET, (1, DEEP[:2])),
    "resnest-groups": Variant(
        "ResNeSt", {**RESNET, "groups": 2, "base_width": 4, "radix": 1, "avg_down_stride": False}, (0, DEEP[:1])
    ),
    "res2net": Variant("Res2Net", {**RESNET, "base_channels": 16}, (1, DEEP[:2])),
    "regnet": Variant("RegNet", {"arch": REGNET, "zero_init_residual": False, "out_indices": (0, -1)}, (1, STEM[:3])),
    "darknet": Variant(ThinDarknet, {"out_indices": (*ALL5, 5)}, (2, ("conv1", "conv_res_block1")), checkpoints_by=""),
    "cspdarknet": Variant("CSPDarknet", CSP, (1, ("stem", "stage1")), checkpoints_by=""),
    "cspdarknet-p6": Variant(
        "CSPDarknet",
        {**CSP, "arch": "P6", "out_indices": (0, 5), "use_depthwise": True},
        (0, ("stem",)),
        checkpoints_by="",
    ),
    "cspnext": Variant("CSPNeXt", CSP, (2, ("stem", "stage1", "stage2")), checkpoints_by=""),
    "cspnext-plain": Variant(
        "CSPNeXt",
        {**CSP, "channel_attention": False, "use_depthwise": True, "expand_ratio": 0.25},
        (0, ("stem",)),
        checkpoints_by="",
    ),
    "cspnet-darknet": Variant(
        ThinCSPNet,
        {"kind": "darknet", "depth": 53, "out_indices": (0, 1)},
        (1, ("stem", "stages.0")),
        checkpoints_by="",
    ),
    "cspnet-resnet": Variant(
        ThinCSPNet, {"kind": "resnet", "depth": 50, "out_indices": (0, 1)}, (1, ("stem", "stages.0")), checkpoints_by=""
    ),
    "vgg": Variant(
        "VGG",
        {"depth": 11, "norm_cfg": BN, "ceil_mode": True, "out_indices": ALL5},
        (2, ("features.0", "features.1.", "features.2")),
        checkpoints_by="",
    ),
    "ssd-vgg": Variant(
        "SSDVGG", {"depth": 11, "out_feature_indices": (13, 24)}, norm_eval=False, checkpoints_by="", sizes=((33, 65),)
    ),
    "mobilenet-v2": Variant("MobileNetV2", {"widen_factor": 0.25}, (1, ("conv1", "layer1"))),
    "mobilenet-v3": Variant(
        "MobileNetV3", {"arch": "small_050", "out_indices": (0, 1, 3, 8, 12)}, (1, ("layer0", "layer1."))
    ),
    "mobilenet-v3-seg": Variant(
        "MobileNetV3",
        {
            "arch": "large_075",
            "output_stride": 8,
            "adaptive_padding": True,
            "reduction_factor": 2,
            "out_indices": (1, 3, 16),
        },
        (0, ("layer0",)),
        traces_sizes=False,
    ),
    "shufflenet-v2": Variant("ShuffleNetV2", {"widen_factor": 0.5, "out_indices": ALL4}, (1, ("conv1", "layers.0"))),
    "efficientnet": Variant(
        "EfficientNet", {"arch": "b0", **EFFICIENT}, (2, ("layers.0", "layers.1")), traces_sizes=False
    ),
    "efficientnet-es": Variant(
        "EfficientNet", {"arch": "es", "act_cfg": {"type": "ReLU"}, **EFFICIENT}, (1, ("layers.0",)), traces_sizes=False
    ),
    "densenet": Variant(
        "DenseNet",
        {"arch": DENSENET, "out_indices": ALL4},
        (1, ("stem", "stages.0", "transitions.0")),
        checkpoints_by="memory_efficient",
        sizes=WHOLE,
    ),
    "repvgg": Variant("RepVGG", {"arch": REPVGG, "base_channels": 8, "out_indices": ALL4}, (1, ("stem", "stage_1"))),
    "hrnet": Variant("HRNet", {"extra": HRNET_STAGES}, (2, ("conv1", "bn2", "layer1", "transition1", "stage2"))),
    "hrnet-bilinear": Variant(
        "HRNet", {"extra": HRNET_STAGES, "upsample": "bilinear", "multiscale_output": False}, (0, ("conv1", "bn1"))
    ),
    "convnext": Variant("ConvNeXt", CONVNEXT, (1, ("downsample_layers.0", "stages.0")), norm_eval=False, sizes=WHOLE),
    "convnext-v2": Variant(
        "ConvNeXt",
        {**CONVNEXT, "layer_scale_init_value": 0.0, "use_grn": True, "linear_pw_conv": False},
        (1, ("downsample_layers.0", "stages.0")),
        norm_eval=False,
        sizes=WHOLE,
    ),
    "vit": Variant(
        "VisionTransformer",
        {**VIT, "out_indices": (0, 1)},
        (1, ("patch_embed", "pos_embed", "cls_token", "layers.0")),
        **TOKENS,
    ),
    "vit-other": Variant(
        "VisionTransformer", {**VIT, **VIT_OTHER, "layer_cfgs": {"ffn_type": "swiglu_fused"}}, **TOKENS
    ),
    "vit-dense": Variant("VisionTransformer", {**VIT, "key_style": "dense"}, **TOKENS),
    "deit": Variant("DistilledVisionTransformer", VIT, **TOKENS),
    "swin": Variant("SwinTransformer", SWIN, (1, ("patch_embed", "stages.0", "norm0")), **TOKENS),
    "swin-cls": Variant(
        "SwinTransformer",
        {**SWIN, **SWIN_CLS},
        (1, ("patch_embed", "absolute_pos_embed", "stages.0", "norm0")),
        **TOKENS,
    ),
    "pvt": Variant("PyramidVisionTransformer", {**PVT, "qkv_bias": False}, **TOKENS),
    "pvt-v2": Variant("PyramidVisionTransformerV2", PVT, **TOKENS),
    "mit": Variant("MixVisionTransformer", {**PVT, "out_indices": (1, 3)}, **TOKENS),
    "pcpvt": Variant("PCPVT", TWINS, **TOKENS, checkpoints_by=""),
    "svt": Variant("SVT", {**TWINS, "window_sizes": (3, 3)}, **TOKENS, checkpoints_by=""),
    "svt-normed": Variant(
        "SVT", {**TWINS, "window_sizes": (3, 3), "norm_after_stage": True}, **TOKENS, checkpoints_by=""
    ),
    # What softmax, or a mean less the token itself, makes indifferent: see `indifferent`.
    "xcit": Variant(
        "XCiT",
        XCIT,
        (1, ("patch_embed", "pos_embed", "xca_layers.0")),
        **TOKENS,
        checkpoints_by="",
        indifferent=tuple(f"ca_layers.{i}.attn.k.bias" for i in (0, 1)),
        gradients={"out_type": "raw"},  # patches do not see the class token
    ),
    "poolformer": Variant(
        "PoolFormer",
        POOLFORMER,
        (1, ("patch_embed", "network.0", "norm0")),
        norm_eval=False,
        checkpoints_by="",
        sizes=WHOLE,
        indifferent=tuple(f"network.{i}.0.norm1.bias" for i in (0, 2, 4)),
    ),
    "mixer": Variant(
        "MlpMixer",
        {"arch": MIXER, "img_size": 64},
        (1, ("patch_embed", "layers.0")),
        norm_eval=False,
        checkpoints_by="",
        sizes=(),
        maps=False,
        traces_sizes=False,
    ),
    "timm": Variant(
        "TIMMBackbone",
        {"model_name": "resnet10t", "features_only": True, "out_indices": (1, 3), "zero_init_last": False},
        norm_eval=False,
        checkpoints_by="",
        needs="timm",
    ),
    "torchvision": Variant(
        "TorchvisionBackbone",
        {"model_name": "mobilenet_v3_small", "out_indices": ALL4},
        norm_eval=False,
        checkpoints_by="",
        any_channels=False,
    ),
}
