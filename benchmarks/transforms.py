#!/usr/bin/env python
"""What training pipelines cost: images per second and core, against torchvision's transforms v2, in one run.

    python benchmarks/transforms.py [--images 60] [--rounds 5] [--data data/bccd] [--only detection]

Both read the same JPEG files of BCCD (640 x 480) and do the same work in one process and one thread: decode, transform,
and end with a tensor and the truth. The rounds of the two alternate, so that what else the machine does hits both;
medians are compared. Without the data set (a folder, or `bccd.zip` in the folder that VISUITE_DATA names, or in data/)
there is nothing to measure.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import torchvision
from torch import Tensor
from torchvision import tv_tensors
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms import v2

from visuite.cls.registry import TRANSFORMS as CLS_TRANSFORMS
from visuite.det.datasets import CocoDataset
from visuite.det.registry import TRANSFORMS as DET_TRANSFORMS
from visuite.engine.dataset import Compose

Record = dict[str, Any]
ROOT = Path(__file__).resolve().parents[1]
CLASSES = ("RBC", "WBC", "Platelets")


class Race(NamedTuple):
    """Two pipelines that do the same work on a record."""

    name: str
    ours: Callable[[Record], Any]
    theirs: Callable[[Record], Any]


def classification() -> Race:
    """Return the pipeline that most classifiers are trained with."""
    ours = pipeline(
        CLS_TRANSFORMS,
        {"type": "LoadImageFromFile"},
        {"type": "RandomResizedCrop", "scale": 224},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "PackInputs"},
    )
    transforms = v2.Compose([v2.RandomResizedCrop(224, antialias=False), v2.RandomHorizontalFlip(0.5)])

    def theirs(record: Record) -> tuple[Tensor, int]:
        return transforms(read(record)).contiguous(), record["gt_label"]

    return Race("classification, 224 x 224", ours, theirs)


def detection(scale: tuple[int, int], crop: int) -> Race:
    """Return the pipeline that detectors are trained with.

    Args:
        scale: The largest long and short edge.
        crop: The edge of the window.
    """
    ours = pipeline(
        DET_TRANSFORMS,
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations"},
        {"type": "Resize", "scale": scale, "keep_ratio": True},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "RandomCrop", "crop_size": (crop, crop), "allow_negative_crop": True},
        {"type": "PackDetInputs"},
    )
    transforms = v2.Compose(
        [
            v2.Resize(min(scale) if scale[0] != scale[1] else None, max_size=max(scale), antialias=False),
            v2.RandomHorizontalFlip(0.5),
            v2.RandomCrop(crop),
            v2.SanitizeBoundingBoxes(),
        ]
    )

    def theirs(record: Record) -> tuple[Tensor, dict[str, Any]]:
        image = tv_tensors.Image(read(record))
        instances = record["instances"]
        truth = {
            "boxes": tv_tensors.BoundingBoxes(
                torch.tensor([one["bbox"] for one in instances], dtype=torch.float32).reshape(-1, 4),
                format="XYXY",  # type: ignore[arg-type]
                canvas_size=tuple(image.shape[-2:]),  # type: ignore[arg-type]
            ),
            "labels": torch.tensor([one["bbox_label"] for one in instances], dtype=torch.int64),
        }
        image, truth = transforms(image, truth)
        return image.contiguous(), truth

    return Race(f"detection, {scale[0]} x {scale[1]}, windows of {crop}", ours, theirs)


def pipeline(registry: Any, *configs: Record) -> Compose:
    """Return a pipeline of a task's transforms."""
    return Compose([registry.build(config) for config in configs])


def read(record: Record) -> Tensor:
    """Return the image of a record (3, H, W)."""
    return decode_jpeg(read_file(record["img_path"]), mode=ImageReadMode.RGB)


# ---------------------------------------------------------------------- the data


@contextlib.contextmanager
def unpacked(folder: Path) -> Iterator[Path | None]:
    """Yield the folder of BCCD: what was asked for, or its archive's content; None where there is neither."""
    archive = Path(os.environ.get("VISUITE_DATA", ROOT / "data"), "bccd.zip")
    if folder.is_dir() or not archive.is_file():
        yield folder if folder.is_dir() else None
        return
    with tempfile.TemporaryDirectory() as place, zipfile.ZipFile(archive) as file:
        file.extractall(place)
        yield Path(place, "bccd")


def records_of(folder: Path, count: int) -> list[Record]:
    """Return the first records of the images to train with."""
    dataset = CocoDataset(
        ann_file="annotations/instances_train.json",
        data_root=str(folder),
        data_prefix={"img": "JPEGImages/"},
        metainfo={"classes": CLASSES},
    )
    records = [dataset.get_data_info(index) for index in range(min(count, len(dataset)))]
    return [{**record, "gt_label": 0} for record in records]


# ---------------------------------------------------------------------- the clock


def seconds(program: Callable[[Record], Any], records: Sequence[Record]) -> float:
    """Return the time that a pipeline takes for all records."""
    copies = [dict(record) for record in records]
    start = time.perf_counter()
    for record in copies:
        program(record)
    return time.perf_counter() - start


def measure(race: Race, records: Sequence[Record], rounds: int) -> tuple[float, float]:
    """Return the images per second of both, by the medians of their rounds."""
    for program in (race.ours, race.theirs):
        seconds(program, records[:5])
    times = [(seconds(race.ours, records), seconds(race.theirs, records)) for _ in range(rounds)]
    ours, theirs = (len(records) / statistics.median(column) for column in zip(*times, strict=True))
    return ours, theirs


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=ROOT / "data/bccd", help="the folder of BCCD")
    parser.add_argument("--only", default="", help="race only those whose name has this in it")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    with unpacked(args.data) as folder:
        if folder is None:
            print(f"skipped: there is neither {args.data} nor a bccd.zip (VISUITE_DATA names its folder)")
            return
        records = records_of(folder, args.images)
        print(f"one of {os.cpu_count()} cores, {len(records)} images, medians of {args.rounds} rounds")
        print(f"OpenCV {cv2.__version__}, torchvision {torchvision.__version__}; a ratio above 1: ours is faster")
        print("| pipeline | ours, images / s | torchvision v2, images / s | ratio |")
        print("|---|---|---|---|")
        for race in (classification(), detection((1333, 800), 640), detection((512, 512), 384)):
            if args.only.lower() in race.name.lower():
                ours, theirs = measure(race, records, args.rounds)
                print(f"| {race.name} | {ours:.1f} | {theirs:.1f} | {ours / theirs:.2f} |", flush=True)


if __name__ == "__main__":
    main()
