#!/usr/bin/env python
"""What YOLOs cost: their mosaics, a training step and the part of it that assigns, predictions before and after fusing.

    python benchmarks/yolo.py [--rounds 5] [--batch 2] [--size 320] [--threads 1] [--device cuda] [--only yolov8]

Models and pipelines are those of `configs/yolo/*_coco.py`, in size s where there is one.

Mosaics: of four JPEG files of BCCD (640 x 480) YOLOv8's training pipeline makes an image of 640 x 640, which is mapped,
coloured, flipped and packed. The other side does so by transforms v2 of torchvision, after a mosaic made by hand. One
process and one thread; without the data set there is nothing to measure.

Training: a step is preprocessing at one scale, forward and backward, of images of which each has so many objects.
Assigning ends with the targets of all priors; losses are not part of it. `first epochs`: as other assigners do it then.

Predictions end with objects in the size of the image. Weights are random, norms have the statistics of the images, and
the threshold is such that an image has as many candidates as `--candidates` says, before suppression. Fused are
`visuite.yolo.deploy.deploy`'s: one convolution for a block of several, none with a norm behind it. How far apart scores
are is the largest difference, in parts of the largest score.

Times are the processor's where one thread works, so that what else the machine does hardly counts, and the clock's
otherwise. All cases take turns in each round, and medians are compared.
"""

from __future__ import annotations

import argparse
import copy
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms import v2

from visuite.det.structures import DetDataSample
from visuite.engine.config import Config
from visuite.engine.dataset import Compose
from visuite.engine.registry import init_default_scope
from visuite.engine.structures import InstanceData
from visuite.yolo.datasets import YOLOv5CocoDataset, yolov5_collate
from visuite.yolo.deploy import deploy
from visuite.yolo.registry import MODELS, TRANSFORMS

ROOT = Path(__file__).resolve().parents[1]
CLASSES = 80
BLOOD = ("RBC", "WBC", "Platelets")
Record = dict[str, Any]
Program = Callable[[], Any]


def config(family: str, size: str) -> Config:
    """Return the published config of a size."""
    os.environ["SIZE"] = size
    return Config.fromfile(ROOT / f"configs/yolo/{family}_coco.py")


# ---------------------------------------------------------------------- mosaics


def our_mosaics(dataset: YOLOv5CocoDataset) -> Callable[[Record], Any]:
    """Return YOLOv8's training pipeline, on a record."""
    pipeline = Compose([TRANSFORMS.build(one) for one in config("yolov8", "s").train_pipeline])
    return lambda record: pipeline({**record, "dataset": dataset})


def their_mosaics(dataset: YOLOv5CocoDataset) -> Callable[[Record], Any]:
    """Return the same by transforms v2 around a mosaic that is put together by hand."""
    edge, grey = 640, 114
    transforms = v2.Compose(
        [
            v2.RandomAffine(0, (0.05, 0.05), (0.5, 1.5), interpolation=v2.InterpolationMode.BILINEAR, fill=grey),
            v2.CenterCrop(edge),
            v2.ColorJitter(brightness=0.4, saturation=0.7, hue=0.015),
            v2.RandomHorizontalFlip(0.5),
            v2.SanitizeBoundingBoxes(min_size=2),
        ]
    )

    def fitted(record: Record) -> tuple[Tensor, Tensor, Tensor]:
        image = decode_jpeg(read_file(record["img_path"]), mode=ImageReadMode.RGB)
        factor = edge / max(image.shape[-2:])
        size = [round(side * factor) for side in image.shape[-2:]]
        found = record["instances"]
        boxes = torch.tensor([one["bbox"] for one in found], dtype=torch.float32).reshape(-1, 4) * factor
        labels = torch.tensor([one["bbox_label"] for one in found], dtype=torch.int64)
        return v2.functional.resize(image, size, antialias=False), boxes, labels

    def program(record: Record) -> Any:
        others = [dataset.get_data_info(random.randrange(len(dataset))) for _ in range(3)]
        canvas = torch.full((3, 2 * edge, 2 * edge), grey, dtype=torch.uint8)
        across, down = (random.randrange(edge // 2, 3 * edge // 2) for _ in range(2))
        boxes, labels = [], []
        for place, (image, objects, classes) in enumerate(map(fitted, (record, *others))):
            h, w = image.shape[-2:]
            left, top = across - w * (place % 2 == 0), down - h * (place < 2)
            x, y = max(left, 0), max(top, 0)
            part = image[:, y - top : 2 * edge - top, x - left : 2 * edge - left]
            canvas[:, y : y + part.shape[1], x : x + part.shape[2]] = part
            boxes.append((objects + torch.tensor([left, top, left, top])).clamp(0, 2 * edge))
            labels.append(classes)
        whole = tv_tensors.BoundingBoxes(torch.cat(boxes), format="XYXY", canvas_size=(2 * edge, 2 * edge))  # type: ignore[arg-type]
        image, truth = transforms(tv_tensors.Image(canvas), {"boxes": whole, "labels": torch.cat(labels)})
        return image.contiguous(), truth

    return program


def mosaics(args: argparse.Namespace) -> None:
    """Print how many images a second are made of four."""
    if not args.data.is_dir():
        print(f"mosaics skipped: there is no {args.data}")
        return
    dataset = YOLOv5CocoDataset(
        ann_file="annotations/instances_train.json",
        data_root=str(args.data),
        data_prefix={"img": "JPEGImages/"},
        metainfo={"classes": BLOOD},
    )
    records = [dataset.get_data_info(index) for index in range(min(args.images, len(dataset)))]
    pipelines = our_mosaics(dataset), their_mosaics(dataset)
    runs: list[Program] = [lambda run=run: [run(dict(record)) for record in records] for run in pipelines]  # type: ignore[misc]
    for pipeline in pipelines:
        pipeline(dict(records[0]))
    ours, theirs = (len(records) / one for one in alternate(runs, args.rounds, Clock("cpu", 1)))
    print("| mosaics of four, 640 x 640 | ours, images / s | torchvision v2, images / s | ratio |")
    print("|---|---|---|---|")
    print(f"| YOLOv8's training pipeline | {ours:.1f} | {theirs:.1f} | {ours / theirs:.2f} |\n", flush=True)


# ---------------------------------------------------------------------- clocks


class Clock:
    """The processor's time where one thread works, and the wall's otherwise.

    Args:
        device: What works.
        threads: How many threads it has.
    """

    def __init__(self, device: str, threads: int) -> None:
        self.waits = not device.startswith("cpu")
        self.read = time.perf_counter if self.waits or threads > 1 else time.process_time

    def now(self) -> float:
        """Return the seconds, when all that was begun is done."""
        if self.waits:
            torch.accelerator.synchronize()
        return self.read()

    def seconds(self, program: Program) -> float:
        """Return what a run takes."""
        start = self.now()
        program()
        return self.now() - start


class Watch:
    """Sums up what a method takes.

    Args:
        owner: The object whose method it is.
        method: The method's name.
        clock: What is looked at.
    """

    def __init__(self, owner: Any, method: str, clock: Clock) -> None:
        self.total = 0.0
        inner = getattr(owner, method)

        def watched(*args: Any, **kwargs: Any) -> Any:
            start = clock.now()
            result = inner(*args, **kwargs)
            self.total += clock.now() - start
            return result

        setattr(owner, method, watched)

    def take(self) -> float:
        """Return the sum, and begin anew."""
        total, self.total = self.total, 0.0
        return total


def alternate(programs: Sequence[Program], rounds: int, clock: Clock) -> list[float]:
    """Return the median seconds of programs that take turns."""
    times = [[clock.seconds(program) for program in programs] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


# ---------------------------------------------------------------------- models and what they work on


class Case(NamedTuple):
    """A model, and which part of its head assigns, by which method."""

    name: str
    family: str
    size: str
    assigner: Callable[[Any], tuple[Any, str]]
    first_epochs: bool = False


def points(head: Any) -> tuple[Any, str]:
    """Who assigns points to all objects of a batch."""
    return head.assigners, "assign"


CASES = [
    Case("YOLOv5-s", "yolov5", "s", lambda head: (head, "match")),
    Case("YOLOv6-s", "yolov6", "s", points),
    Case("YOLOv6-s, first epochs", "yolov6", "s", points, first_epochs=True),
    Case("YOLOv7-tiny", "yolov7", "tiny", lambda head: (head, "assign")),
    Case("YOLOv8-s", "yolov8", "s", points),
    Case("YOLOX-s", "yolox", "s", lambda head: (head.assigner, "assign")),
    Case("RTMDet-s", "rtmdet", "s", points),
    Case("PP-YOLOE+ s", "ppyoloe", "s", points),
    Case("PP-YOLOE+ s, first epochs", "ppyoloe", "s", points, first_epochs=True),
]


def build(case: Case, device: str) -> Any:
    """Return a model that trains at the scale of its images, with random weights."""
    cfg = config(case.family, case.size).model
    cfg.data_preprocessor.pop("batch_augments", None)
    cfg.backbone.pop("init_cfg", None)  # nothing is fetched
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    model.init_weights()
    if not case.first_epochs and hasattr(model.bbox_head, "assigners"):
        model.bbox_head.assigners.initial_epoch = 0
    return model.to(device)


def samples(args: argparse.Namespace) -> list[Record]:
    """Return images of noise with objects, one after the other."""
    rng, size = np.random.default_rng(0), args.size
    made = []
    for number in range(args.batch):
        sides = np.exp(rng.uniform(np.log(size / 20), np.log(size * 0.6), (args.objects, 2)))
        corners = rng.random((args.objects, 2)) * (size - sides)
        boxes = torch.from_numpy(np.concatenate((corners, corners + sides), 1)).float()
        truth = InstanceData(bboxes=boxes, labels=torch.from_numpy(rng.integers(0, CLASSES, args.objects)))
        meta = dict(img_id=number, img_shape=(size, size), ori_shape=(size, size), scale_factor=(1.0, 1.0))
        image = torch.from_numpy(rng.integers(0, 256, (3, size, size), dtype=np.uint8))
        made.append({"inputs": image, "data_samples": DetDataSample(metainfo=meta, gt_instances=truth)})
    return made


def trainings(cases: Sequence[Case], args: argparse.Namespace) -> None:
    """Print what a step takes, and what part of it assigns."""
    clock, batch = Clock(args.device, args.threads), yolov5_collate(samples(args))
    steps: list[Program] = []
    watches = []
    for case in cases:
        model = build(case, args.device).train()
        watches.append(Watch(*case.assigner(model.bbox_head), clock))

        def step(model: Any = model) -> None:
            model.zero_grad()
            loss, _ = model.parse_losses(model(**model.data_preprocessor(batch, True), mode="loss"))
            loss.backward()

        step()  # and all is warm
        watches[-1].take()
        steps.append(step)
    times: list[list[tuple[float, float]]] = [[] for _ in cases]
    for _ in range(args.rounds):
        for number, step in enumerate(steps):
            times[number].append((clock.seconds(step), watches[number].take()))
    print(f"| training, {args.batch} images, {args.objects} objects each | step, ms | assigning, ms | share |")
    print("|---|---|---|---|")
    for case, rows in zip(cases, times, strict=True):
        whole, part = (statistics.median(column) for column in zip(*rows, strict=True))
        share = statistics.median(one / all_of_it for all_of_it, one in rows)
        print(f"| {case.name} | {1000 * whole:.0f} | {1000 * part:.1f} | {share:.1%} |", flush=True)
    print()


@torch.no_grad()
def look_around(model: Any, inputs: Tensor) -> None:
    """Give norms other factors than 1 and 0, and the statistics of what they see; let no convolution be 0."""
    for conv in (part for part in model.modules() if isinstance(part, nn.Conv2d)):
        if not conv.weight.any():
            conv.weight.normal_(std=0.01)
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all that it sees
        norm.weight.uniform_(0.8, 1.2)
        norm.bias.uniform_(-0.2, 0.2)
    model.train()(inputs, mode="tensor")
    model.eval()


def candidates_of(model: Any, inputs: Tensor) -> Tensor:
    """Return the scores (B, P, K) of all places."""
    outputs = model.bbox_head.read(*model.bbox_head(model.extract_feat(inputs)))
    return outputs.scores if outputs.factors is None else outputs.scores * outputs.factors[..., None]


@torch.no_grad()
def predictions(cases: Sequence[Case], args: argparse.Namespace) -> None:
    """Print what predictions take before and after fusing, and how far their scores lie apart."""
    clock, made = Clock(args.device, args.threads), samples(args)
    batch = {name: [one[name] for one in made] for name in made[0]}
    programs: list[Program] = []
    rows = []
    for case in cases:
        model = build(case, args.device)
        inputs = model.data_preprocessor(batch, False)["inputs"]
        look_around(model, inputs)
        scores = candidates_of(model, inputs)
        best = scores.flatten().topk(args.candidates * args.batch + 1).values
        model.bbox_head.test_cfg["score_thr"] = float(best[-1])
        fused = deploy(copy.deepcopy(model))
        weights = [sum(one.numel() for one in part.parameters()) / 1e6 for part in (model, fused)]
        rows.append((weights, float((candidates_of(fused, inputs) - scores).abs().max() / best[0])))
        for part in (model, fused):

            def predict(part: Any = part) -> int:
                found = part(**part.data_preprocessor(copy.deepcopy(batch), False), mode="predict")
                return sum(len(one.pred_instances) for one in found)

            predict()  # and all is warm
            programs.append(predict)
    times = alternate(programs, args.rounds, clock)
    print(f"| prediction, {args.batch} images | as trained, ms | fused, ms | ratio | weights, M | scores apart |")
    print("|---|---|---|---|---|---|")
    for number, (case, (weights, apart)) in enumerate(zip(cases, rows, strict=True)):
        before, after = times[2 * number : 2 * number + 2]
        cells = [case.name, f"{1000 * before:.0f}", f"{1000 * after:.0f}", f"{before / after:.2f}"]
        cells += [f"{weights[0]:.2f}, {weights[1]:.2f}", f"{apart:.1e}"]
        print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--objects", type=int, default=10, help="in each image")
    parser.add_argument("--candidates", type=int, default=1000, help="in each image")
    parser.add_argument("--images", type=int, default=60, help="of mosaics, in a round")
    parser.add_argument("--data", type=Path, default=ROOT / "data/bccd", help="the folder of BCCD")
    parser.add_argument("--threads", type=int, default=1, help="of more than one, each step waits for the slowest")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default="", help="only those whose name has this in it; mosaics are yolov8's")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(0)
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    init_default_scope("yolo")
    print(f"{args.threads} of {os.cpu_count()} cores, {args.device}; {args.size} x {args.size}; ", end="")
    print(f"medians of {args.rounds} rounds; torch {torch.__version__}, torchvision {torchvision.__version__}\n")
    cases = [case for case in CASES if args.only.lower() in f"{case.family} {case.name}".lower()]
    if args.only.lower() in "yolov8 mosaics":
        mosaics(args)
    trainings(cases, args)
    predictions([case for case in cases if not case.first_epochs], args)


if __name__ == "__main__":
    main()
