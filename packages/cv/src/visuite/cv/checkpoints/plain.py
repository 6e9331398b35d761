"""Key maps of VGG, RepVGG, Darknet, CSPNet and CSPNeXt."""

from __future__ import annotations

from collections.abc import Collection

from torch import nn

from visuite.cv.backbones.cspnet import CSPNet
from visuite.cv.backbones.cspnext import CSPNeXt
from visuite.cv.backbones.darknet import Darknet
from visuite.cv.backbones.repvgg import RepVGG
from visuite.cv.backbones.ssd_vgg import SSDVGG
from visuite.cv.backbones.vgg import VGG
from visuite.cv.checkpoints.renaming import Renaming, Rules, less, moved
from visuite.cv.layers import ConvModule
from visuite.engine.model import register_key_map


def _vgg(module: VGG, names: Collection[str]) -> Rules:
    """There, convolutions, norms, activations and pooling layers are counted alike."""
    places: dict[str, str] = {}
    count = 0
    for index, layer in enumerate(module.features):
        if isinstance(layer, nn.MaxPool2d):
            count += 1
            continue
        assert isinstance(layer, ConvModule)
        places[f"features.{count}"] = f"features.{index}.conv"
        if layer.norm_name is not None:
            places[f"features.{count + 1}"] = f"features.{index}.{layer.norm_name}"
        count += 1 + layer.with_norm + layer.with_activation
    return [moved(places)]


register_key_map(
    VGG,
    Renaming(("torchvision", "timm"), r"^features\.\d+\.weight$", _vgg, left_out=r"^(classifier|pre_logits|head)\."),
)

# The names are those of torchvision; the classifier has no place here.
register_key_map(SSDVGG, Renaming(("torchvision",), r"^classifier\.", left_out=r"^classifier\."))

register_key_map(
    RepVGG,
    Renaming(
        ("timm",),
        r"^stem\.(conv_kxk|reparam_conv)\.",
        [
            (r"^stages\.(\d+)\.", less("stage_{}.", -1)),
            (r"\.conv_kxk\.", ".branch_3x3."),
            (r"\.conv_1x1\.", ".branch_1x1."),
            (r"\.bn\.", ".norm."),
            (r"\.identity\.", ".branch_norm."),
            (r"\.reparam_conv\.", ".branch_reparam."),
            (r"\.attn\.fc(\d)\.", r".se_layer.conv\1.conv."),
        ],
        left_out=r"^head\.",
    ),
)
register_key_map(
    RepVGG,
    Renaming(
        ("megvii",),  # the authors
        r"^stage0\.rbr_",
        [
            (r"^stage0\.", "stem."),
            (r"^stage(\d+)\.", r"stage_\1."),
            (r"\.rbr_dense\.", ".branch_3x3."),
            (r"\.rbr_1x1\.", ".branch_1x1."),
            (r"\.bn\.", ".norm."),
            (r"\.rbr_identity\.", ".branch_norm."),
            (r"\.rbr_reparam\.", ".branch_reparam."),
            (r"\.se\.down\.", ".se_layer.conv1.conv."),
            (r"\.se\.up\.", ".se_layer.conv2.conv."),
        ],
        left_out=r"^linear\.",
    ),
)

register_key_map(
    Darknet,
    Renaming(
        ("timm",),
        r"^stages\.0\.conv_down\.",
        [
            (r"^stem\.conv1\.", "conv1."),
            (r"^stages\.(\d+)\.", less("conv_res_block{}.", -1)),
            (r"\.conv_down\.", ".conv."),
            (r"\.blocks\.", ".res"),
        ],
        left_out=r"^head\.",
    ),
)
register_key_map(
    CSPNeXt,
    Renaming(
        ("timm",),
        r"^stages\.0\.1\.main_conv\.",
        [(r"^stages\.(\d+)\.", less("stage{}.", -1))],
        left_out=r"^head\.",
    ),
)


def _cspnet(module: CSPNet, names: Collection[str]) -> Rules:
    """Blocks of residual networks have no pairs of convolution and norm here, and the stem may be a list."""
    own = module.state_dict()
    residual: Rules = [(r"\.conv(\d)\.conv\.", r".conv\1."), (r"\.conv(\d)\.bn\.", r".bn\1.")]
    return [
        (r"^stem\.conv1\.", "stem.0." if "stem.0.conv.weight" in own else "stem."),
        *(residual if "stages.0.blocks.0.bn1.weight" in own else ()),
        (r"\.conv_down\.", ".downsample_conv."),
        (r"\.conv_exp\.", ".expand_conv."),
        (r"\.conv_transition_b\.", ".transition_conv."),
        (r"\.conv_transition\.", ".final_conv."),
    ]


register_key_map(CSPNet, Renaming(("timm",), r"^stages\.0\.conv_exp\.", _cspnet, left_out=r"^head\."))
