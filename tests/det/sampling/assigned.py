"""Assignments by hand, for the tests of samplers."""

from __future__ import annotations

import torch

from tests.cv.ops.checks import random_boxes
from visuite.det.assign import AssignResult
from visuite.engine.structures import InstanceData


def image(gt_inds, overlaps=None, objects=3):
    """An assignment, its priors and its objects, of classes 10, 11, ..."""
    gt_inds = torch.as_tensor(gt_inds, dtype=torch.long)
    truth = InstanceData(bboxes=random_boxes(objects, seed=1), labels=torch.arange(objects) + 10)
    overlaps = None if overlaps is None else torch.as_tensor(overlaps, dtype=torch.float32)
    return AssignResult.of(gt_inds, truth.labels, overlaps), InstanceData(priors=random_boxes(len(gt_inds))), truth
