"""Key maps of PoolFormer, XCiT and MLP-Mixer."""

from __future__ import annotations

from collections.abc import Collection

from visuite.cv.backbones.mlp_mixer import MlpMixer
from visuite.cv.backbones.poolformer import PoolFormer
from visuite.cv.backbones.xcit import XCiT
from visuite.cv.checkpoints.renaming import Renaming, Rules
from visuite.engine.model import register_key_map


def _poolformer(module: PoolFormer, names: Collection[str]) -> Rules:
    """The authors' names are those here, but for the last norm; timm has the stages apart from what leads to them."""
    return [
        (r"^(head\.)?norm\.", f"norm{len(module.network) - 1}."),
        (r"^stem\.conv\.", "patch_embed.proj."),
        (r"^stages\.(\d)\.downsample\.conv\.", lambda found: f"network.{2 * int(found[1]) - 1}.proj."),
        (r"^stages\.(\d)\.blocks\.", lambda found: f"network.{2 * int(found[1])}."),
        (r"\.layer_scale(\d)\.scale$", r".layer_scale_\1"),
    ]


for _source, _signature in (("timm", r"^stem\.conv\."), ("sail", r"^(norm|head)\.")):
    register_key_map(PoolFormer, Renaming((_source,), _signature, _poolformer, left_out=r"^(head|norm)\."))

# timm keeps the authors' names, but for those of the positions and for keys, queries and values of class attention.
register_key_map(
    XCiT,
    Renaming(
        ("timm", "meta"),
        r"^(cls_attn_blocks|blocks)\.0\.",
        [
            (r"^patch_embed\.proj\.([0246])\.", lambda found: f"patch_embed.proj.{int(found[1]) // 2}."),
            (r"^(patch_embed\.proj\.\d)\.0\.", r"\1.conv."),
            (r"^(patch_embed\.proj\.\d)\.1\.", r"\1.bn."),
            (r"^pos_embed(er)?\.token_projection\.", "pos_embed.token_projection.conv."),
            (r"^cls_attn_blocks\.(\d+)\.attn\.qkv\.(\w+)$", r"cls_attn_blocks.\1.attn.{q,k,v}.\2"),
            (r"^cls_attn_blocks\.", "ca_layers."),
            (r"^blocks\.", "xca_layers."),
            (r"\.local_mp\.conv(\d)\.", r".local_mp.conv\1.conv."),
            (r"\.local_mp\.bn\.", ".local_mp.conv1.bn."),
            (r"\.mlp\.fc1\.", ".ffn.layers.0.0."),
            (r"\.mlp\.fc2\.", ".ffn.layers.1."),
        ],
        left_out=r"^head\.",
    ),
)

register_key_map(
    MlpMixer,
    Renaming(
        ("timm",),
        r"^blocks\.0\.mlp_tokens\.",
        [
            (r"^stem\.proj\.", "patch_embed.projection."),
            (r"^norm\.", "ln1."),
            (r"^blocks\.", "layers."),
            (r"\.norm(\d)\.", r".ln\1."),
            (r"\.mlp_tokens\.", ".token_mix."),
            (r"\.mlp_channels\.", ".channel_mix."),
            (r"\.fc1\.", ".layers.0.0."),
            (r"\.fc2\.", ".layers.1."),
        ],
        left_out=r"^head\.",
    ),
)
