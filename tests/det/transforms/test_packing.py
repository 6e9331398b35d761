"""Packing, and leaving out small objects."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.painted import objects
from visuite.det.structures import BitmapMasks, PolygonMasks
from visuite.det.transforms import FilterAnnotations, PackDetInputs

BOXES = [(0, 0, 10, 10), (5, 5, 25, 20), (30, 10, 60, 40)]


@pytest.mark.parametrize("polygons", [False, True])
def test_objects_are_split_by_their_flags(polygons: bool) -> None:
    results = objects(BOXES, polygons=polygons) | {"img_id": 7, "flip": True, "junk": 1, "ignore_index": 255}
    packed = PackDetInputs()(results)
    assert torch.equal(packed["inputs"], torch.from_numpy(results["img"]).permute(2, 0, 1))
    sample = packed["data_samples"]
    assert sample.gt_instances.bboxes.tolist() == [list(BOXES[0]), list(BOXES[2])]
    assert sample.gt_instances.labels.tolist() == [0, 2]
    assert sample.gt_instances.labels.dtype == torch.long
    assert sample.gt_instances.masks.areas.tolist() == [100, 900]
    assert isinstance(sample.gt_instances.masks, PolygonMasks if polygons else BitmapMasks)
    assert sample.gt_instances.keypoints.shape == (2, 2, 3)
    assert sample.ignored_instances.bboxes.tolist() == [list(BOXES[1])]
    assert sample.ignored_instances.labels.tolist() == [1]
    assert sample.ignored_instances.masks.areas.tolist() == [300]
    assert sample.gt_sem_seg.sem_seg.shape == (1, 48, 64)
    assert (sample.gt_sem_seg.sem_seg.dtype, sample.gt_sem_seg.ignore_index) == (torch.long, 255)
    assert (sample.img_id, sample.img_shape, sample.flip) == (7, (48, 64), True)
    assert "junk" not in sample


def test_an_image_without_objects() -> None:
    sample = PackDetInputs()(objects([]))["data_samples"]
    for part in (sample.gt_instances, sample.ignored_instances):
        assert part.bboxes.shape == (0, 4)
        assert part.labels.shape == (0,)
        assert part.masks.to_ndarray().shape == (0, 48, 64)


def test_an_image_of_which_nothing_is_known() -> None:
    packed = PackDetInputs(meta_keys=("img_path", "border"))({"img": np.zeros((4, 5), np.float32), "border": 3})
    assert packed["inputs"].shape == (1, 4, 5)
    sample = packed["data_samples"]
    assert len(sample.gt_instances) == len(sample.ignored_instances) == 0
    assert sample.metainfo == {"border": 3}
    assert "gt_sem_seg" not in sample
    assert "proposals" not in sample


def test_without_flags_no_object_is_ignored() -> None:
    results = objects(BOXES)
    del results["gt_ignore_flags"]
    sample = PackDetInputs()(results)["data_samples"]
    assert len(sample.gt_instances) == 3
    assert len(sample.ignored_instances) == 0


def test_proposals() -> None:
    results = {"img": np.zeros((4, 5, 3)), "proposals": np.ones((2, 4), np.float32)}
    sample = PackDetInputs()(results | {"proposals_scores": np.array([0.5, 0.25], np.float32)})["data_samples"]
    assert sample.proposals.bboxes.shape == (2, 4)
    assert sample.proposals.scores.tolist() == [0.5, 0.25]
    assert PackDetInputs()(results)["data_samples"].proposals.scores.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, [0, 1, 2]),
        ({"min_gt_bbox_wh": (9.9, 9.9)}, [0, 1, 2]),
        ({"min_gt_bbox_wh": (10, 5)}, [1, 2]),  # as wide as that is too small
        ({"min_gt_bbox_wh": (5, 15)}, [2]),
        ({"by_box": False, "by_mask": True, "min_gt_mask_area": 300}, [1, 2]),
        ({"by_mask": True, "min_gt_mask_area": 101, "min_gt_bbox_wh": (25, 1)}, [2]),
    ],
)
def test_small_objects_are_dropped(options: dict, kept: list[int]) -> None:
    got = FilterAnnotations(**options)(objects(BOXES))
    assert got is not None
    assert got["gt_bboxes_labels"].tolist() == kept
    assert len(got["gt_bboxes"]) == len(got["gt_masks"]) == len(got["gt_ignore_flags"]) == len(got["gt_keypoints"])


def test_images_that_lose_all_objects() -> None:
    assert FilterAnnotations(min_gt_bbox_wh=(100, 100))(objects(BOXES)) is None
    got = FilterAnnotations(min_gt_bbox_wh=(100, 100), keep_empty=False)(objects(BOXES))
    assert got is not None
    assert got["gt_bboxes"].shape == (0, 4)
    assert FilterAnnotations()(objects([])) is not None
    with pytest.raises(ValueError, match="by_box"):
        FilterAnnotations(by_box=False)
