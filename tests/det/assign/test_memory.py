"""A thousand objects in one image stay within bounds, and looking at them in chunks changes nothing."""

from __future__ import annotations

import pytest
import torch

from tests.cv.ops.checks import random_boxes
from tests.det.assign.instances import CLASSES, PeakMemory, anchors, guesses, objects, points
from visuite.det.assign import sweep
from visuite.det.registry import TASK_UTILS
from visuite.engine.structures import InstanceData

MIB = 2**20
IOU = {"pos_iou_thr": 0.5, "neg_iou_thr": 0.4, "min_pos_iou": 0}

#: Every assigner that compares all priors with all objects, and whether its priors are points.
ASSIGNERS = [
    ({"type": "MaxIoUAssigner", **IOU, "ignore_iof_thr": 0.5}, False),
    ({"type": "MaxIoUAssigner", "pos_iou_thr": 0.3, "neg_iou_thr": 0.3, "match_low_quality": False}, False),
    ({"type": "ApproxMaxIoUAssigner", **IOU}, False),
    ({"type": "GridAssigner", **IOU}, False),
    ({"type": "ATSSAssigner", "topk": 9, "ignore_iof_thr": 0.5}, False),
    ({"type": "ATSSAssigner", "topk": 9, "alpha": 0.8}, False),
    ({"type": "TaskAlignedAssigner", "topk": 13}, False),
    ({"type": "UniformAssigner", "pos_ignore_thr": 0.15, "neg_ignore_thr": 0.7}, False),
    ({"type": "CenterRegionAssigner", "pos_scale": 0.2, "neg_scale": 0.2, "foreground_dominate": True}, False),
    ({"type": "PointAssigner", "scale": 4, "pos_num": 3}, True),
    ({"type": "SimOTAAssigner"}, True),
    ({"type": "DynamicSoftLabelAssigner", "topk": 13}, True),
]
names = pytest.mark.parametrize(("config", "pointwise"), ASSIGNERS, ids=[one["type"] for one, _ in ASSIGNERS])


def assign(config, pointwise, priors, levels, truth, crowd):
    boxes, logits = guesses(priors, truth)
    predicted = InstanceData(
        priors=priors,
        bboxes=boxes,
        decoder_priors=boxes,
        scores=logits if config["type"] in ("DynamicSoftLabelAssigner", "ATSSAssigner") else logits.sigmoid(),
        approxs=torch.stack((priors, priors + 3), dim=1),
        responsible_flags=torch.arange(len(priors)) % 3 == 0,
    )
    more = {"num_level_priors": levels} if config["type"] == "ATSSAssigner" else {}
    assigner = TASK_UTILS.build(config)
    return lambda: assigner.assign(pred_instances=predicted, gt_instances=truth, gt_instances_ignore=crowd, **more)


@names
def test_chunks_change_nothing(config, pointwise, monkeypatch):
    priors, levels = (points(), [64, 16, 4]) if pointwise else anchors()
    truth = objects(30, seed=3)
    truth.labels[20:24] = truth.labels[:4]
    truth.bboxes[20:24] = truth.bboxes[:4]  # in another chunk; the first of equals counts
    call = assign(config, pointwise, priors, levels, truth, objects(2, seed=4))
    whole = call()
    assert (whole.gt_inds > 0).sum() > 10
    monkeypatch.setattr(sweep, "PAIRS_AT_ONCE", 200)
    parts = call()
    assert torch.equal(whole.gt_inds, parts.gt_inds)
    assert torch.equal(whole.labels, parts.labels)
    if whole.max_overlaps is not None:
        assert torch.equal(whole.max_overlaps, parts.max_overlaps)


@names
def test_memory_does_not_follow_the_objects(config, pointwise, monkeypatch):
    monkeypatch.setattr(sweep, "PAIRS_AT_ONCE", 2**16)
    count = 4000
    priors = random_boxes(count, size=500)
    if pointwise:
        priors = torch.cat((priors[:, :2], torch.full((count, 2), 8.0)), dim=1)
    peaks = []
    for number in (16, 500):  # all in one chunk; 32 chunks, 7.6 MiB for a matrix of all pairs
        call = assign(config, pointwise, priors, [3000, 900, 100], objects(number, size=500), objects(2, size=500))
        with PeakMemory() as memory:
            call()
        peaks.append(memory.peak)
        assert memory.largest < MIB
    few, many = peaks
    candidates = 500 * 27 * 8 * 16  # what is kept of each object's candidates: about 16 numbers each
    assert many < 1.3 * few + candidates
    assert many < 16 * 4 * 2**16 + candidates + count * CLASSES * 4 * 8


@pytest.mark.slow
def test_the_stated_bound():
    priors = random_boxes(200_000, size=1333)
    assigner = TASK_UTILS.build({"type": "MaxIoUAssigner", **IOU})
    with PeakMemory() as memory:
        found = assigner.assign(InstanceData(priors=priors), objects(1000, size=1333))
    assert (found.gt_inds > 0).any()
    assert memory.largest <= 16 * MIB
    assert memory.peak < 256 * MIB


def test_the_gauge_itself():
    with PeakMemory() as memory:
        kept = torch.zeros(MIB)
        for _ in range(3):
            kept = kept + 1
        view = kept[:10]
        del kept
    assert memory.largest == 4 * MIB
    assert memory.peak == 8 * MIB
    assert memory.now == 4 * MIB
    del view
    assert memory.now == 0
