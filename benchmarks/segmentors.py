#!/usr/bin/env python
"""What segmentation costs: a step of training and a prediction against torchvision's models, and IoU against NumPy.

    python benchmarks/segmentors.py [--rounds 5] [--batch 2] [--size 256] [--threads 1] [--device cuda] [--only LRASPP]

Both get the same images and maps, 21 classes, and the same optimizer. FCN is the same network. DeepLabV3 differs in one
layer: a 3x3 convolution joins the branches where torchvision has a 1x1 and a narrower 3x3 one. LRASPP looks at the maps
that torchvision's looks at, with strides 8 and 16; the published config, with finer maps of strides 2 and 4 and so much
more to do, has a row of its own. The rounds of the two alternate, so that what else the machine does hits both; medians
are compared.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from visuite.engine.registry import DefaultScope
from visuite.engine.structures import PixelData
from visuite.seg.metrics import IoUMetric
from visuite.seg.registry import MODELS
from visuite.seg.structures import SegDataSample

CLASSES = 21
_RESNET = dict(type="ResNet", depth=50, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), contract_dilation=True)
_HEAD = dict(in_channels=2048, in_index=3, num_classes=CLASSES)
_MOBILENET = dict(type="MobileNetV3", arch="large", norm_cfg=dict(type="BN", eps=0.001))
_LRASPP = dict(type="LRASPPHead", input_transform="multiple_select", channels=128, num_classes=CLASSES)
#: By torchvision's names, whatever follows a comma.
MODELS_OF_BOTH: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "fcn_resnet50": (_RESNET, dict(type="FCNHead", **_HEAD, channels=512, num_convs=1, concat_input=False)),
    "deeplabv3_resnet50": (_RESNET, dict(type="ASPPHead", **_HEAD, channels=256, dilations=(1, 12, 24, 36))),
    "lraspp_mobilenet_v3_large": (
        dict(_MOBILENET, out_indices=(6, 16), output_stride=16, adaptive_padding=False),
        dict(_LRASPP, in_channels=(40, 960), in_index=(0, 1), branch_channels=(64,)),
    ),
    "lraspp_mobilenet_v3_large, as published": (
        dict(_MOBILENET, out_indices=(1, 3, 16)),
        dict(_LRASPP, in_channels=(16, 24, 960), in_index=(0, 1, 2)),
    ),
}


class Race(NamedTuple):
    """Two programs that do the same work."""

    name: str
    ours: Callable[[], object]
    other: Callable[[], object]


def model_races(name: str, images: Tensor, maps: Tensor) -> Iterator[Race]:
    """Yield the races of a model: images (B, 3, H, W) and true maps (B, H, W)."""
    backbone, head = MODELS_OF_BOTH[name]
    with DefaultScope.overwrite_default_scope("seg"):
        ours: Any = MODELS.build(dict(type="EncoderDecoder", backbone=backbone, decode_head=head)).to(images.device)
    theirs = name.split(",")[0]
    other: Any = torchvision.models.get_model(theirs, weights=None, weights_backbone=None, num_classes=CLASSES)
    other = other.to(images.device)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=one[None])) for one in maps]

    def our_loss() -> Tensor:
        return ours(images, samples, mode="loss")["decode.loss_ce"]

    def other_loss() -> Tensor:
        return F.cross_entropy(other(images)["out"], maps, ignore_index=255)

    yield Race(f"{name}, training step", step(ours, our_loss), step(other, other_loss))
    ours.eval(), other.eval()
    yield Race(
        f"{name}, prediction",
        torch.no_grad()(lambda: [one.pred_sem_seg for one in ours(images, None, mode="predict")]),
        torch.no_grad()(lambda: other(images)["out"].argmax(dim=1)),
    )


def step(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """Return a program that makes one step of training."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def program() -> None:
        model.train()
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return program


def metric_race(device: str) -> Race:
    """Count one image of Cityscapes' size, 2048 x 1024 and 19 classes, as the metric does and as NumPy does."""
    random = np.random.default_rng(0)
    true, guess = random.integers(0, 19, (1024, 2048)), random.integers(0, 19, (1024, 2048))
    true[:100] = 255
    metric = IoUMetric()
    metric.dataset_meta = {"classes": [str(label) for label in range(19)]}
    maps = [{"data": torch.from_numpy(one)[None].to(device)} for one in (true, guess)]
    sample = {"img_path": "a", "gt_sem_seg": maps[0], "pred_sem_seg": maps[1]}
    matrix = np.zeros((19, 19), np.int64)

    def in_numpy() -> None:
        counted = true != 255
        cells = 19 * true[counted] + guess[counted]
        matrix[...] += np.bincount(cells, minlength=361).reshape(19, 19)

    in_numpy()
    metric.process(None, [sample])
    assert metric._held is not None
    assert (metric._held[0].cpu().numpy() == matrix).all(), "the metric and NumPy count differently"
    return Race("IoUMetric, one map of 2048 x 1024", lambda: metric.process(None, [sample]), in_numpy)


def measure(race: Race, rounds: int, device: str) -> tuple[float, float]:
    """Return the medians of both in seconds; the first round of each only warms up."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for program, taken in zip((race.ours, race.other), times, strict=True):
            start = time.perf_counter()
            program()
            if device != "cpu":
                torch.cuda.synchronize()
            if number:
                taken.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--size", type=int, default=256, help="edge of the images")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default="", help="race only those whose name has this in it, in any case")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    images = torch.randn(args.batch, 3, args.size, args.size, device=args.device)
    maps = torch.randint(0, CLASSES, (args.batch, args.size, args.size), device=args.device)
    print(f"{args.threads} of {os.cpu_count()} cores, {args.device}; {args.batch} images of {args.size} x {args.size}")
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}")
    print(f"medians of {args.rounds} rounds; a ratio above 1 means that ours is faster")
    print("| | ours, ms | other, ms | other / ours |")
    print("|---|---|---|---|")
    chosen = [name for name in MODELS_OF_BOTH if args.only.lower() in name]
    races = (race for name in chosen for race in model_races(name, images, maps))
    metrics = [metric_race(args.device)] if args.only.lower() in "ioumetric" else []
    for race in itertools.chain(metrics, races):
        ours, other = measure(race, args.rounds, args.device)
        print(f"| {race.name} | {ours * 1e3:.1f} | {other * 1e3:.1f} | {other / ours:.2f} |", flush=True)


if __name__ == "__main__":
    main()
