#!/usr/bin/env python
"""What backbones cost: forward and backward against torchvision's, with the same weights and images, in one run.

    python benchmarks/backbones.py [--rounds 7] [--batch 2] [--size 224] [--threads 1] [--device cuda] [--only Swin]

Ours gets torchvision's weights by their key map, and has to give the same features and the same gradient of the images
before any clock starts. The rounds of the two alternate, so that what else the machine does hits both; medians are
compared. Both train, but drop nothing.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torchvision
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from visuite.cls.registry import MODELS
from visuite.engine.logging import MMLogger
from visuite.engine.model import load_state_dict

Program = Callable[[Tensor], Tensor]


class Race(NamedTuple):
    """A backbone, and torchvision's model of which it is a part.

    Args:
        name: What the table says.
        config: Of ours.
        model: Torchvision's name of its model.
        features: Runs of that model what ours has.
        arguments: Of that model.
    """

    name: str
    config: dict[str, Any]
    model: str
    features: Callable[[Any, Tensor], Tensor]
    arguments: dict[str, Any]


def resnet(model: Any, x: Tensor) -> Tensor:
    """Run all stages."""
    x = model.maxpool(model.relu(model.bn1(model.conv1(x))))
    return model.layer4(model.layer3(model.layer2(model.layer1(x))))


def swin(model: Any, x: Tensor) -> Tensor:
    """Run all stages, and the norm."""
    return model.permute(model.norm(model.features(x)))


def convnext(model: Any, x: Tensor) -> Tensor:
    """Run all stages, and the norm of the means."""
    return model.classifier[0](model.avgpool(model.features(x))).flatten(1)


def features(model: Any, x: Tensor) -> Tensor:
    """Run what comes before the pooling."""
    return model.features(x)


def whole(model: Any, x: Tensor) -> Tensor:
    """Run everything; the classifier has been taken out."""
    return model(x)


def races(size: int) -> list[Race]:
    """Return the backbones, for images of size x size.

    Swin needs maps no smaller than its windows: smaller ones are another thing to torchvision.
    """
    vit = {"type": "VisionTransformer", "arch": "b", "img_size": size}
    found = [
        Race("ResNet-50", {"type": "ResNet", "depth": 50}, "resnet50", resnet, {}),
        Race("MobileNetV3-large", {"type": "MobileNetV3", "arch": "large"}, "mobilenet_v3_large", features, {}),
        Race("Swin-T", {"type": "SwinTransformer", "arch": "tiny", "drop_path_rate": 0.0}, "swin_t", swin, {}),
        Race("ConvNeXt-T", {"type": "ConvNeXt", "arch": "tiny"}, "convnext_tiny", convnext, {}),
        Race("ViT-B/16", vit, "vit_b_16", whole, {"image_size": size}),
    ]
    return [race for race in found if race.model != "swin_t" or size >= 7 * 32]


def programs_of(race: Race) -> tuple[Program, Program]:
    """Build both models, with the same weights, ready for training."""
    theirs = torchvision.models.get_model(race.model, **race.arguments)
    ours = MODELS.build(race.config)
    load_state_dict(ours, theirs.state_dict(), strict=True)
    if race.features is whole:
        theirs.heads = nn.Identity()
    for part in theirs.modules():
        if isinstance(part, StochasticDepth):
            part.p = 0.0
    return lambda x: ours(x)[-1], lambda x: race.features(theirs, x)


def trained(program: Program, images: Tensor) -> Callable[[], tuple[Tensor, Tensor | None]]:
    """Return a step forward and backward, which tells the features and the gradient of the images."""
    weights: list[Tensor] = []

    def step() -> tuple[Tensor, Tensor | None]:
        images.grad = None
        out = program(images)
        if not weights:
            drawn = torch.randn(out.shape, generator=torch.Generator("cpu").manual_seed(0), device="cpu")
            weights.append(drawn.to(out))
        (out * weights[0]).sum().backward()
        return out.detach(), images.grad

    return step


def distance(one: Tensor, other: Tensor) -> float:
    """Return how far a tensor is from another, as a share of that one's length; numbers that are none are far."""
    return float(((one - other).norm() / other.norm()).nan_to_num(nan=math.inf))


def seconds(program: Callable[[], object]) -> float:
    """Return the time of one run of a program."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    program()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measure(race: Race, images: Tensor, rounds: int) -> tuple[float, float, float]:
    """Return the median seconds of both, and how far their features or gradients are from each other."""
    ours, theirs = (trained(program, images) for program in programs_of(race))
    apart = max(distance(one, other) for one, other in zip(ours(), theirs(), strict=True))  # type: ignore[arg-type]
    times = []
    for number in range(rounds):  # neither is always the first
        first, second = (ours, theirs) if number % 2 else (theirs, ours)
        pair = seconds(first), seconds(second)
        times.append(pair if number % 2 else pair[::-1])
    return statistics.median(t[0] for t in times), statistics.median(t[1] for t in times), apart


def main() -> int:
    """Print the table; the exit code is 1 where the models do not agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--size", type=int, default=224, help="edge of the images; a multiple of 32")
    parser.add_argument("--threads", type=int, default=1, help="of more than one, each step waits for the slowest")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default="", help="race only those whose name has this in it")
    args = parser.parse_args()
    MMLogger.get_current_instance().setLevel(logging.ERROR)
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    torch.set_default_device(args.device)
    images = torch.randn(args.batch, 3, args.size, args.size).requires_grad_()
    print(f"{args.threads} of {os.cpu_count()} cores, {args.device}; {args.batch} images {args.size} x {args.size}")
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, float32")
    print(f"medians of {args.rounds} rounds; a ratio below 1 means that ours is faster")
    print("| backbone | ours, ms | torchvision, ms | ours / torchvision | features and gradients apart by |")
    print("|---|---|---|---|---|")
    worst = 0.0
    for race in races(args.size):
        if args.only.lower() in race.name.lower():
            ours, theirs, apart = measure(race, images, args.rounds)
            print(
                f"| {race.name} | {ours * 1e3:.1f} | {theirs * 1e3:.1f} | {ours / theirs:.3f} | {apart:.0e} |",
                flush=True,
            )
            worst = max(worst, apart)
    return int(worst > 1e-2)


if __name__ == "__main__":
    sys.exit(main())
