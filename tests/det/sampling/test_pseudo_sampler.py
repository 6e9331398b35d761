from __future__ import annotations

import pytest
import torch

from tests.det.sampling.assigned import image
from visuite.det.assign import AssignResult
from visuite.det.registry import TASK_UTILS
from visuite.engine.structures import InstanceData


def test_all_are_chosen_and_background_does_not_count():
    result, priors, truth = image([0, 2, 1, -1, 2, 0])
    found = TASK_UTILS.build({"type": "PseudoSampler"}).sample(result, priors, truth)
    assert found.pos_inds.tolist() == [1, 2, 4]
    assert found.neg_inds.tolist() == [0, 5]
    assert torch.equal(found.pos_gt_bboxes, truth.bboxes[[1, 0, 1]])
    assert found.avg_factor == 3
    assert not found.pos_is_gt.any()


@pytest.mark.parametrize(("priors", "objects"), [(0, 3), (5, 0), (0, 0)])
def test_empty(priors, objects):
    found = TASK_UTILS.build({"type": "PseudoSampler"}).sample(*image([0] * priors, objects=objects))
    assert found.pos_gt_bboxes.shape == (0, 4)
    assert found.neg_inds.tolist() == list(range(priors))
    assert found.avg_factor == 1


@pytest.mark.parametrize("objects", [3, 0])
def test_masks(objects):
    gt_inds = torch.tensor([0, 3, 1, 0] if objects else [0] * 4)
    masks, goals = torch.rand(4, 5, 6), torch.rand(objects, 5, 6).round()
    result = AssignResult.of(gt_inds, torch.arange(objects) + 10)
    found = TASK_UTILS.build({"type": "MaskPseudoSampler"}).sample(
        result, InstanceData(masks=masks), InstanceData(masks=goals)
    )
    chosen = [1, 2] if objects else []
    assert found.pos_inds.tolist() == chosen
    assert torch.equal(found.pos_masks, masks[chosen])
    assert torch.equal(found.neg_masks, masks[gt_inds == 0])
    assert torch.equal(found.masks, torch.cat((masks[chosen], masks[gt_inds == 0])))
    assert torch.equal(found.pos_gt_masks, goals[[2, 0] if objects else []])
    assert found.pos_gt_labels.tolist() == ([12, 10] if objects else [])
    assert found.num_gts == objects
    assert found.avg_factor == max(objects - 1, 1)
