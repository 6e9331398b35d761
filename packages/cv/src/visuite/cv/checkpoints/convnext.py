"""Key maps of ConvNeXt."""

from __future__ import annotations

from collections.abc import Callable, Collection

from visuite.cv.backbones.convnext import ConvNeXt
from visuite.cv.checkpoints.renaming import Renaming, Rule, Rules
from visuite.engine.model import register_key_map


def _with_last_norm(theirs: str, rules: Rules) -> Callable[[ConvNeXt, Collection[str]], Rules]:
    """Return rules that take the norm before the classifier, too, to that of the last stage."""
    return lambda module, names: [(rf"^{theirs}\.", f"norm{len(module.depths) - 1}."), *rules]


_TORCHVISION: list[Rule] = [
    (r"^features\.0\.(\d)\.", r"downsample_layers.0.\1."),
    (r"^features\.([246])\.(\d)\.", lambda found: f"downsample_layers.{int(found[1]) // 2}.{found[2]}."),
    (r"^features\.([1357])\.(\d+)\.", lambda found: f"stages.{int(found[1]) // 2}.{found[2]}."),
    (r"\.layer_scale$", ".gamma"),
    (r"\.block\.0\.", ".depthwise_conv."),
    (r"\.block\.2\.", ".norm."),
    (r"\.block\.3\.", ".pointwise_conv1."),
    (r"\.block\.5\.", ".pointwise_conv2."),
]
_TIMM: list[Rule] = [
    (r"^stem\.(\d)\.", r"downsample_layers.0.\1."),
    (r"^stages\.(\d)\.downsample\.(\d)\.", r"downsample_layers.\1.\2."),
    (r"^stages\.(\d)\.blocks\.", r"stages.\1."),
    (r"\.conv_dw\.", ".depthwise_conv."),
    (r"\.mlp\.fc(\d)\.", r".pointwise_conv\1."),
    (r"\.mlp\.grn\.weight$", ".grn.gamma"),
    (r"\.mlp\.grn\.bias$", ".grn.beta"),
]
_META: list[Rule] = [(r"\.dwconv\.", ".depthwise_conv."), (r"\.pwconv(\d)\.", r".pointwise_conv\1.")]

for _source, _signature, _norm, _rules, _classifier in (
    ("torchvision", r"^features\.1\.0\.block\.", r"classifier\.0", _TORCHVISION, r"^classifier\."),
    ("timm", r"^stages\.0\.blocks\.0\.conv_dw\.", r"head\.norm", _TIMM, r"^head\."),
    ("meta", r"^stages\.0\.0\.dwconv\.", "norm", _META, r"^(head|norm)\."),  # the authors
):
    register_key_map(ConvNeXt, Renaming((_source,), _signature, _with_last_norm(_norm, _rules), left_out=_classifier))
