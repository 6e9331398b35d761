"""Key maps of Swin.

Everybody else's mergings lay the four neighbours one behind another with all their channels, in the order of columns
first; here they stand as an unfolded convolution has them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from torch import Tensor

from visuite.cv.backbones.swin import SwinTransformer
from visuite.cv.checkpoints.renaming import Renaming, Rule, Rules, less
from visuite.engine.model import register_key_map


def _unfolded(weight: Tensor) -> Tensor:
    """(..., 4 * C) from neighbour after neighbour to channel after channel, neighbours row by row."""
    return weight.unflatten(-1, (2, 2, -1)).movedim(-1, -3).transpose(-1, -2).flatten(-3)


_BLOCK: list[Rule] = [
    (r"\.attn\.", ".attn.w_msa."),
    (r"\.mlp\.(0|fc1)\.", ".ffn.layers.0.0."),
    (r"\.mlp\.(3|fc2)\.", ".ffn.layers.1."),
]
_PATCHES: list[Rule] = [(r"^patch_embed\.proj\.", "patch_embed.projection."), (r"^layers\.", "stages.")]
_EARLIER: Rule = (r"^layers\.(\d+)\.downsample\.", less("layers.{}.downsample."))
_TORCHVISION: list[Rule] = [
    (r"^features\.0\.0\.", "patch_embed.projection."),
    (r"^features\.0\.2\.", "patch_embed.norm."),
    (r"^features\.([1357])\.(\d+)\.", lambda found: f"stages.{int(found[1]) // 2}.blocks.{found[2]}."),
    (r"^features\.([246])\.", lambda found: f"stages.{int(found[1]) // 2 - 1}.downsample."),
    *_BLOCK,
]


def _with_last_norm(rules: Rules) -> Callable[[SwinTransformer, Collection[str]], Rules]:
    """Return rules that take the norm before the classifier, too, to that of the last stage."""
    return lambda module, names: [(r"^norm\.", f"norm{module.num_layers - 1}."), *rules]


for _source, _signature, _rules in (
    ("torchvision", r"^features\.1\.0\.attn\.relative_position_bias_table$", _TORCHVISION),
    # The authors merge at the end of a stage, as is done here; timm does it at the beginning of the next.
    ("microsoft", r"^layers\.0\.downsample\.", [*_PATCHES, *_BLOCK]),
    ("timm", r"^layers\.3\.downsample\.", [_EARLIER, *_PATCHES, *_BLOCK]),
):
    register_key_map(
        SwinTransformer,
        Renaming(
            (_source,),
            _signature,
            _with_last_norm(_rules),
            left_out=r"attn_mask$|^(head|norm)\.",  # what can be computed, and what belongs to the classifier
            values=[(r"\.downsample\.(norm|reduction)\.", _unfolded)],
        ),
    )
