#!/usr/bin/env python
"""What operators cost: milliseconds against torchvision's own, or against a plain loop where it has none, in one run.

    python benchmarks/ops.py [--rounds 7] [--threads 1] [--device cuda] [--only nms]

The rounds of the two programs alternate, so that what else the machine does hits both; medians are compared. Operators
that are trained through are timed forward and backward.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.ops import boxes as tv_boxes

from visuite.cv import ops


class Race(NamedTuple):
    """Two programs that do the same work."""

    name: str
    ours: Callable[[], object]
    other: Callable[[], object]
    against: str


def boxes_in(count: int, size: float = 800.0, extent: float = 120.0) -> Tensor:
    """Return boxes (count, 4) `xyxy` of sides up to `extent` in a square image."""
    corner = torch.rand(count, 2) * (size - extent)
    return torch.cat((corner, corner + torch.rand(count, 2) * extent + 1), dim=1)


def trained(function: Callable[..., Tensor], *inputs: Tensor) -> Callable[[], None]:
    """Return a program that runs a function forward and backward."""
    leaves = [one.detach().clone().requires_grad_(one.is_floating_point()) for one in inputs]

    def step() -> None:
        function(*leaves).sum().backward()
        for leaf in leaves:
            leaf.grad = None

    return step


# ---------------------------------------------------------------------- plain loops


def loop_soft_nms(boxes: Tensor, scores: Tensor) -> list[int]:
    """Take the best box, let the others decay, and so on."""
    scores, kept = scores.clone(), []
    while scores.max() >= 1e-3:
        best = int(scores.argmax())
        kept.append(best)
        iou = tv_boxes.box_iou(boxes[best, None], boxes)[0]
        scores = torch.where(iou >= 0.3, scores * (1 - iou), scores)
        scores[best] = -1
    return kept


def loop_nms_match(boxes: Tensor, scores: Tensor) -> list[Tensor]:
    """Take the best box with all that it covers, and so on."""
    order, groups = scores.argsort(descending=True), []
    while len(order):
        covered = tv_boxes.box_iou(boxes[order[0], None], boxes[order])[0] > 0.5
        covered[0] = True
        groups.append(order[covered])
        order = order[~covered]
    return groups


def loop_roi_max(features: Tensor, rois: Tensor) -> Tensor:
    """Read the points of one region after another, and take the largest of each bin."""
    out = []
    for roi in rois:
        points = torchvision.ops.roi_align(features, roi[None], (14, 14), 0.25, 1, True)
        out.append(F.max_pool2d(points, 2))
    return torch.cat(out)


def loop_attention(value: Tensor, shapes: list[tuple[int, int]], at: Tensor, weights: Tensor) -> Tensor:
    """Read one head, level and point after another."""
    heads = []
    for head in range(value.shape[2]):
        total = value.new_zeros(value.shape[0], value.shape[3], at.shape[1])
        levels = value[:, :, head].split([height * width for height, width in shapes], dim=1)
        for level, (size, pixels) in enumerate(zip(shapes, levels, strict=True)):
            image = pixels.transpose(1, 2).unflatten(2, size)
            for point in range(at.shape[4]):
                grid = at[:, :, head, level, point] * 2 - 1
                read = F.grid_sample(image, grid[:, :, None], align_corners=False)[..., 0]
                total = total + read * weights[:, None, :, head, level, point]
        heads.append(total.transpose(1, 2))
    return torch.cat(heads, dim=-1)


def loop_criss_cross(layer: ops.CrissCrossAttention, x: Tensor) -> Tensor:
    """Attend from one row after another."""
    query, key, value = layer.query_conv(x), layer.key_conv(x), layer.value_conv(x)
    rows = []
    for y in range(x.shape[2]):
        asked = query[:, :, y]
        column = (asked[:, :, None] * key).sum(1)  # (B, H, W)
        column = column.index_fill(1, torch.tensor([y], device=x.device), float("-inf"))
        row = asked.transpose(1, 2) @ key[:, :, y]  # (B, W, W)
        weights = torch.cat((column.transpose(1, 2), row), dim=-1).softmax(-1)
        down, across = weights.split((x.shape[2], x.shape[3]), dim=-1)
        gathered = (value * down.transpose(1, 2)[:, None]).sum(2) + value[:, :, y] @ across.transpose(1, 2)
        rows.append(gathered)
    return x + layer.gamma["scale"] * torch.stack(rows, dim=2)


def loop_psa_mask(masks: Tensor, size: int) -> Tensor:
    """Lay one pixel's mask after another over the map."""
    batch, _, rows, columns = masks.shape
    half, grid = size // 2, masks.unflatten(1, (size, size))
    out = masks.new_zeros(batch, rows, columns, rows, columns)
    for y in range(rows):
        for x in range(columns):
            top, bottom = max(half - y, 0), min(half + rows - y, size)
            left, right = max(half - x, 0), min(half + columns - x, size)
            seen = grid[:, top:bottom, left:right, y, x]
            first_row, first_column = y + top - half, x + left - half
            out[:, first_row : first_row + bottom - top, first_column : first_column + right - left, y, x] = seen
    return out.flatten(1, 2)


# ---------------------------------------------------------------------- the races


def suppressions() -> Iterator[Race]:
    """Yield non-maximum suppression in its forms."""
    boxes, scores, idxs = boxes_in(5000), torch.rand(5000), torch.randint(80, (5000,))
    few, their = boxes[:1000], scores[:1000]
    dets = torch.cat((few, their[:, None]), dim=1)
    yield Race(
        "nms, 5000 boxes",
        lambda: ops.nms(boxes, scores, 0.5),
        lambda: torchvision.ops.nms(boxes, scores, 0.5),
        "torchvision",
    )
    yield Race(
        "batched_nms, 5000 boxes of 80 classes",
        lambda: ops.batched_nms(boxes, scores, idxs, dict(iou_threshold=0.5)),
        lambda: torchvision.ops.batched_nms(boxes, scores, idxs, 0.5),
        "torchvision",
    )
    yield Race("soft_nms, 1000 boxes", lambda: ops.soft_nms(few, their), lambda: loop_soft_nms(few, their), "loop")
    yield Race("nms_match, 1000 boxes", lambda: ops.nms_match(dets, 0.5), lambda: loop_nms_match(few, their), "loop")


def overlaps() -> Iterator[Race]:
    """Yield boxes, and their overlaps."""
    a, b = boxes_in(20000), boxes_in(60)
    theirs = {
        "iou": tv_boxes.box_iou,
        "giou": tv_boxes.generalized_box_iou,
        "diou": tv_boxes.distance_box_iou,
        "ciou": tv_boxes.complete_box_iou,
    }
    for mode, other in theirs.items():
        yield Race(
            f"bbox_overlaps {mode}, 20000 x 60",
            lambda mode=mode: ops.bbox_overlaps(a, b, mode),  # type: ignore[misc]
            lambda other=other: other(a, b),  # type: ignore[misc]
            "torchvision",
        )
    yield Race(
        "convert_boxes, 20000",
        lambda: ops.convert_boxes(a, "xyxy", "cxcywh"),
        lambda: torchvision.ops.box_convert(a, "xyxy", "cxcywh"),
        "torchvision",
    )


def regions() -> Iterator[Race]:
    """Yield features of regions and points."""
    features = torch.randn(2, 64, 100, 100)
    rois = torch.cat((torch.randint(2, (128, 1)).float(), boxes_in(128, 400.0)), dim=1)
    points = torch.rand(2, 5000, 2)
    yield Race(
        "roi_align, 128 regions",
        trained(lambda x: ops.roi_align(x, rois, 7, 0.25, 2), features),
        trained(lambda x: torchvision.ops.roi_align(x, rois, 7, 0.25, 2, True), features),
        "torchvision",
    )
    yield Race(
        "roi_align max, 128 regions",
        trained(lambda x: ops.roi_align(x, rois, 7, 0.25, 2, "max"), features),
        trained(lambda x: loop_roi_max(x, rois), features),
        "loop",
    )
    yield Race(
        "roi_pool, 128 regions",
        trained(lambda x: ops.roi_pool(x, rois, 7, 0.25), features),
        trained(lambda x: torchvision.ops.roi_pool(x, rois, 7, 0.25), features),
        "torchvision",
    )
    yield Race(
        "SimpleRoIAlign, 128 regions",
        trained(lambda x: ops.SimpleRoIAlign(14, 0.25)(x, rois), features),
        trained(lambda x: torchvision.ops.roi_align(x, rois, 14, 0.25, 1, True), features),
        "torchvision",
    )
    yield Race(
        "point_sample, 2 x 5000 points",
        trained(lambda x: ops.point_sample(x, points), features),
        trained(lambda x: F.grid_sample(x, points[:, :, None] * 2 - 1, align_corners=False), features),
        "torch's grid_sample",
    )


def convolutions() -> Iterator[Race]:
    """Yield deformable and masked convolutions."""
    x, theirs = torch.randn(2, 64, 32, 32), torchvision.ops.DeformConv2d(64, 64, 3, padding=1, bias=False)
    offset, mask = torch.randn(2, 18, 32, 32), torch.rand(2, 9, 32, 32)
    plain, modulated = (kind(64, 64, 3, padding=1) for kind in (ops.DeformConv2d, ops.ModulatedDeformConv2d))
    yield Race("DeformConv2d", trained(plain, x, offset), trained(theirs, x, offset), "torchvision")
    yield Race(
        "ModulatedDeformConv2d", trained(modulated, x, offset, mask), trained(theirs, x, offset, mask), "torchvision"
    )
    masked, wanted = ops.MaskedConv2d(64, 64, 3, padding=1), (torch.rand(2, 32, 32) > 0.9).float()
    yield Race(
        "MaskedConv2d, a tenth kept",
        torch.no_grad()(lambda: masked(x, wanted)),
        torch.no_grad()(lambda: masked(x) * wanted[:, None]),
        "the whole convolution",
    )


def attentions() -> Iterator[Race]:
    """Yield attention over levels, over rows and columns, and over masks."""
    shapes = [(40, 40), (20, 20), (10, 10), (5, 5)]
    value, at = torch.randn(2, sum(h * w for h, w in shapes), 8, 32), torch.rand(2, 300, 8, 4, 4, 2)
    weights = torch.rand(2, 300, 8, 4, 4)
    yield Race(
        "multi_scale_deformable_attn, 300 queries",
        trained(lambda *t: ops.multi_scale_deformable_attn_pytorch(t[0], shapes, *t[1:]), value, at, weights),
        trained(lambda *t: loop_attention(t[0], shapes, *t[1:]), value, at, weights),
        "loop",
    )
    layer, x = ops.CrissCrossAttention(64), torch.randn(2, 64, 32, 32)
    nn.init.ones_(layer.gamma["scale"])
    yield Race("CrissCrossAttention", trained(layer, x), trained(lambda y: loop_criss_cross(layer, y), x), "loop")
    masks = torch.randn(2, 31 * 31, 16, 16)
    yield Race(
        "psa_mask, 16 x 16",
        trained(lambda y: ops.psa_mask(y, "collect", 31), masks),
        trained(lambda y: loop_psa_mask(y, 31), masks),
        "loop",
    )


def losses() -> Iterator[Race]:
    """Yield focal losses."""
    logits, target = torch.randn(20000, 80), torch.randint(81, (20000,))
    inside = target.clamp(max=79)

    def tv_sigmoid(x: Tensor) -> Tensor:
        onehot = F.one_hot(target, 81)[:, :80].to(x)
        return torchvision.ops.sigmoid_focal_loss(x, onehot, 0.25, 2.0, "sum")

    def by_cross_entropy(x: Tensor) -> Tensor:
        cost = F.cross_entropy(x, inside, reduction="none")
        return (0.25 * (1 - torch.exp(-cost)) ** 2 * cost).sum()

    yield Race(
        "sigmoid_focal_loss, 20000 x 80",
        trained(lambda x: ops.sigmoid_focal_loss(x, target, reduction="sum"), logits),
        trained(tv_sigmoid, logits),
        "torchvision",
    )
    yield Race(
        "softmax_focal_loss, 20000 x 80",
        trained(lambda x: ops.softmax_focal_loss(x, inside, reduction="sum"), logits),
        trained(by_cross_entropy, logits),
        "torch's cross_entropy",
    )


# ---------------------------------------------------------------------- the clock


def seconds(program: Callable[[], object], repeats: int) -> float:
    """Return the time of one run of a program, the mean of some."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(repeats):
        program()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / repeats


def measure(race: Race, rounds: int) -> tuple[float, float]:
    """Return the median seconds of both, each round being long enough for the clock."""
    repeats = []
    for program in (race.ours, race.other):
        program()
        repeats.append(max(1, min(200, int(0.02 / max(seconds(program, 1), 1e-6)))))
    times = [(seconds(race.ours, repeats[0]), seconds(race.other, repeats[1])) for _ in range(rounds)]
    return statistics.median(t[0] for t in times), statistics.median(t[1] for t in times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1, help="of more than one, each step waits for the slowest")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default="", help="race only those whose name has this in it")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    torch.set_default_device(args.device)
    print(f"{args.threads} of {os.cpu_count()} cores, {args.device}")
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}")
    print(f"medians of {args.rounds} rounds; a ratio above 1 means that ours is faster")
    print("| operator | ours, ms | other, ms | other / ours | other |")
    print("|---|---|---|---|---|")
    for group in (suppressions, overlaps, regions, convolutions, attentions, losses):
        for race in group():
            if args.only in race.name:
                ours, other = measure(race, args.rounds)
                ratio = f"{other / ours:.2f} | {race.against}"
                print(f"| {race.name} | {ours * 1e3:.3f} | {other * 1e3:.3f} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
