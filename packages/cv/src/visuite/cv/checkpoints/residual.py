"""Key maps of ResNet, RegNet, HRNet and DenseNet."""

from __future__ import annotations

from collections.abc import Collection

from visuite.cv.backbones.densenet import DenseNet
from visuite.cv.backbones.hrnet import HRNet
from visuite.cv.backbones.regnet import RegNet
from visuite.cv.backbones.resnet import ResNet
from visuite.cv.checkpoints.renaming import Renaming, Rule, Rules, less, moved, numbers
from visuite.engine.model import register_key_map


def _resnet(module: ResNet, names: Collection[str]) -> Rules:
    """Those of torchvision are those here, timm's too but for deep stems, shortcuts and squeeze-and-excitation."""
    rules: list[Rule] = [(r"\.se\.fc(\d)\.", r".se_layer.conv\1.conv.")]
    own = module.state_dict()
    if module.deep_stem:
        theirs = [*(f"conv1.{index}" for index in (0, 1, 3, 4, 6)), "bn1"]
        ours = list(dict.fromkeys(name.rpartition(".")[0] for name in own if name.startswith("stem.")))
        rules.append(moved(dict(zip(theirs, ours, strict=True))))
    for (stage,) in numbers(names, r"^layer(\d+)\.0\.downsample\.2\."):
        if f"layer{stage}.0.downsample.2.weight" not in own:  # their place of the pooling is empty here
            place = f"layer{stage}.0.downsample"
            rules.append(moved({f"{place}.1": f"{place}.0", f"{place}.2": f"{place}.1"}))
    return rules


register_key_map(ResNet, Renaming(("torchvision", "timm"), r"^(fc|conv1\.0)\.|\.se\.fc1\.", _resnet, left_out=r"^fc\."))

_REGNETS: tuple[tuple[str, str, Rules], ...] = (
    (
        "torchvision",
        r"^trunk_output\.",
        [
            (r"^stem\.0\.", "conv1."),
            (r"^stem\.1\.", "bn1."),
            (r"^trunk_output\.block\d+\.block(\d+)-(\d+)\.", r"layer\1.\2."),
            (r"\.proj\.", ".downsample."),
            *((rf"\.f\.{part}\.0\.", f".conv{n}.") for n, part in enumerate("abc", 1)),
            *((rf"\.f\.{part}\.1\.", f".bn{n}.") for n, part in enumerate("abc", 1)),
        ],
    ),
    (
        "timm",
        r"^s1\.b1\.conv1\.conv\.",
        [
            (r"^stem\.conv\.", "conv1."),
            (r"^stem\.bn\.", "bn1."),
            (r"^s(\d+)\.", r"layer\1."),
            (r"(?<=\.)b(\d+)\.", less("{}.")),
            (r"\.downsample\.conv\.", ".downsample.0."),
            (r"\.downsample\.bn\.", ".downsample.1."),
            (r"\.conv(\d)\.conv\.", r".conv\1."),
            (r"\.conv(\d)\.bn\.", r".bn\1."),
        ],
    ),
    (
        "pycls",  # the authors' library
        r"^s1\.b1\.f\.a\.",
        [
            (r"^stem\.conv\.", "conv1."),
            (r"^stem\.bn\.", "bn1."),
            (r"^s(\d+)\.", r"layer\1."),
            (r"(?<=\.)b(\d+)\.", less("{}.")),
            (r"\.proj\.", ".downsample.0."),
            (r"^(layer\d+\.\d+)\.bn\.", r"\1.downsample.1."),
            *((rf"\.f\.{part}\.", f".conv{n}.") for n, part in enumerate("abc", 1)),
            *((rf"\.f\.{part}_bn\.", f".bn{n}.") for n, part in enumerate("abc", 1)),
        ],
    ),
)
for _source, _signature, _rules in _REGNETS:
    register_key_map(RegNet, Renaming((_source,), _signature, _rules, left_out=r"^(fc|head)\."))

# The names are the same everywhere; classifiers have more layers.
_HEAD = r"^(incre_modules|downsamp_modules|final_layer|classifier)\."
register_key_map(HRNet, Renaming(("timm", "microsoft"), _HEAD, left_out=_HEAD))

register_key_map(
    DenseNet,
    Renaming(
        ("torchvision", "timm"),
        r"^features\.denseblock1\.",
        [
            (r"\.(norm|conv)\.(\d)\.", r".\1\2."),  # torchvision's oldest files, which it renames as it reads them
            (r"^features\.conv0\.", "stem.0."),
            (r"^features\.norm0\.", "stem.1."),
            (r"^features\.denseblock(\d+)\.denselayer(\d+)\.", less("stages.{}.block.{}.")),
            (r"^features\.transition(\d+)\.", less("transitions.{}.")),
            (r"^features\.norm5\.", "transitions.3.0."),
        ],
        left_out=r"^classifier\.",
    ),
)
