"""MaxIoUAssigner and its kin against plain loops and torchvision's matcher."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models.detection._utils import Matcher

from tests.cv.ops.checks import random_boxes
from tests.det.assign.instances import anchors, objects
from visuite.cv.ops import bbox_overlaps
from visuite.det.assign import ApproxMaxIoUAssigner, MaxIoUAssigner
from visuite.det.registry import TASK_UTILS
from visuite.engine.structures import InstanceData

RULES = [
    {"pos_iou_thr": 0.5, "neg_iou_thr": 0.4, "min_pos_iou": 0},
    {"pos_iou_thr": 0.7, "neg_iou_thr": 0.3, "min_pos_iou": 0.3},
    {"pos_iou_thr": 0.5, "neg_iou_thr": (0.1, 0.5), "min_pos_iou": 0.2},
    {"pos_iou_thr": 0.5, "neg_iou_thr": 0.5, "min_pos_iou": 0.5, "match_low_quality": False},
    {"pos_iou_thr": 0.5, "neg_iou_thr": 0.5, "gt_max_assign_all": False},
]


def plain_assignment(
    overlaps, pos_iou_thr, neg_iou_thr, min_pos_iou=0.0, gt_max_assign_all=True, match_low_quality=True, ignored=()
):
    """The steps of Faster R-CNN for overlaps[object][prior]."""
    low, high = neg_iou_thr if isinstance(neg_iou_thr, tuple) else (0.0, neg_iou_thr)
    count = len(overlaps[0])
    found = [-1] * count
    for p in range(count):
        if p in ignored:
            continue
        column = [row[p] for row in overlaps]
        best = max(column)
        if low <= best < high:
            found[p] = 0
        if best >= pos_iou_thr:
            found[p] = column.index(best) + 1
    if match_low_quality:
        for g, row in enumerate(overlaps):
            best = max(value for p, value in enumerate(row) if p not in ignored)
            if best >= min_pos_iou and best > 0:
                equal = [p for p, value in enumerate(row) if value == best and p not in ignored]
                for p in equal if gt_max_assign_all else equal[:1]:
                    found[p] = g + 1
    return found


@pytest.mark.parametrize("rules", RULES)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 12))
def test_by_plain_loops(rules, seed, count):
    priors, truth = anchors()[0], objects(count, seed)
    found = MaxIoUAssigner(**rules).assign(InstanceData(priors=priors), truth)
    overlaps = bbox_overlaps(truth.bboxes, priors)
    assert found.gt_inds.tolist() == plain_assignment(overlaps.tolist(), **rules)
    torch.testing.assert_close(found.max_overlaps, overlaps.amax(0))
    owners = found.gt_inds.tolist()
    assert found.labels.tolist() == [truth.labels[g - 1].item() if g > 0 else -1 for g in owners]
    assert found.num_gts == count
    assert found.num_preds == len(priors)


@given(seed=st.integers(0, 10**6), count=st.integers(1, 12))
def test_agrees_with_torchvision(seed, count):
    priors, truth = anchors()[0], objects(count, seed)
    overlaps = bbox_overlaps(truth.bboxes, priors)
    plain = MaxIoUAssigner(0.5, 0.3, match_low_quality=False).assign(InstanceData(priors=priors), truth).gt_inds
    theirs = Matcher(0.5, 0.3)(overlaps)
    assert torch.equal(plain, torch.where(theirs >= 0, theirs + 1, (theirs == -1).long() - 1))
    generous = MaxIoUAssigner(0.5, 0.3).assign(InstanceData(priors=priors), truth).gt_inds
    theirs = Matcher(0.5, 0.3, allow_low_quality_matches=True)(overlaps)
    assert torch.equal(generous > 0, theirs >= 0)  # which object gets a prior that two claim is another rule


@given(seed=st.integers(0, 10**6))
@pytest.mark.parametrize("wrt_candidates", [True, False])
def test_ignored_regions(wrt_candidates, seed):
    priors, truth, crowd = anchors()[0], objects(3, seed), objects(2, seed + 1)
    assigner = MaxIoUAssigner(0.5, 0.4, ignore_iof_thr=0.6, ignore_wrt_candidates=wrt_candidates)
    found = assigner.assign(InstanceData(priors=priors), truth, crowd)
    first, second = (priors, crowd.bboxes) if wrt_candidates else (crowd.bboxes, priors)
    shared = bbox_overlaps(first, second, "iof")
    lost = (shared.amax(1) if wrt_candidates else shared.amax(0)) > 0.6
    ignored = set(lost.nonzero().flatten().tolist())
    if len(ignored) == len(priors):
        return
    want = plain_assignment(bbox_overlaps(truth.bboxes, priors).tolist(), 0.5, 0.4, ignored=ignored)
    assert found.gt_inds.tolist() == want
    assert (found.max_overlaps[lost] == -1).all()


def test_ignored_regions_without_objects():
    priors, crowd = anchors()[0], objects(2)
    found = MaxIoUAssigner(0.5, 0.4, ignore_iof_thr=0.6).assign(InstanceData(priors=priors), objects(0), crowd)
    lost = bbox_overlaps(priors, crowd.bboxes, "iof").amax(1) > 0.6
    assert lost.any()
    assert torch.equal(found.gt_inds, -lost.long())


def test_an_object_that_nothing_overlaps_takes_nothing():
    truth = InstanceData(bboxes=torch.tensor([[5.0, 5, 5, 5], [900, 900, 910, 910]]), labels=torch.tensor([0, 1]))
    found = MaxIoUAssigner(0.5, 0.4, min_pos_iou=0).assign(InstanceData(priors=anchors()[0]), truth)
    assert (found.gt_inds == 0).all()


@pytest.mark.parametrize("kind", [MaxIoUAssigner, ApproxMaxIoUAssigner])
@pytest.mark.parametrize(("priors", "count"), [(0, 3), (5, 0), (0, 0)])
def test_empty(kind, priors, count):
    boxes = random_boxes(priors)
    found = kind(0.5, 0.4).assign(InstanceData(priors=boxes, approxs=boxes[:, None]), objects(count), objects(1))
    assert found.gt_inds.tolist() == [0] * priors
    assert found.labels.tolist() == [-1] * priors
    assert found.max_overlaps.tolist() == [0.0] * priors
    assert found.num_gts == count


def test_approximations_count_for_their_prior():
    truth, rules = objects(4, seed=2), {"pos_iou_thr": 0.5, "neg_iou_thr": 0.4, "min_pos_iou": 0.3}
    approxs = random_boxes(60, size=64, seed=3).reshape(20, 3, 4)
    found = ApproxMaxIoUAssigner(**rules).assign(InstanceData(priors=approxs[:, 0], approxs=approxs), truth)
    best = bbox_overlaps(truth.bboxes, approxs.reshape(-1, 4)).reshape(4, 20, 3).amax(2)
    assert found.gt_inds.tolist() == plain_assignment(best.tolist(), **rules)


def test_on_the_cpu_with_many_objects():
    priors, truth = InstanceData(priors=anchors()[0]), objects(5)
    few, many = (MaxIoUAssigner(0.5, 0.4, gpu_assign_thr=limit).assign(priors, truth) for limit in (-1, 4))
    assert torch.equal(few.gt_inds, many.gt_inds)


def test_objects_of_one_place_share_its_priors():
    truth = InstanceData(bboxes=torch.tensor([[8.0, 8, 40, 40]]).repeat(4, 1), labels=torch.arange(4))
    priors = InstanceData(priors=torch.tensor([[8.0, 8, 40, 40]]) + torch.randn(300, 1))
    alone = MaxIoUAssigner(0.5, 0.4, match_low_quality=False)
    assert alone.assign(priors, truth).gt_inds.unique().tolist() == [1]
    config = {"iou_thr": 0.7, "perm_range": 0.01}
    shared = MaxIoUAssigner(0.5, 0.4, match_low_quality=False, perm_repeat_gt_cfg=config).assign(priors, truth)
    assert len(shared.gt_inds.unique()) > 1
    assert (shared.max_overlaps - alone.assign(priors, truth).max_overlaps).abs().max() < 0.05
    apart = InstanceData(bboxes=torch.tensor([[0.0, 0, 9, 9], [8, 8, 40, 40]]), labels=torch.arange(2))
    moved = MaxIoUAssigner(0.5, 0.4, perm_repeat_gt_cfg=config).assign(priors, apart)
    assert torch.equal(moved.max_overlaps, MaxIoUAssigner(0.5, 0.4).assign(priors, apart).max_overlaps)


def test_contradictions():
    with pytest.raises(ValueError, match=r"neg_iou_thr 0\.6.*pos_iou_thr 0\.5"):
        MaxIoUAssigner(0.5, 0.6)
    with pytest.raises(TypeError, match="ignore_iof_thr"):
        TASK_UTILS.build({"type": "MaxIoUAssigner", "pos_iou_thr": 0.5, "neg_iou_thr": 0.5, "ignore_iof_th": 1})
