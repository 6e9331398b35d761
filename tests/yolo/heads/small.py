"""What the tests of heads share: small heads over maps of 48 x 80 pixels, and batches by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.det.structures import BitmapMasks, DetDataSample
from visuite.engine.structures import InstanceData
from visuite.yolo.heads.truth import BatchTruth, batch_truth
from visuite.yolo.registry import MODELS

CLASSES = 3
HEIGHT, WIDTH = 48, 80
STRIDES = (8, 16)
SIZES = [(6, 10), (3, 5)]
CHANNELS = (8, 16)
ANCHORS = [[(10, 13), (33, 23)], [(30, 61), (90, 40)]]
META = {"img_shape": (HEIGHT, WIDTH), "ori_shape": (HEIGHT, WIDTH), "scale_factor": (1.0, 1.0)}


def config(name: str, *, module: str | None = None, classes: int = CLASSES, **options: Any) -> dict[str, Any]:
    """The config of a head over anchors with two levels; `options` of its module are in `head_module`."""
    more = options.pop("head_module", {})
    layers = {
        "type": module or f"{name}Module",
        "num_classes": classes,
        "in_channels": CHANNELS,
        "num_base_priors": 2,
        "featmap_strides": STRIDES,
        **more,
    }
    anchors = {"type": "det.YOLOAnchorGenerator", "base_sizes": ANCHORS, "strides": list(STRIDES)}
    return {
        "type": name,
        "head_module": layers,
        "prior_generator": anchors,
        "obj_level_weights": [4.0, 1.0],
        "test_cfg": {"nms": {"type": "nms", "iou_threshold": 0.65}, "score_thr": 0.001, "max_per_img": 300},
        **options,
    }


def build(cfg: dict[str, Any]) -> Any:
    """Build a head and initialise it, the same at each call."""
    torch.manual_seed(0)
    head = MODELS.build(cfg)
    head.init_weights()
    return head


def features(images: int = 2, seed: int = 0) -> list[torch.Tensor]:
    """Maps (B, C_l, H_l, W_l) by chance."""
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(images, c, *size, generator=random) for c, size in zip(CHANNELS, SIZES, strict=True)]


def some_objects(count: int, seed: int, classes: int = CLASSES) -> InstanceData:
    """Objects with sides from 4 to 64 pixels, and elliptic masks."""
    random = torch.Generator().manual_seed(seed)
    sides = 4 + torch.rand(count, 2, generator=random) * torch.tensor([60.0, 40.0])
    corners = torch.rand(count, 2, generator=random) * (torch.tensor([WIDTH, HEIGHT]) - sides)
    boxes = torch.cat([corners, corners + sides], dim=1)
    y, x = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    away = ((x - centre[:, 0, None, None]) / sides[:, 0, None, None]) ** 2
    away = away + ((y - centre[:, 1, None, None]) / sides[:, 1, None, None]) ** 2
    labels = torch.randint(classes, (count,), generator=random)
    return InstanceData(bboxes=boxes, labels=labels, masks=BitmapMasks((away <= 0.25).numpy(), HEIGHT, WIDTH))


def some_samples(counts: Sequence[int], classes: int = CLASSES) -> list[DetDataSample]:
    """One sample for each number of objects."""
    return [
        DetDataSample(metainfo=META, gt_instances=some_objects(count, 10 * sum(counts) + index, classes))
        for index, count in enumerate(counts)
    ]


def some_truth(counts: Sequence[int], *, with_masks: bool = False) -> BatchTruth:
    """Those samples as one."""
    return batch_truth(some_samples(counts), torch.device("cpu"), with_masks=with_masks)


def learns(head: nn.Module, samples: Sequence[DetDataSample]) -> Mapping[str, torch.Tensor]:
    """Losses are finite, and so are the gradients of all parameters and features; return the losses."""
    feats = [one.requires_grad_() for one in features(len(samples))]
    losses = head.train().loss(feats, samples)
    assert all(loss.shape == () and loss.dtype == torch.float32 for loss in losses.values())
    assert all(loss.isfinite() for loss in losses.values())
    head.zero_grad()
    sum(losses.values()).backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert all(one.grad.isfinite().all() for one in feats)
    return losses
