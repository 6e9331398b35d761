"""A data set of one-coloured images and a small YOLOX over it: runs of seconds, whose pixels tell what was mixed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import Tensor, nn

from tests.engine.runner.toy import config
from visuite.engine.hooks import Hook
from visuite.yolo.registry import MODELS

EDGE, IMAGES, BATCH, EPOCHS = 32, 16, 4, 4
LENGTH = IMAGES // BATCH

LOAD: list[dict[str, Any]] = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_bbox": True}]
PACK = {"type": "det.PackDetInputs", "meta_keys": ("img_id", "img_shape", "ori_shape")}
#: An image is as it is in its file; a mosaic shows several, or the grey between them.
PLAIN = [*LOAD, {"type": "det.RandomFlip", "prob": 0.5}, PACK]
MOSAIC = [
    *LOAD,
    {"type": "Mosaic", "img_scale": (EDGE, EDGE), "pre_transform": LOAD},
    {"type": "YOLOv5RandomAffine", "border": (-EDGE // 2, -EDGE // 2)},
    PACK,
]


def one_coloured_images(folder: Path) -> dict[str, Any]:
    """Write images, each of a colour of its own with one object, and return the config of the data set."""
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number in range(IMAGES):
        colour = (10 * number, 255 - 10 * number, 30 + 5 * number)
        cv2.imwrite(str(folder / f"images/{number}.png"), np.full((EDGE, EDGE, 3), colour, np.uint8))
        images.append({"id": number, "file_name": f"{number}.png", "width": EDGE, "height": EDGE})
        box = {"bbox": [4 + number % 5, 6, 18, 16], "area": 288, "iscrowd": 0, "category_id": 1 + number % 2}
        annotations.append({**box, "id": number, "image_id": number})
    categories = [{"id": 1, "name": "even"}, {"id": 2, "name": "odd"}]
    data = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "data.json").write_text(json.dumps(data))
    return {
        "type": "YOLOv5CocoDataset",
        "data_root": str(folder),
        "ann_file": "data.json",
        "data_prefix": {"img": "images/"},
        "metainfo": {"classes": ("even", "odd")},
    }


@MODELS.register_module()
class TinyBackbone(nn.Module):
    """Images to one map, eight times as small."""

    out_channels = (8,)
    out_strides = (8,)

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 8, 8, stride=8), nn.BatchNorm2d(8), nn.SiLU())

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (self.net(x),)


def model(**preprocessor: Any) -> dict[str, Any]:
    """The config of a YOLOX of one level."""
    style = {"type": "YOLOXHeadModule", "num_classes": 2, "in_channels": 8, "feat_channels": 8, "stacked_convs": 1}
    points = {"type": "det.MlvlPointGenerator", "offset": 0, "strides": [8]}
    head = {"type": "YOLOXHead", "head_module": {**style, "featmap_strides": (8,)}, "prior_generator": points}
    assigner = {"type": "det.SimOTAAssigner", "center_radius": 2.5}
    return {
        "type": "YOLODetector",
        "data_preprocessor": {
            "type": "YOLOv5DetDataPreprocessor",
            "std": [255.0] * 3,
            "mean": [0.0] * 3,
            **preprocessor,
        },
        "backbone": {"type": "TinyBackbone"},
        "bbox_head": head,
        "train_cfg": {"assigner": assigner},
    }


def run_config(
    work_dir: Path, data: dict[str, Any], *hooks: Any, pipeline: Sequence[Any] = PLAIN, workers: int = 0, **changes: Any
) -> dict[str, Any]:
    """A run of four epochs, four iterations each, which writes a checkpoint after each of them."""
    kept = {"num_workers": workers, "persistent_workers": True, "prefetch_factor": 3} if workers else {}
    return config(
        work_dir,
        model=changes.pop("model", None) or model(),
        train_dataloader={
            "batch_size": BATCH,
            "dataset": data if "dataset" in data else {**data, "pipeline": list(pipeline)},
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "collate_fn": {"type": "yolov5_collate"},
            **kept,
        },
        train_cfg={"by_epoch": True, "max_epochs": EPOCHS},
        default_scope="yolo",
        param_scheduler=None,
        default_hooks={"checkpoint": {"type": "CheckpointHook", "interval": 1, "by_epoch": False}},
        custom_hooks=list(hooks),
        **{"val_cfg": None, "val_dataloader": None, "val_evaluator": None, **changes},
    )


class Mixed(Hook):
    """Count, by epoch, the images of which every pixel has one colour, and the others; keep the names of the losses."""

    def __init__(self) -> None:
        self.plain: dict[int, int] = {}
        self.mixed: dict[int, int] = {}
        self.losses: dict[int, set[str]] = {}

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        for image in data_batch["inputs"]:
            one = (image == image[:, :1, :1]).all()
            counts = self.plain if one else self.mixed
            counts[runner.epoch] = counts.get(runner.epoch, 0) + 1

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        self.losses.setdefault(runner.epoch, set()).update(outputs)
