"""What detection alone loads: nothing, segments of things and stuff, proposals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from visuite.det.registry import TRANSFORMS
from visuite.det.transforms import LoadEmptyAnnotations, LoadPanopticAnnotations, LoadProposals, PackDetInputs
from visuite.engine.structures import InstanceData


def test_images_that_nobody_annotated() -> None:
    results = {"img": np.zeros((4, 6, 3)), "img_shape": (4, 6)}
    got = LoadEmptyAnnotations(with_mask=True, with_seg=True)(dict(results))
    assert got is not None
    assert (got["gt_seg_map"] == 255).all()
    sample = PackDetInputs()(got)["data_samples"]
    assert sample.gt_instances.bboxes.shape == (0, 4)
    assert sample.gt_instances.masks.to_ndarray().shape == (0, 4, 6)
    assert sample.gt_sem_seg.shape == (4, 6)
    assert LoadEmptyAnnotations(False, False)(dict(results)).keys() == results.keys()


NUMBERS = np.array([[3, 3, 70_000, 70_000], [3, 300, 300, 70_000], [0, 0, 9, 9]])


def panoptic(tmp_path: Path) -> dict[str, Any]:
    """A thing 3 of class 1, a thing 70000 of class 0, stuff 300 of class 5; 0 is nothing, 9 is not told of."""
    colours = np.stack([NUMBERS // 65536, NUMBERS // 256 % 256, NUMBERS % 256], axis=2)  # blue, green, red
    cv2.imwrite(str(tmp_path / "map.png"), colours.astype(np.uint8))
    segments = [
        {"id": 70_000, "category": 0, "is_thing": True},
        {"id": 300, "category": 5, "is_thing": False},
        {"id": 3, "category": 1, "is_thing": True},
    ]
    boxes = [([2, 0, 4, 2], 0), ([0, 0, 2, 2], 1)]
    instances = [{"bbox": box, "bbox_label": label, "ignore_flag": 0} for box, label in boxes]
    return {"seg_map_path": str(tmp_path / "map.png"), "segments_info": segments, "instances": instances}


def test_things_and_stuff(tmp_path: Path) -> None:
    got = LoadPanopticAnnotations()(panoptic(tmp_path))
    assert got is not None
    assert np.array_equal(got["gt_masks"].masks[0], NUMBERS == 70_000)
    assert np.array_equal(got["gt_masks"].masks[1], NUMBERS == 3)
    assert got["gt_seg_map"].tolist() == [[1, 1, 0, 0], [1, 5, 5, 0], [255, 255, 255, 255]]
    assert got["gt_bboxes_labels"].tolist() == [0, 1]
    np.testing.assert_array_equal(got["gt_masks"].get_bboxes().numpy(), got["gt_bboxes"])


def test_parts_of_a_panoptic_annotation(tmp_path: Path) -> None:
    got = LoadPanopticAnnotations(with_mask=False)(panoptic(tmp_path))
    assert got is not None
    assert "gt_masks" not in got
    got = LoadPanopticAnnotations(with_seg=False)(panoptic(tmp_path))
    assert got is not None
    assert "gt_seg_map" not in got
    broken = panoptic(tmp_path)
    broken["instances"].pop()
    with pytest.raises(ValueError, match=r"2 of the segments.*1 instances"):
        LoadPanopticAnnotations()(broken)


PROPOSALS = {"bboxes": np.array([[0, 0, 10, 4], [2, 2, 6, 6], [1, 1, 3, 3]]), "scores": np.array([0.9, 0.5, 0.1])}


@pytest.mark.parametrize("kind", [dict, InstanceData])
def test_proposals_are_loaded_and_move(kind: Any) -> None:
    got = LoadProposals(num_max_proposals=2)({"img": np.zeros((8, 20, 3)), "proposals": kind(**PROPOSALS)})
    assert got is not None
    assert got["proposals"].tolist() == [[0, 0, 10, 4], [2, 2, 6, 6]]
    assert got["proposals"].dtype == got["proposals_scores"].dtype == np.float32
    steps = [dict(type="Resize", scale=(40, 16)), dict(type="RandomFlip", prob=1.0)]
    moved = TRANSFORMS.build(dict(type="ProposalBroadcaster", transforms=steps))(got)
    sample = PackDetInputs()(moved)["data_samples"]
    assert sample.proposals.bboxes.tolist() == [[20, 0, 40, 8], [28, 4, 36, 12]]
    np.testing.assert_allclose(sample.proposals.scores, [0.9, 0.5])


def test_missing_proposals() -> None:
    got = LoadProposals()({"proposals": {"bboxes": np.zeros((0, 4))}})
    assert got is not None
    assert (got["proposals"].shape, got["proposals_scores"].shape) == ((0, 4), (0,))
    with pytest.raises(KeyError, match="proposal_file"):
        LoadProposals()({})
