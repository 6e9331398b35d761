"""Samplers of Libra R-CNN: the numbers that each object and each bin gets."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.det.sampling.assigned import image
from visuite.det.registry import TASK_UTILS
from visuite.det.sampling import CombinedSampler, InstanceBalancedPosSampler, IoUBalancedNegSampler, RandomSampler
from visuite.det.sampling.instance_balanced_pos_sampler import rank_in_group


@given(groups=st.lists(st.integers(0, 4), max_size=20))
def test_rank_in_group(groups):
    want = [groups[:place].count(group) for place, group in enumerate(groups)]
    assert rank_in_group(torch.tensor(groups, dtype=torch.long)).tolist() == want


@given(seed=st.integers(0, 10**6))
def test_objects_get_the_same_number(seed):
    torch.manual_seed(seed)
    gt_inds = torch.tensor([1] * 50 + [2] * 30 + [3] * 20)[torch.randperm(100)]
    sampler = InstanceBalancedPosSampler(12, 1.0, add_gt_as_proposals=False)
    found = sampler.sample(*image(gt_inds))
    counts = gt_inds[found.pos_inds].bincount(minlength=4)[1:]
    assert len(found.pos_inds) == 12
    assert counts.max() <= 12 / 3 + 1  # by chance alone, one of 50 has about 6
    assert counts.min() >= 12 - 2 * 5


def test_what_an_object_lacks_others_give():
    gt_inds = [1] * 40 + [2] + [3]
    found = InstanceBalancedPosSampler(12, 1.0, add_gt_as_proposals=False).sample(*image(gt_inds))
    assert len(found.pos_inds) == 12
    assert {40, 41} <= set(found.pos_inds.tolist())


OVERLAPS = torch.cat((torch.zeros(100), torch.linspace(0.01, 0.09, 40), torch.tensor([0.12, 0.15, 0.25, 0.28, 0.3])))


def bins_of(found, edges):
    return torch.bucketize(OVERLAPS[found.neg_inds], torch.tensor(edges), right=True).bincount(minlength=len(edges) + 1)


def test_bins_get_the_same_number():
    sampler = IoUBalancedNegSampler(24, 0.0, floor_thr=-1, floor_fraction=0, num_bins=3, add_gt_as_proposals=False)
    for seed in range(20):
        torch.manual_seed(seed)
        found = sampler.sample(*image([0] * len(OVERLAPS), OVERLAPS))
        low, middle, high = bins_of(found, [0.1, 0.2]).tolist()
        assert low + middle + high == 24
        assert (middle, high) == (2, 3)  # all that there are; 8 were wanted


def test_each_bin_gives_a_third_where_it_can():
    overlaps = torch.linspace(0, 0.3, 301)
    found = IoUBalancedNegSampler(30, 0.0, add_gt_as_proposals=False).sample(*image([0] * 301, overlaps))
    assert torch.bucketize(overlaps[found.neg_inds], torch.tensor([0.1, 0.2])).bincount().tolist() == [10, 10, 10]


def test_the_floor_gives_its_part():
    sampler = IoUBalancedNegSampler(20, 0.0, floor_thr=0.1, floor_fraction=0.9, add_gt_as_proposals=False)
    found = sampler.sample(*image([0] * len(OVERLAPS), OVERLAPS))
    assert (OVERLAPS[found.neg_inds] < 0.1).sum() == 18
    nothing = IoUBalancedNegSampler(20, 0.0, floor_thr=0, floor_fraction=0.5, add_gt_as_proposals=False)
    found = nothing.sample(*image([0] * len(OVERLAPS), OVERLAPS))
    assert (OVERLAPS[found.neg_inds] == 0).sum() == 10


def test_what_the_floor_lacks_the_bins_give():
    overlaps = torch.cat((torch.zeros(2), torch.rand(50) + 0.01))
    sampler = IoUBalancedNegSampler(20, 0.0, floor_thr=0, floor_fraction=0.9, add_gt_as_proposals=False)
    found = sampler.sample(*image([0] * 52, overlaps))
    assert len(found.neg_inds) == 20
    assert {0, 1} <= set(found.neg_inds.tolist())


def test_equal_overlaps_and_bad_arguments():
    found = IoUBalancedNegSampler(5, 0.0, add_gt_as_proposals=False).sample(*image([0] * 30, [0.0] * 30))
    assert len(found.neg_inds) == 5
    with pytest.raises(ValueError, match="max_overlaps"):
        IoUBalancedNegSampler(5, 0.0, add_gt_as_proposals=False).sample(*image([0] * 30))
    with pytest.raises(ValueError, match="floor_fraction"):
        IoUBalancedNegSampler(5, 0.0, floor_fraction=2)
    with pytest.raises(ValueError, match="num_bins"):
        IoUBalancedNegSampler(5, 0.0, num_bins=0)


def test_two_samplers_share_the_arguments():
    sampler = TASK_UTILS.build(
        {
            "type": "CombinedSampler",
            "num": 24,
            "pos_fraction": 0.5,
            "add_gt_as_proposals": False,
            "pos_sampler": {"type": "InstanceBalancedPosSampler"},
            "neg_sampler": {"type": "IoUBalancedNegSampler", "num_bins": 2},
        },
        default_args={"context": "a head"},
    )
    assert isinstance(sampler, CombinedSampler)
    assert (sampler.pos_sampler.num, sampler.neg_sampler.pos_fraction) == (24, 0.5)
    assert sampler.neg_sampler.context == "a head"
    gt_inds = [1] * 60 + [2] * 20 + [0] * 201
    overlaps = torch.cat((torch.full((80,), 0.6), torch.linspace(0, 0.4, 201)))
    found = sampler.sample(*image(gt_inds, overlaps))
    assert (found.pos_inds >= 60).sum() >= 5
    assert torch.bucketize(overlaps[found.neg_inds], torch.tensor([0.2])).bincount().tolist() == [6, 6]
    ready = CombinedSampler(RandomSampler(1, 1.0), RandomSampler(1, 1.0), num=4, pos_fraction=0.5)
    assert len(ready.sample(*image([1, 1, 1, 0, 0, 0])).priors) == 4
