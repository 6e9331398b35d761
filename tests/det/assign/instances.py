"""What the tests of assigners share: images by chance, and how much memory a call takes."""

from __future__ import annotations

import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.cv.ops.checks import random_boxes
from visuite.det.boxes import AnchorGenerator, MlvlPointGenerator
from visuite.engine.structures import InstanceData

CLASSES = 4
SIDE = 64
LEVELS = [(8, 8), (4, 4), (2, 2)]
STRIDES = [8, 16, 32]


def objects(count, seed=0, size=SIDE):
    generator = torch.Generator().manual_seed(seed)
    return InstanceData(
        bboxes=random_boxes(count, size=size, seed=seed), labels=torch.randint(CLASSES, (count,), generator=generator)
    )


def anchors():
    """Square anchors of three levels (84, 4), and how many each has."""
    levels = AnchorGenerator(STRIDES, [1.0], scales=[2], center_offset=0.5).grid_priors(LEVELS)
    return torch.cat(levels), [len(level) for level in levels]


def points():
    """Points and strides of three levels (84, 4)."""
    return torch.cat(MlvlPointGenerator(STRIDES, 0.5).grid_priors(LEVELS, with_stride=True))


def guesses(priors, truth, seed=0):
    """Predictions at priors (P, 4): boxes near objects or anywhere (P, 4), and logits (P, C)."""
    generator = torch.Generator().manual_seed(seed)
    boxes = random_boxes(len(priors), size=SIDE, seed=seed + 1)
    if len(truth.bboxes):
        of_object = truth.bboxes[torch.randint(len(truth.bboxes), (len(priors),), generator=generator)]
        near = of_object + 3 * torch.randn(len(priors), 4, generator=generator)
        near = near.reshape(-1, 2, 2).sort(dim=1).values.flatten(1)
        boxes = torch.where(torch.rand(len(priors), 1, generator=generator) < 0.7, near, boxes)
    return boxes, 2 * torch.randn(len(priors), CLASSES, generator=generator)


def inside(x, y, box, margin=0.0):
    return min(x - box[0], y - box[1], box[2] - x, box[3] - y) > margin


def centre(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


class PeakMemory(TorchDispatchMode):
    """Add up the memory of all tensors that live at the same time, as far as they were made inside.

    Attributes:
        peak: The most bytes at any time.
        largest: The bytes of the largest tensor.
    """

    def __init__(self):
        super().__init__()
        self.live, self.now, self.peak, self.largest = {}, 0, 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for one in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(one, torch.Tensor):
                self._add(one)
        return result

    def _add(self, tensor):
        storage = tensor.untyped_storage()
        key, size = storage.data_ptr(), storage.nbytes()
        if key not in self.live:
            self.live[key] = [0, size]
            self.now += size
            self.peak, self.largest = max(self.peak, self.now), max(self.largest, size)
        self.live[key][0] += 1
        weakref.finalize(tensor, self._drop, key)

    def _drop(self, key):
        self.live[key][0] -= 1
        if not self.live[key][0]:
            self.now -= self.live.pop(key)[1]
