"""What every sampler promises, by the one that draws by chance."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.det.sampling.assigned import image
from visuite.det.registry import TASK_UTILS
from visuite.det.sampling import RandomSampler, random_choice


@given(
    seed=st.integers(0, 10**6),
    positive=st.integers(0, 20),
    negative=st.integers(0, 30),
    num=st.integers(0, 40),
    fraction=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    bound=st.sampled_from([-1, 0, 1, 3]),
)
def test_numbers(seed, positive, negative, num, fraction, bound):
    generator = torch.Generator().manual_seed(seed)
    gt_inds = torch.cat((torch.arange(positive) % 3 + 1, torch.zeros(negative, dtype=torch.long), torch.full((4,), -1)))
    gt_inds = gt_inds[torch.randperm(len(gt_inds), generator=generator)]
    sampler = RandomSampler(num, fraction, neg_pos_ub=bound, add_gt_as_proposals=False)
    found = sampler.sample(*image(gt_inds))
    pos = min(positive, int(num * fraction))
    neg = min(negative, num - pos)
    if bound >= 0:
        neg = min(neg, bound * max(pos, 1))
    assert (len(found.pos_inds), len(found.neg_inds)) == (pos, neg)
    assert (gt_inds[found.pos_inds] > 0).all()
    assert (gt_inds[found.neg_inds] == 0).all()
    for chosen in (found.pos_inds, found.neg_inds):
        assert torch.equal(chosen, chosen.unique())
    assert (found.num_pos, found.num_neg) == (max(pos, 1), max(neg, 1))
    assert found.avg_factor == found.num_pos + found.num_neg


def test_what_is_told_of_the_chosen():
    result, priors, truth = image([0, 2, 1, -1, 2, 0])
    found = RandomSampler(100, 0.5, add_gt_as_proposals=False).sample(result, priors, truth)
    assert found.pos_inds.tolist() == [1, 2, 4]
    assert found.neg_inds.tolist() == [0, 5]
    assert torch.equal(found.pos_priors, priors.priors[[1, 2, 4]])
    assert torch.equal(found.neg_priors, priors.priors[[0, 5]])
    assert torch.equal(found.priors, priors.priors[[1, 2, 4, 0, 5]])
    assert torch.equal(found.bboxes, found.priors)
    assert torch.equal(found.pos_bboxes, found.pos_priors)
    assert torch.equal(found.neg_bboxes, found.neg_priors)
    assert found.pos_assigned_gt_inds.tolist() == [1, 0, 1]
    assert torch.equal(found.pos_gt_bboxes, truth.bboxes[[1, 0, 1]])
    assert found.pos_gt_labels.tolist() == [11, 10, 11]
    assert found.pos_is_gt.tolist() == [0, 0, 0]
    assert found.num_gts == 3


def test_objects_own_boxes_take_part():
    result, priors, truth = image([0, 2, 0])
    found = RandomSampler(100, 0.5).sample(result, priors, truth)
    assert found.pos_inds.tolist() == [0, 1, 2, 4]
    assert found.pos_is_gt.tolist() == [1, 1, 1, 0]
    assert found.pos_assigned_gt_inds.tolist() == [0, 1, 2, 1]
    assert torch.equal(found.pos_priors[:3], truth.bboxes)
    assert torch.equal(found.pos_gt_bboxes, truth.bboxes[[0, 1, 2, 1]])
    assert found.neg_inds.tolist() == [3, 5]
    assert torch.equal(found.neg_priors, priors.priors[[0, 2]])


def test_the_seed_decides_and_all_have_the_same_chance():
    sampler = RandomSampler(4, 0.5, add_gt_as_proposals=False)
    counts = torch.zeros(20)
    for seed in range(200):
        torch.manual_seed(seed)
        found = sampler.sample(*image([1] * 10 + [0] * 10))
        torch.manual_seed(seed)
        again = sampler.sample(*image([1] * 10 + [0] * 10))
        assert torch.equal(found.pos_inds, again.pos_inds)
        assert torch.equal(found.neg_inds, again.neg_inds)
        counts[found.pos_inds] += 1
        counts[found.neg_inds] += 1
    assert counts.sum() == 800
    assert (counts - 40).abs().max() < 29  # five standard deviations


def test_random_choice():
    gallery = torch.arange(5, 12)
    assert torch.equal(random_choice(gallery, 7), gallery)
    chosen = random_choice(gallery, 3)
    assert len(chosen.unique()) == 3
    assert torch.isin(chosen, gallery).all()
    assert random_choice(gallery, 0).tolist() == []


@pytest.mark.parametrize("name", ["RandomSampler", "InstanceBalancedPosSampler", "IoUBalancedNegSampler"])
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(("priors", "objects"), [(0, 3), (5, 0), (0, 0)])
def test_empty(name, own, priors, objects):
    sampler = TASK_UTILS.build({"type": name, "num": 3, "pos_fraction": 1.0, "add_gt_as_proposals": own})
    found = sampler.sample(*image([0] * priors, [0.0] * priors, objects))
    assert len(found.pos_inds) == (min(objects, 3) if own else 0)
    assert found.pos_gt_bboxes.shape == found.pos_priors.shape == (len(found.pos_inds), 4)
    assert len(found.neg_inds) == min(priors, 3 - len(found.pos_inds))
    assert found.avg_factor >= 2


def test_a_part_is_from_0_to_1():
    with pytest.raises(ValueError, match=r"pos_fraction.*1\.5"):
        RandomSampler(3, 1.5)
