#!/usr/bin/env python
"""How far a reader has to go: the source files and stack frames that one RetinaNet training step enters.

    python benchmarks/reader_path.py [--list]

A small RetinaNet is trained for two iterations with tools/train.py on images that are made up; the second is watched.
Counted are this project's own files and frames, for torch's are nobody's business here.
"""

from __future__ import annotations

import argparse
import json
import runpy
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import cv2
import numpy as np

from visuite.engine.hooks import Hook
from visuite.engine.registry import HOOKS

ROOT = Path(__file__).resolve().parents[1]
GOALS = {"files in forward": 16, "files in the step": 32, "frames from main to the box loss": 12}
CONFIG = """
default_scope = "det"
custom_imports = dict(imports=["reader_path"])
model = dict(
    type="RetinaNet",
    data_preprocessor=dict(type="DetDataPreprocessor", mean=[127.0] * 3, std=[60.0] * 3, pad_size_divisor=32),
    backbone=dict(type="ResNet", depth=18, base_channels=8, stem_channels=8),
    neck=dict(
        type="FPN", in_channels=[8, 16, 32, 64], out_channels=16, start_level=1, add_extra_convs="on_input", num_outs=5
    ),
    bbox_head=dict(
        type="RetinaHead",
        num_classes=1,
        in_channels=16,
        feat_channels=16,
        stacked_convs=1,
        bbox_coder=dict(type="DeltaXYWHBBoxCoder"),
        loss_cls=dict(type="FocalLoss", use_sigmoid=True),
        loss_bbox=dict(type="L1Loss"),
    ),
    train_cfg=dict(assigner=dict(type="MaxIoUAssigner", pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0)),
)
train_dataloader = dict(
    batch_size=2,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="CocoDataset",
        data_root="FOLDER",
        ann_file="ann.json",
        data_prefix=dict(img=""),
        metainfo=dict(classes=("thing",)),
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="LoadAnnotations", with_bbox=True),
            dict(type="PackDetInputs"),
        ],
    ),
)
train_cfg = dict(by_epoch=True, max_epochs=1)
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.001))
custom_hooks = [dict(type="ReaderPath")]
work_dir = "FOLDER/work"
log_level = "ERROR"
"""


class Watch:
    """Writes down which own files are entered, by `sys.setprofile`, and the stack at the first call of a function."""

    def __init__(self, stop_at: Any = None) -> None:
        self.files: dict[str, None] = {}
        self.stack: list[str] = []
        self._code = stop_at

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        """Take note of a call."""
        if event != "call" or not is_own(frame):
            return
        self.files[where(frame).partition(":")[0]] = None
        if frame.f_code is self._code and not self.stack:
            self.stack = own_stack(frame)


def is_own(frame: FrameType | None) -> bool:
    """Return whether a frame is of this project."""
    name = "" if frame is None else frame.f_code.co_filename
    return name.startswith((str(ROOT / "packages"), str(ROOT / "tools")))


def where(frame: FrameType) -> str:
    """Return `file:function`."""
    return f"{Path(frame.f_code.co_filename).relative_to(ROOT)}:{frame.f_code.co_qualname}"


def own_stack(frame: FrameType | None) -> list[str]:
    """Return the own frames below `main`, the outermost first."""
    stack: list[str] = []
    while frame is not None and frame.f_code.co_name != "<module>":
        stack += [where(frame)] if is_own(frame) else []
        frame = frame.f_back
    return stack[::-1]


@HOOKS.register_module()
class ReaderPath(Hook):
    """Watch the model's step of the second iteration."""

    found: dict[str, Watch] = {}  # noqa: RUF012 (the one place that the program looks at)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Begin to watch."""
        if batch_idx == 1:
            model = runner.model
            step, forward = Watch(type(model.bbox_head.loss_bbox).forward.__code__), Watch()
            model.train_step = watched(model.train_step, [step])
            model.forward = watched(model.forward, [step, forward])
            self.found.update(step=step, forward=forward)


def watched(call: Callable[..., Any], watches: list[Watch]) -> Callable[..., Any]:
    """Return a function that does the same while these watch, and lets those that watched before go on."""

    def inside(*args: Any, **kwargs: Any) -> Any:
        before = sys.getprofile()
        sys.setprofile(lambda *event: [watch(*event) for watch in watches])
        try:
            return call(*args, **kwargs)
        finally:
            sys.setprofile(before)

    return inside


def make_data(folder: Path) -> None:
    """Write four images with an object each."""
    images, objects = [], []
    for index in range(4):
        picture = np.full((64, 96, 3), 30, np.uint8)
        picture[10:50, 20:70] = 200
        cv2.imwrite(str(folder / f"{index}.png"), picture)
        images.append({"id": index, "file_name": f"{index}.png", "width": 96, "height": 64})
        box = {"bbox": [20, 10, 50, 40], "area": 2000, "iscrowd": 0}
        objects.append({"id": index + 1, "image_id": index, "category_id": 1, **box})
    truth = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "thing"}]}
    (folder / "ann.json").write_text(json.dumps(truth))


def measure() -> dict[str, Watch]:
    """Train, and return what was seen in `forward` and in the whole `step`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_data(folder)
        config = folder / "config.py"
        config.write_text(CONFIG.replace("FOLDER", name))
        before = sys.argv
        sys.argv = ["train.py", str(config)]
        try:
            runpy.run_path(str(ROOT / "tools" / "train.py"), run_name="__main__")
        finally:
            sys.argv = before
    return ReaderPath.found


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Count the files and frames of one training step.")
    parser.add_argument("--list", action="store_true", help="name them")
    args = parser.parse_args()
    sys.modules["reader_path"] = sys.modules[__name__]
    seen = measure()
    forward, step = seen["forward"], seen["step"]
    figures = dict(zip(GOALS, (len(forward.files), len(step.files), len(step.stack)), strict=True))
    print(f"{'':34}{'here':>6}{'goal':>6}")
    for name, figure in figures.items():
        print(f"{name:34}{figure:>6}{GOALS[name]:>6}")
    if args.list:
        outside = [one for one in step.files if one not in forward.files]
        for title, names in (
            ("forward", forward.files),
            ("the rest of the step", outside),
            ("frames", step.stack),
        ):
            print(f"\n{title}", *names, sep="\n  ")


if __name__ == "__main__":
    main()
