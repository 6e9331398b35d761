"""Every config of the repository passes; a fault put into it anywhere is found, with its line, path and right name."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from visuite.engine.check import Finding, check_config
from visuite.engine.check.keys import KNOWN_KEYS
from visuite.engine.config import Config

CONFIGS = Path(__file__).parents[3] / "configs"
SAMPLE = [
    "cls/vit_in1k",
    "det/mask_rcnn_small_shapes",
    "det/rtmdet_tiny_bccd",
    "seg/unet_small_camvid",
    "yolo/yolov7_coco",
]
SITES = 12  # of each kind of fault in each config
Path_ = tuple[Any, ...]


class Written:
    """A config in one file, a value a line.

    Args:
        tree: Its values.
    """

    def __init__(self, tree: dict[str, Any]) -> None:
        self.lines: list[str] = []
        self.at: dict[str, int] = {}
        for key, value in tree.items():
            self._write(f"{key} = ", value, key, "")

    def _write(self, head: str, value: Any, path: str, tail: str) -> None:
        self.at[path] = len(self.lines) + 1
        inner = isinstance(value, (list, tuple)) and any(isinstance(one, (dict, list, tuple)) for one in value)
        if not inner and not isinstance(value, dict):
            self.lines.append(f"{head}{value!r}{tail}")
            return
        left, right = "{}" if isinstance(value, dict) else "[]" if isinstance(value, list) else "()"
        self.lines.append(head + left)
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            self._write(f"{key!r}: " if left == "{" else "", one, f"{path}.{key}", ",")
        self.lines.append(right + tail)


def thawed(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: thawed(value) for key, value in tree.items()}
    return type(tree)(map(thawed, tree)) if isinstance(tree, (list, tuple)) else tree


def dicts(tree: Any, path: Path_ = ()) -> Iterator[Path_]:
    if isinstance(tree, dict) and path:
        yield path
    for key, one in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if isinstance(one, (dict, list, tuple)):
            yield from dicts(one, (*path, key))


def inside(tree: Any, path: Path_) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def plain(name: str) -> dict[str, Any]:
    cfg = Config.fromfile(CONFIGS / f"{name}.py")
    return {key: thawed(value) for key, value in cfg.to_dict().items() if key in KNOWN_KEYS}


def slip(word: str, rng: random.Random) -> str:
    """Write a word with a letter doubled or left out."""
    if len(word) < 3:
        return word + word[-1]
    at = rng.randrange(1, len(word) - 1)
    return word[:at] + (word[at] + word[at:] if rng.random() < 0.5 else word[at + 1 :])


def told(tree: dict[str, Any], folder: Path) -> tuple[list[Finding], Written]:
    written = Written(tree)
    (folder / "config.py").write_text("\n".join(written.lines))
    return check_config(Config.fromfile(folder / "config.py")), written


def named(path: Path_) -> str:
    return ".".join(map(str, path))


@pytest.mark.parametrize("name", sorted(str(p.relative_to(CONFIGS))[:-3] for p in CONFIGS.rglob("*.py")))
def test_no_config_of_ours_has_an_error(name):
    if "_base_" not in name:
        assert [
            str(one) for one in check_config(Config.fromfile(CONFIGS / f"{name}.py")) if one.severity == "error"
        ] == []


@pytest.mark.parametrize("name", SAMPLE)
@pytest.mark.parametrize("kind", ["a misspelt type", "a misspelt key", "a key too many"])
def test_a_slip_anywhere_is_found(name, kind, tmp_path):
    rng = random.Random(f"{name} {kind}")
    tree = plain(name)
    before = {str(one) for one in told(tree, tmp_path)[0]}
    free = ("custom_keys", "metainfo", "default_hooks")  # whose own keys are the user's
    sites = [
        (path, key)
        for path in dicts(tree)
        for key in inside(tree, path)
        if (key == "type") == (kind != "a misspelt key") and path[-1] not in free and len(str(key)) > 2
    ]
    for path, key in rng.sample(sites, min(SITES, len(sites))):
        bad = thawed(tree)
        part = inside(bad, path)
        if kind == "a misspelt type":
            right = part["type"].rpartition(".")[2]
            wrong, part["type"] = "type", slip(part["type"], rng)
        elif kind == "a misspelt key":
            right, wrong = key, slip(key, rng)
            items = [(wrong if one == key else one, value) for one, value in part.items()]
            part.clear()
            part.update(items)
        else:
            right, wrong = "", "nonsense_of_mine"
            part[wrong] = 1
        found, written = told(bad, tmp_path)
        place = f"{named(path)}.{wrong}"
        new = [one for one in found if str(one) not in before and one.severity != "note"]
        here = [one for one in new if one.path in (named(path), place)]
        assert here, f"{place}: nothing told"
        assert any(one.where and one.where.line == written.at[place] for one in here), f"{place}: {here}"
        assert kind != "a misspelt type" or any(one.severity == "error" for one in here)
        assert right in " ".join(one.message for one in here), f"{place}: {here}"


@pytest.mark.parametrize(
    ("name", "path", "value", "message"),
    [
        ("cls/vit_in1k", "model.backbone.drop_path_rate", "high", "is 'high', not float"),
        ("cls/vit_in1k", "train_dataloader.num_workers", "four", "is 'four', not int"),
        ("det/mask_rcnn_small_shapes", "model.neck.in_channels", 64, "is 64, not Sequence[int]"),
        ("det/mask_rcnn_small_shapes", "model.test_cfg.rpn.nms.iou_threshold", "0.7", "is '0.7', not float"),
        ("seg/unet_small_camvid", "env_cfg", {"cudnn_benchmark": "yes"}, "is 'yes', not bool"),
        ("seg/unet_small_camvid", "train_cfg.max_epochs", [1, 2], "is [1, 2], not int"),
        ("yolo/yolov7_coco", "default_hooks.checkpoint", 3, "is 3, and a hook is a config with the key 'type'"),
    ],
)
def test_a_value_of_another_kind_is_found(name, path, value, message, tmp_path):
    tree = plain(name)
    *parts, last = path.split(".")
    inside(tree, tuple(parts))[last] = value
    found, _ = told(tree, tmp_path)
    assert any(one.severity == "error" and one.path.startswith(path) and message in one.message for one in found), found
