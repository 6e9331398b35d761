"""Every loss with an input of its kind, for the contract that all of them keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from tests.cv.ops.checks import random_boxes, random_tensor
from visuite.engine.registry import MODELS

CLASSES = 5


@dataclass(frozen=True)
class Case:
    """A loss's config, and how its input looks.

    Args:
        name: Of the case.
        config: Of the loss.
        kind: A function of this module's `INPUTS` that returns predictions and targets of n elements.
        own_mean: Its mean is not that of what `none` returns.
        density: It weighs elements itself, by their gradients.
        detached: Part of its gradient is left out on purpose.
    """

    name: str
    config: dict[str, Any]
    kind: str
    own_mean: bool = False
    density: bool = False
    detached: bool = False

    def make(self, **changes: Any) -> Any:
        return MODELS.build({**self.config, **changes})

    def inputs(self, n: int = 6, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, Any]:
        return INPUTS[self.kind](n, dtype)


def labels(n, *shape, top=CLASSES):
    gen = torch.Generator().manual_seed(7)
    return torch.randint(0, top, (n, *shape), generator=gen)


def parts(n, *shape, dtype):
    """Numbers in (0, 1)."""
    return random_tensor(n, *shape, seed=3, dtype=dtype).sigmoid() if n else torch.zeros(0, *shape, dtype=dtype)


def scores(n, *shape, dtype):
    return random_tensor(n, *shape, dtype=dtype)


def heat(n, dtype):
    truth = parts(n, 3, 4, dtype=dtype)
    return parts(n, 3, 4, dtype=dtype).flip(2).clone(), torch.where(truth > 0.7, 1, truth)


def boxes(n, dtype):
    found = random_boxes(n, dtype=dtype)
    return found + 3 * random_tensor(n, 4, dtype=dtype), found


INPUTS = {
    "classes": lambda n, dtype: (scores(n, CLASSES, dtype=dtype), labels(n)),
    "background": lambda n, dtype: (scores(n, CLASSES, dtype=dtype), labels(n, top=CLASSES + 1)),
    "seesaw": lambda n, dtype: (scores(n, CLASSES + 2, dtype=dtype), labels(n, top=CLASSES + 1)),
    "shares": lambda n, dtype: (scores(n, CLASSES, dtype=dtype), parts(n, CLASSES, dtype=dtype)),
    "several": lambda n, dtype: (scores(n, CLASSES, dtype=dtype), labels(n, CLASSES, top=2)),
    "map": lambda n, dtype: (scores(n, CLASSES, 3, 4, dtype=dtype), labels(n, 3, 4)),
    "object map": lambda n, dtype: (scores(n, 1, 3, 4, dtype=dtype), labels(n, 3, 4, top=2)),
    "quality": lambda n, dtype: (
        scores(n, CLASSES, dtype=dtype),
        (labels(n, top=CLASSES + 1), parts(n, dtype=dtype)),
    ),
    "distance": lambda n, dtype: (scores(n, CLASSES, dtype=dtype), 4 * parts(n, dtype=dtype)),
    "heat": heat,
    "numbers": lambda n, dtype: (scores(n, 4, dtype=dtype), 2 * parts(n, 4, dtype=dtype)),
    "boxes": boxes,
    "masks": lambda n, dtype: (scores(n, 3, 4, dtype=dtype), labels(n, 3, 4, top=2)),
}


def _case(name: str, kind: str, **config: Any) -> Case:
    flags = {key: config.pop(key) for key in ("own_mean", "density", "detached") if key in config}
    more = ", ".join(f"{key}={value}" for key, value in config.items())
    return Case(f"{name}({more}) {kind}", {"type": name, **config}, kind, **flags)


CASES = [
    _case("CrossEntropyLoss", "classes"),
    _case("CrossEntropyLoss", "map", class_weight=[1.0, 2, 3, 0.5, 0.1], ignore_index=2),
    _case("CrossEntropyLoss", "shares", use_soft=True),
    _case("CrossEntropyLoss", "background", use_sigmoid=True),
    _case("CrossEntropyLoss", "map", use_sigmoid=True, ignore_index=2),
    _case("CrossEntropyLoss", "object map", use_sigmoid=True),
    _case("LabelSmoothLoss", "classes", label_smooth_val=0.1),
    _case("FocalLoss", "background"),
    _case("FocalLoss", "several", gamma=1.5, alpha=0.4),
    _case("FocalLoss", "shares"),
    _case("FocalLoss", "map", class_weight=[1.0, 2, 3, 0.5, 0.1], alpha=[0.1, 0.2, 0.3, 0.4, 0.5], ignore_index=2),
    _case("QualityFocalLoss", "quality"),
    _case("QualityFocalLoss", "shares", beta=1.5),
    _case("DistributionFocalLoss", "distance"),
    _case("VarifocalLoss", "shares"),
    _case("GaussianFocalLoss", "heat"),
    _case("L1Loss", "numbers"),
    _case("MSELoss", "numbers"),
    _case("SmoothL1Loss", "numbers", beta=0.5),
    _case("BalancedL1Loss", "numbers"),
    _case("IoULoss", "boxes"),
    _case("IoULoss", "boxes", mode="square", eps=1e-16),
    _case("IoULoss", "boxes", linear=True),
    _case("GIoULoss", "boxes"),
    _case("DIoULoss", "boxes"),
    _case("CIoULoss", "boxes", detached=True),
    _case("BoundedIoULoss", "boxes"),
    _case("DiceLoss", "masks"),
    _case("DiceLoss", "masks", naive_dice=True, eps=1.0),
    _case("DiceLoss", "map", use_sigmoid=False, ignore_index=2, mask_ignored=True),
    _case("TverskyLoss", "map", class_weight=[1.0, 2, 3, 0.5, 0.1]),
    _case("LovaszLoss", "map", per_image=True),
    _case("LovaszLoss", "object map", loss_type="binary", per_image=True),
    _case("OhemCrossEntropy", "map", min_kept=20, thres=0.1, own_mean=True),
    _case("BoundaryLoss", "object map"),
    _case("AsymmetricLoss", "several", gamma_pos=1.0),
    _case("KnowledgeDistillationKLDivLoss", "shares", T=3),
    _case("GHMC", "background", density=True),
    _case("GHMR", "numbers", density=True),
    _case("CrossEntropyCustomLoss", "background", num_classes=CLASSES),
    _case("FocalCustomLoss", "background", num_classes=CLASSES),
    _case("SeesawLoss", "seesaw", num_classes=CLASSES, return_dict=False, detached=True, own_mean=True),
]
