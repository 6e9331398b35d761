"""A thousand objects in one image stay within bounds, and looking at them in slices changes nothing."""

from __future__ import annotations

import pytest
import torch

from tests.det.assign.instances import CLASSES, PeakMemory
from tests.yolo.assign.batches import NAMES, batch
from visuite.det.assign import sweep
from visuite.yolo.registry import TASK_UTILS

MIB = 2**20
ASSIGNERS = ["BatchTaskAlignedAssigner", "BatchATSSAssigner", "BatchDynamicSoftLabelAssigner"]


def assign(name, one):
    assigner = TASK_UTILS.build({"type": name, "num_classes": CLASSES})
    return one.assign(assigner, logits=name == "BatchDynamicSoftLabelAssigner")


@pytest.mark.parametrize("name", ASSIGNERS)
@pytest.mark.parametrize("counts", [[30, 0, 7], [1]])
def test_slices_change_nothing(name, counts, monkeypatch):
    one = batch(counts, seed=3)
    one.labels[:, 20:24] = one.labels[:, :4]
    one.gt_bboxes[:, 20:24] = one.gt_bboxes[:, :4]  # in another slice; the first of equals counts
    whole = assign(name, one)
    assert whole["fg_mask_pre_prior"].any()
    monkeypatch.setattr(sweep, "PAIRS_AT_ONCE", 600)
    parts = assign(name, one)
    for field in NAMES:
        assert torch.equal(whole[field], parts[field])


@pytest.mark.parametrize("name", ASSIGNERS)
@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_assign(name, count):
    found = assign(name, batch([0] * count + [0]))
    assert found["assigned_labels"].eq(CLASSES).all()
    assert found["assigned_bboxes"].shape == (count + 1, 84, 4)
    assert found["assigned_scores"].shape == (count + 1, 84, CLASSES)
    assert not found["assigned_scores"].any()
    assert not found["fg_mask_pre_prior"].any()


@pytest.mark.parametrize("name", ASSIGNERS)
def test_memory_does_not_follow_the_objects(name, monkeypatch):
    monkeypatch.setattr(sweep, "PAIRS_AT_ONCE", 2**16)
    generator = torch.Generator().manual_seed(0)
    places = torch.rand(2000, 2, generator=generator) * 500
    strides = torch.tensor([8.0]).repeat(1500).tolist() + [16.0] * 400 + [32.0] * 100
    priors = torch.cat((places, torch.tensor(strides)[:, None].repeat(1, 2)), dim=1)
    peaks = []
    for number in (16, 1000):  # all in one slice; 62 slices, 15 MiB for a matrix of all pairs
        one = batch([number, 3], priors=priors, size=500)
        for field in ("boxes", "logits", "priors", "gt_bboxes"):
            setattr(one, field, getattr(one, field).float())
        with PeakMemory() as memory:
            assign(name, one)
        peaks.append(memory.peak)
        assert memory.largest < 2 * MIB
    few, many = peaks
    candidates = 1000 * 2 * 27 * 8 * 16  # what is kept of each object's candidates: about 16 numbers each
    assert many < 1.3 * few + candidates
    assert many < 24 * 4 * 2**16 + candidates + 2 * 2000 * CLASSES * 4 * 8


@pytest.mark.slow
def test_the_stated_bound():
    places = torch.rand(8400, 2, generator=torch.Generator().manual_seed(0)) * 640
    one = batch([1000, *[20] * 7], priors=torch.cat((places, torch.full((8400, 2), 8.0)), dim=1), size=640)
    for field in ("boxes", "logits", "priors", "gt_bboxes"):
        setattr(one, field, getattr(one, field).float())
    for name in ASSIGNERS:
        with PeakMemory() as memory:
            assign(name, one)
        assert memory.largest <= 64 * MIB
        assert memory.peak < 512 * MIB
