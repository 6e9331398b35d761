from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.cv.ops.checks import random_boxes
from tests.cv.ops.test_nms import plain_nms
from tests.cv.ops.test_soft_nms import plain_soft_nms
from visuite.cv.ops import batched_nms, nms


def scene(count, seed=0, groups=4, dtype=torch.float64):
    gen = torch.Generator().manual_seed(seed)
    scores = torch.rand(count, generator=gen, dtype=torch.float64)
    return random_boxes(count, seed=seed, dtype=dtype), scores.to(dtype), torch.randint(groups, (count,), generator=gen)


def plain_batched(boxes, scores, idxs, threshold):
    kept = []
    for group in set(idxs.tolist()):
        members = [i for i in range(len(boxes)) if idxs[i] == group]
        found = plain_nms(boxes[members].tolist(), scores[members].tolist(), threshold)
        kept += [members[one[0]] for one in found]
    return sorted(kept, key=lambda i: -scores[i])


@given(st.integers(0, 30), st.integers(0, 10**6), st.sampled_from([1, 10000]))
def test_against_a_loop_whole_or_group_by_group(count, seed, split):
    boxes, scores, idxs = scene(count, seed)
    dets, kept = batched_nms(boxes, scores, idxs, dict(type="nms", iou_threshold=0.3, split_thr=split))
    assert kept.tolist() == plain_batched(boxes, scores, idxs, 0.3)
    assert torch.equal(dets, torch.cat((boxes[kept], scores[kept, None]), dim=1))


def test_many_boxes_of_groups_large_and_small():
    boxes, scores, idxs = scene(1500)
    idxs = torch.where(torch.arange(1500) < 600, 7, torch.arange(1500) % 90)
    kept = batched_nms(boxes, scores, idxs, dict(iou_threshold=0.3))[1]
    told = torch.cat([torch.where(idxs == g)[0][nms(boxes[idxs == g], scores[idxs == g], 0.3)[1]] for g in range(90)])
    assert torch.equal(kept, told[scores[told].argsort(descending=True)])


@pytest.mark.parametrize("split", [0, 10000])
def test_soft_scores_are_returned(split):
    boxes, scores, idxs = scene(20)
    dets, kept = batched_nms(boxes, scores, idxs, dict(type="soft_nms", min_score=0.1, split_thr=split))
    told = {}
    for group in range(4):
        members = torch.where(idxs == group)[0].tolist()
        for index, score in plain_soft_nms(boxes[members].tolist(), scores[members].tolist(), min_score=0.1):
            told[members[index]] = score
    assert sorted(kept.tolist()) == sorted(told)
    torch.testing.assert_close(dets[:, 4], torch.tensor([told[i] for i in kept.tolist()], dtype=torch.float64))
    assert (dets[:-1, 4] >= dets[1:, 4]).all()


@pytest.mark.parametrize("group", [0, 1203, 10**6])
def test_far_groups_cost_no_digits(group):
    boxes = torch.tensor([[0.1, 0.1, 1000.1, 1000.1], [0.1, 333.3, 1000.1, 1333.3]])  # IoU 0.50015
    idxs, scores = torch.tensor([group, group]), torch.tensor([0.9, 0.8])
    assert batched_nms(boxes, scores, idxs, dict(iou_threshold=0.5001))[1].tolist() == [0]
    assert batched_nms(boxes, scores, idxs, dict(iou_threshold=0.5002))[1].tolist() == [0, 1]


def test_groups_of_negative_coordinates_stay_apart():
    boxes = torch.tensor([[-50.0, -50, -10, -10], [-50, -50, -10, -10], [-100, -100, 60, 60]])
    kept = batched_nms(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 1, 2]), dict(iou_threshold=0.01))[1]
    assert kept.tolist() == [0, 1, 2]


def test_without_a_config_boxes_are_only_sorted():
    boxes, scores, idxs = scene(10)
    dets, kept = batched_nms(boxes, scores, idxs, None)
    assert torch.equal(dets[:, 4], scores.sort(descending=True).values)
    assert torch.equal(boxes[kept], dets[:, :4])


@pytest.mark.parametrize("cfg", [dict(class_agnostic=True), {}])
def test_class_agnostic_by_argument_or_config(cfg):
    boxes, scores, idxs = scene(20)
    kept = batched_nms(boxes, scores, idxs, dict(iou_threshold=0.3, **cfg), class_agnostic=not cfg)[1]
    assert torch.equal(kept, batched_nms(boxes, scores, torch.zeros_like(idxs), dict(iou_threshold=0.3))[1])


@pytest.mark.parametrize("split", [1, 10000])
def test_at_most_so_many(split):
    boxes, scores, idxs = scene(30)
    cfg = dict(iou_threshold=0.5, split_thr=split)
    dets, kept = batched_nms(boxes, scores, idxs, cfg)
    few, first = batched_nms(boxes, scores, idxs, dict(cfg, max_num=3))
    assert len(kept) > 3
    assert torch.equal(first, kept[:3])
    assert torch.equal(few, dets[:3])
    assert cfg == dict(iou_threshold=0.5, split_thr=split)


@pytest.mark.parametrize(
    "cfg", [None, dict(iou_threshold=0.5), dict(type="soft_nms"), dict(iou_threshold=0.5, split_thr=0)]
)
def test_empty(cfg):
    dets, kept = batched_nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long), cfg)
    assert dets.shape == (0, 5)
    assert kept.shape == (0,)


@pytest.mark.parametrize("kind", ["nms", "soft_nms"])
def test_half_precision(kind):
    boxes, scores, idxs = scene(50, dtype=torch.bfloat16)
    dets, kept = batched_nms(boxes, scores, idxs, dict(type=kind, iou_threshold=0.3))
    assert dets.dtype == torch.bfloat16
    wide = batched_nms(boxes.float(), scores.float(), idxs, dict(type=kind, iou_threshold=0.3))[1]
    assert set(kept.tolist()) == set(wide.tolist())


def test_bad_input():
    boxes, scores, idxs = scene(3)
    with pytest.raises(ValueError, match="'hard' is none of"):
        batched_nms(boxes, scores, idxs, dict(type="hard"))
    with pytest.raises(TypeError, match="iou_treshold"):
        batched_nms(boxes, scores, idxs, dict(iou_treshold=0.5))
    with pytest.raises(ValueError, match=r"\(N, 4\)"):
        batched_nms(torch.zeros(3, 5), scores, idxs, dict(iou_threshold=0.5))
