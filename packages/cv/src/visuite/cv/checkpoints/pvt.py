"""Key maps of pyramid transformers, Twins among them.

The authors call stage i = 1..4 `patch_embed<i>`, `block<i>`, `norm<i>` and `pos_embed<i>`, timm `stages.<i - 1>`. Both
have one linear layer for queries, `q`, and one for keys and values, `kv`, and call the networks of blocks `mlp`.
"""

from __future__ import annotations

from collections.abc import Collection

from visuite.cv.backbones.pvt import PyramidVisionTransformer
from visuite.cv.backbones.twins import PCPVT, SVT
from visuite.cv.checkpoints.renaming import Renaming, Rule, Rules, less, moved, numbers
from visuite.engine.model import register_key_map

_PATCHES: Rule = (r"^(layers\.\d\.0)\.proj\.", r"\1.projection.")


def _inside_blocks(names: Collection[str]) -> Rules:
    last = 4 if any(".dwconv." in name for name in names) else 3  # a depthwise convolution may stand between
    return [
        (r"\.attn\.q\.(weight|bias)$", r".attn.attn.in_proj_\1#0"),
        (r"\.attn\.kv\.(weight|bias)$", r".attn.attn.in_proj_\1#1"),
        (r"\.attn\.proj\.", ".attn.attn.out_proj."),
        (r"\.mlp\.fc1\.", ".ffn.layers.0."),
        (r"\.mlp\.dwconv\.(dwconv\.)?", ".ffn.layers.1."),
        (r"\.mlp\.fc2\.", f".ffn.layers.{last}."),
    ]


def _published(module: PyramidVisionTransformer, names: Collection[str]) -> Rules:
    places = any(name.startswith("pos_embed") for name in names)  # they stand before the first block
    return [
        (r"^patch_embed(\d)\.", less("layers.{}.0.")),
        _PATCHES,
        (r"^pos_embed(\d)$", less("layers.{}.1.0.pos_embed")),
        (r"^block(\d)\.(\d+)\.", lambda found: f"layers.{int(found[1]) - 1}.1.{int(found[2]) + places}."),
        (r"^norm(\d)\.", less("layers.{}.2.")),
        *_inside_blocks(names),
    ]


def _timm(module: PyramidVisionTransformer, names: Collection[str]) -> Rules:
    return [
        (r"^patch_embed\.", "layers.0.0."),
        (r"^stages\.(\d)\.downsample\.", r"layers.\1.0."),
        _PATCHES,
        (r"^stages\.(\d)\.blocks\.", r"layers.\1.1."),
        (r"^stages\.(\d)\.norm\.", r"layers.\1.2."),
        *_inside_blocks(names),
    ]


register_key_map(
    PyramidVisionTransformer,
    Renaming(("published",), r"^patch_embed1\.", _published, left_out=r"^(head|cls_token|norm)(\.|$)"),
)
register_key_map(
    PyramidVisionTransformer, Renaming(("timm",), r"^stages\.0\.blocks\.0\.attn\.kv\.", _timm, left_out=r"^head\.")
)


def _twins(module: PCPVT | SVT, names: Collection[str]) -> Rules:
    """The authors' names, which timm keeps: each stage lies in a list of its kind of parts."""
    own = module.state_dict()
    stages = "stages" if any(name.startswith("stages.") for name in own) else "layers"
    norms = "norm_after_stage{}" if stages == "stages" else "norm_list.{}"
    narrowed = (f"blocks.{stage}.{block}.attn" for stage, block in numbers(names, r"^blocks\.(\d+)\.(\d+)\.attn\.q\."))
    return [
        (r"^patch_embeds\.(\d)\.proj\.", r"patch_embeds.\1.projection."),
        (r"^pos_block\.(\d)\.proj\.0\.", r"position_encodings.\1.proj."),
        (r"^norm\.", f"{norms.format(len(module.patch_embeds) - 1)}."),
        (r"\.attn\.q\.(weight|bias)$", r".attn.attn.in_proj_\1#0"),
        (r"\.attn\.kv\.(weight|bias)$", r".attn.attn.in_proj_\1#1"),
        moved({f"{attention}.proj": f"{attention}.attn.out_proj" for attention in narrowed}),
        (r"^blocks\.", f"{stages}."),
        (r"\.mlp\.fc1\.", ".ffn.layers.0.0."),
        (r"\.mlp\.fc2\.", ".ffn.layers.1."),
    ]


for _kind in (PCPVT, SVT):
    register_key_map(
        _kind, Renaming(("timm", "published"), r"^blocks\.0\.0\.norm1\.", _twins, left_out=r"^(head|norm)\.")
    )
