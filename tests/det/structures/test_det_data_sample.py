"""Data samples of detection."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from visuite.det.structures import BitmapMasks, DetDataSample, PolygonMasks, box_tensor
from visuite.engine.structures import InstanceData, PixelData

OBJECTS = ("gt_instances", "ignored_instances", "pred_instances", "proposals")
MAPS = ("gt_sem_seg", "pred_sem_seg", "gt_panoptic_seg", "pred_panoptic_seg")


@pytest.mark.parametrize("name", OBJECTS + MAPS)
def test_fields_hold_one_kind_of_element(name: str) -> None:
    objects, maps = InstanceData(bboxes=torch.zeros(2, 4)), PixelData(sem_seg=torch.zeros(1, 3, 4))
    good, bad = (objects, maps) if name in OBJECTS else (maps, objects)
    sample = DetDataSample(metainfo={"img_id": 3})
    setattr(sample, name, good)
    assert getattr(sample, name) is good
    assert sample.keys() == [name]
    with pytest.raises(TypeError, match=name):
        setattr(sample, name, bad)
    delattr(sample, name)
    assert name not in sample
    with pytest.raises(AttributeError, match=name):
        getattr(sample, name)


@pytest.mark.parametrize("polygons", [False, True])
def test_masks_are_chosen_joined_copied_and_moved_with_their_objects(polygons: bool) -> None:
    masks = (PolygonMasks if polygons else BitmapMasks).random(4, 20, 30, rng=0)
    objects = InstanceData(bboxes=masks.get_bboxes(), labels=torch.arange(4), masks=masks)
    for index in (torch.tensor([2, 0]), torch.tensor([True, False, True, False]), slice(1, 3), [3], 1):
        chosen = objects[index]
        torch.testing.assert_close(chosen.masks.get_bboxes(), chosen.bboxes)
    joined = InstanceData.cat([objects[:1], objects[1:]])
    assert np.array_equal(joined.masks.to_ndarray(), masks.to_ndarray())
    sample = DetDataSample(gt_instances=objects).to("cpu")
    back = pickle.loads(pickle.dumps(sample))
    assert np.array_equal(back.gt_instances.masks.to_ndarray(), masks.to_ndarray())
    assert objects[torch.zeros(4, dtype=torch.bool)].masks.to_ndarray().shape == (0, 20, 30)


def test_boxes_of_all_kinds() -> None:
    tensor = torch.arange(8.0).reshape(2, 4)

    class Boxes:
        def __init__(self) -> None:
            self.tensor = tensor

    assert box_tensor(tensor) is tensor
    assert box_tensor(Boxes()) is tensor
    assert torch.equal(box_tensor(tensor.numpy()), tensor)
    assert box_tensor([[1, 2, 3, 4]]).shape == (1, 4)
    with pytest.raises(TypeError, match="str"):
        box_tensor("boxes")
