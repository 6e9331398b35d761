"""Key maps of the vision transformer."""

from __future__ import annotations

from collections.abc import Callable, Collection

from visuite.cv.backbones.vision_transformer import VisionTransformer
from visuite.cv.checkpoints.renaming import Renaming, Rule, Rules
from visuite.engine.model import register_key_map

_TORCHVISION: list[Rule] = [
    (r"^class_token$", "cls_token"),
    (r"^conv_proj\.", "patch_embed.projection."),
    (r"^encoder\.pos_embedding$", "pos_embed"),
    (r"^encoder\.ln\.", "ln1."),
    (r"^encoder\.layers\.encoder_layer_", "layers."),
    (r"\.ln_(\d)\.", r".ln\1."),
    (r"\.self_attention\.in_proj_", ".attn.qkv."),
    (r"\.self_attention\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.(0|linear_1)\.", ".ffn.layers.0.0."),  # the words stand in torchvision's older files
    (r"\.mlp\.(3|linear_2)\.", ".ffn.layers.1."),
]
#: The names of DeiT, MAE, DINO and most others too.
_TIMM: list[Rule] = [
    (r"^patch_embed\.proj\.", "patch_embed.projection."),
    (r"^norm_pre\.", "pre_norm."),
    (r"^norm\.", "ln1."),
    (r"^fc_norm\.", "ln2."),
    (r"^blocks\.", "layers."),
    (r"\.norm(\d)\.", r".ln\1."),
    (r"\.ls1\.gamma$", ".attn.gamma1.weight"),
    (r"\.ls2\.gamma$", ".ffn.gamma2.weight"),
    (r"\.mlp\.fc1\.", ".ffn.layers.0.0."),
    (r"\.mlp\.fc2\.", ".ffn.layers.1."),
    (r"\.mlp\.w(12|3)\.", r".ffn.w\1."),
]
_DENSE: list[Rule] = [(r"\.attn\.qkv\.", ".attn.attn.in_proj_"), (r"\.attn\.proj\.", ".attn.attn.out_proj.")]


def _by_key_style(rules: Rules) -> Callable[[VisionTransformer, Collection[str]], Rules]:
    """Return rules that end at the names that the attention has in the module."""

    def of_module(module: VisionTransformer, names: Collection[str]) -> Rules:
        dense = any(".attn.attn." in name for name in module.state_dict())
        return [*rules, *_DENSE] if dense else rules

    return of_module


register_key_map(
    VisionTransformer,
    Renaming(("torchvision",), r"^encoder\.layers\.", _by_key_style(_TORCHVISION), left_out=r"^heads\."),
)
register_key_map(
    VisionTransformer,
    Renaming(
        ("timm", "deit", "mae", "dino"),
        r"^blocks\.0\.norm1\.",
        _by_key_style(_TIMM),
        # Of MAE the decoder, of DINO its head, of others the classifier.
        left_out=r"^(head(_dist)?|fc_norm|norm|decoder_\w+|mask_token)(\.|$)",
    ),
)
