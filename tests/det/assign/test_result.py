from __future__ import annotations

import pytest
import torch

from visuite.det.assign import AssignResult


def test_numbers_become_labels():
    found = AssignResult.of(torch.tensor([2, 0, -1, 1]), torch.tensor([7, 5]))
    assert found.labels.tolist() == [5, -1, -1, 7]
    assert found.pos_inds.tolist() == [0, 3]
    assert found.neg_inds.tolist() == [1]
    assert (found.num_gts, found.num_preds) == (2, 4)


def test_objects_own_boxes_come_first():
    found = AssignResult(2, torch.tensor([0, 2]), torch.tensor([0.1, 0.8]), torch.tensor([-1, 5]))
    found.add_gt_(torch.tensor([7, 5]))
    assert found.gt_inds.tolist() == [1, 2, 0, 2]
    assert found.max_overlaps.tolist() == pytest.approx([1, 1, 0.1, 0.8])
    assert found.labels.tolist() == [7, 5, -1, 5]
    alone = AssignResult.of(torch.tensor([0, 1]), torch.tensor([3]))
    alone.add_gt_(torch.tensor([3]))
    assert alone.gt_inds.tolist() == [1, 0, 1]
    assert alone.max_overlaps is None


def test_extra_properties():
    found = AssignResult.of(torch.tensor([0, 1]), torch.tensor([3]))
    found.set_extra_property("shadowed_labels", [1])
    assert found.get_extra_property("shadowed_labels") == [1]
    assert found.get_extra_property("other") is None
    assert found.info["shadowed_labels"] == [1]
    with pytest.raises(ValueError, match="'labels'"):
        found.set_extra_property("labels", [])
    assert "positive=1" in repr(found)
