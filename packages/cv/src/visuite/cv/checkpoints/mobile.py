"""Key maps of MobileNets, EfficientNet and ShuffleNet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from torch import nn

from visuite.cv.backbones.efficientnet import EfficientNet
from visuite.cv.backbones.mobilenet_v2 import MobileNetV2
from visuite.cv.backbones.mobilenet_v3 import MobileNetV3
from visuite.cv.backbones.shufflenet_v2 import ShuffleNetV2
from visuite.cv.checkpoints.renaming import Renaming, Rules, less, moved, numbers
from visuite.cv.layers import EdgeResidual, LinearBottleneck
from visuite.engine.model import register_key_map

#: Where the parts of a block go: their names to those here.
Places = dict[str, str]


def _torchvision(module: nn.Module, names: Collection[str]) -> Rules:
    """All lies in `features`: the stem, single blocks or stages of blocks, a last convolution."""
    first, last = _ends(module)
    (end,) = numbers(names, r"^features\.(\d+)\.")[-1]
    places = {**_pair("features.0.0", "features.0.1", first), **_pair(f"features.{end}.0", f"features.{end}.1", last)}
    found = numbers(names, r"^features\.(\d+)\.(\d+)\.block\.") or numbers(names, r"^features\.(\d+)\.(?:block|conv)\.")
    theirs = [".".join(map(str, ("features", *place))) for place in found]
    return [moved({**places, **_inside(module, theirs, _torchvision_block)})]


def _timm(module: nn.Module, names: Collection[str]) -> Rules:
    """Stages of blocks lie in `blocks`; the last convolution is one of them, or `conv_head`."""
    first, last = _ends(module)
    theirs = [f"blocks.{stage}.{block}" for stage, block in numbers(names, r"^blocks\.(\d+)\.(\d+)\.")]
    places = {**_pair("conv_stem", "bn1", first), **_inside(module, theirs, _timm_block)}
    if f"{theirs[-1]}.conv.weight" in names:
        return [moved({**places, **_pair(f"{theirs[-1]}.conv", f"{theirs[-1]}.bn1", last)})]
    return [moved({**places, **_pair("conv_head", "bn2", last)})]


def _ends(module: Any) -> tuple[str, str]:
    """Return the names of the stem and of the last convolution."""
    if isinstance(module, MobileNetV2):
        return "conv1", "conv2"
    return (module.layers[0], module.layers[-1]) if isinstance(module, MobileNetV3) else _first_and_last_layer(module)


def _first_and_last_layer(module: Any) -> tuple[str, str]:
    return "layers.0", f"layers.{len(module.layers) - 1}"


def _inside(module: nn.Module, theirs: list[str], places: Callable[[nn.Module, str, str], Places]) -> Places:
    """Return where the parts of all blocks go: blocks stand in one order there and here."""
    blocks = {name: part for name, part in module.named_modules() if hasattr(part, "with_shortcut")}
    found: Places = {}
    for name, (ours, block) in zip(theirs, blocks.items(), strict=False):
        found.update(places(block, name, ours))
    return found


def _parts(block: nn.Module) -> Iterator[str]:
    """Yield the names of a block's convolutions, and `se`, in the order in which they work."""
    if isinstance(block, LinearBottleneck):
        yield from (f"conv.{index}" for index in range(len(block.conv)))
    else:
        order = ("conv1", "expand_conv", "depthwise_conv", "se", "linear_conv", "conv2")
        yield from (name for name in order if hasattr(block, name))


def _torchvision_block(block: nn.Module, theirs: str, ours: str) -> Places:
    """Parts are numbered; the last convolution of MobileNetV2's blocks forms no pair with its norm."""
    places: Places = {}
    inner = "conv" if isinstance(block, LinearBottleneck) else "block"
    parts = list(_parts(block))
    for index, part in enumerate(parts):
        place = f"{theirs}.{inner}.{index}"
        if part == "se":
            places.update({f"{place}.fc1": f"{ours}.se.conv1.conv", f"{place}.fc2": f"{ours}.se.conv2.conv"})
        elif inner == "conv" and index == len(parts) - 1:
            places.update(_pair(place, f"{theirs}.conv.{index + 1}", f"{ours}.{part}"))
        else:
            places.update(_pair(f"{place}.0", f"{place}.1", f"{ours}.{part}"))
    return places


def _timm_block(block: nn.Module, theirs: str, ours: str) -> Places:
    """Convolutions are named by what they do, and norms numbered."""
    places = {f"{theirs}.se.conv_{verb}": f"{ours}.se.conv{n}.conv" for n, verb in ((1, "reduce"), (2, "expand"))}
    parts = [part for part in _parts(block) if part != "se"]
    if isinstance(block, EdgeResidual):
        convs = ["conv_exp", "conv_pwl"]
    else:
        convs = ["conv_pw", "conv_dw", "conv_pwl"] if len(parts) == 3 else ["conv_dw", "conv_pw"]
    for number, (conv, part) in enumerate(zip(convs, parts, strict=True), 1):
        places.update(_pair(f"{theirs}.{conv}", f"{theirs}.bn{number}", f"{ours}.{part}"))
    return places


def _pair(conv: str, norm: str, ours: str) -> Places:
    return {conv: f"{ours}.conv", norm: f"{ours}.bn"}


for _kind in (MobileNetV2, MobileNetV3, EfficientNet):
    # Segmentation's MobileNetV2 does without the last convolution.
    register_key_map(
        _kind, Renaming(("torchvision",), r"^features\.0\.0\.", _torchvision, left_out=r"^(classifier|features\.18)\.")
    )
    register_key_map(
        _kind, Renaming(("timm",), r"^conv_stem\.", _timm, left_out=r"^(classifier|conv_head|norm_head|bn2)\.")
    )

# There, activations are counted too.
_BRANCHES: dict[str, dict[int, str]] = {
    "branch1": {0: "0.conv", 1: "0.bn", 2: "1.conv", 3: "1.bn"},
    "branch2": {0: "0.conv", 1: "0.bn", 3: "1.conv", 4: "1.bn", 5: "2.conv", 6: "2.bn"},
}
register_key_map(
    ShuffleNetV2,
    Renaming(
        ("torchvision",),
        r"^stage2\.0\.branch1\.",
        [
            (r"^conv5\.", "layers.3."),
            (r"^(conv1|layers\.3)\.0\.", r"\1.conv."),
            (r"^(conv1|layers\.3)\.1\.", r"\1.bn."),
            (r"^stage(\d)\.", less("layers.{}.", 2)),
            (r"\.(branch\d)\.(\d)\.", lambda found: f".{found[1]}.{_BRANCHES[found[1]][int(found[2])]}."),
        ],
        left_out=r"^fc\.",
    ),
)
