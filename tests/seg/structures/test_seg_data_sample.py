"""Data samples of segmentation."""

from __future__ import annotations

import pickle

import pytest
import torch

from visuite.engine.structures import PixelData
from visuite.seg.structures import SegDataSample

FIELDS = ("gt_sem_seg", "gt_edge_map", "gt_depth_map", "pred_sem_seg", "seg_logits", "pred_depth_map")


def whole() -> SegDataSample:
    maps = {name: PixelData(data=torch.full((1, 2, 3), index)) for index, name in enumerate(FIELDS)}
    return SegDataSample(metainfo={"img_shape": (2, 3)}, **maps)


def test_holds_maps() -> None:
    sample = whole()
    assert sample.keys() == list(FIELDS)
    assert sample.seg_logits.data.eq(4).all()
    assert sample.pred_sem_seg.shape == (2, 3)


@pytest.mark.parametrize("name", FIELDS)
def test_holds_nothing_but_maps(name: str) -> None:
    with pytest.raises(TypeError, match=f"'{name}' has to be a PixelData, not a Tensor"):
        setattr(SegDataSample(), name, torch.zeros(1, 2, 3))


def test_survives_a_trip() -> None:
    back = pickle.loads(pickle.dumps(whole()))
    assert back.img_shape == (2, 3)
    assert torch.equal(back.pred_sem_seg.data, whole().pred_sem_seg.data)


def test_a_region_of_all_maps() -> None:
    sample = whole()
    assert sample.gt_sem_seg[0:1, 1:3].data.shape == (1, 1, 2)
