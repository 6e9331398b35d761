"""Batches: their shapes in a test, and what `yolov5_collate` makes of samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.yolo.datasets.pictures import CLASSES, write_coco
from visuite.det.structures import BitmapMasks, DetDataSample, mask_array
from visuite.engine.registry import FUNCTIONS, TASK_UTILS, init_default_scope
from visuite.engine.structures import InstanceData, PixelData
from visuite.yolo.datasets import BatchShapePolicy, YOLOv5CocoDataset, yolov5_collate
from visuite.yolo.datasets.collate import samples_of

sizes = st.lists(st.tuples(st.integers(10, 500), st.integers(10, 500)), min_size=1, max_size=20)


@given(sizes, st.integers(1, 5))
def test_batches_of_like_shape_fit_closely(sizes: list[tuple[int, int]], batch_size: int) -> None:
    records = [{"width": w, "height": h, "number": i} for i, (w, h) in enumerate(sizes)]
    got = BatchShapePolicy(batch_size, 320, size_divisor=32, extra_pad_ratio=0.5)(records)
    assert sorted(one["number"] for one in got) == list(range(len(sizes)))
    tallness = [one["height"] / one["width"] for one in got]
    assert tallness == sorted(tallness)
    for start in range(0, len(got), batch_size):
        batch = got[start : start + batch_size]
        tall, wide = batch[0]["batch_shape"]
        assert len({tuple(one["batch_shape"].tolist()) for one in batch}) == 1
        assert tall % 32 == wide % 32 == 0
        largest = np.zeros(2)
        for one in batch:
            factor = 320 / max(one["height"], one["width"])
            largest = np.maximum(largest, (one["height"] * factor, one["width"] * factor))
        assert largest.max() == pytest.approx(320)
        assert (largest <= (tall, wide)).all()
        assert (np.array([tall, wide]) - largest <= 32 * 1.5).all()
    assert "batch_shape" not in records[0]


def test_known_shapes() -> None:
    wide = BatchShapePolicy(2, 640)([{"width": 640, "height": 480}, {"width": 640, "height": 320}])
    assert [one["batch_shape"].tolist() for one in wide] == [[512, 672]] * 2
    both = BatchShapePolicy(2, 640)([{"width": 480, "height": 640}, {"width": 640, "height": 480}])
    assert [one["batch_shape"].tolist() for one in both] == [[672, 672]] * 2
    with pytest.raises(ValueError, match="at least 1"):
        BatchShapePolicy(0)
    init_default_scope("yolo")
    assert isinstance(TASK_UTILS.build({"type": "BatchShapePolicy", "batch_size": 1}), BatchShapePolicy)


def test_a_test_is_sorted_and_training_is_not(tmp_path: Path) -> None:
    init_default_scope("yolo")
    made = write_coco(tmp_path)
    pipeline = [
        {"type": "LoadImageFromFile"},
        {"type": "YOLOv5KeepRatioResize", "scale": (64, 64)},
        {"type": "LetterResize", "scale": (64, 64), "allow_scale_up": False, "pad_val": {"img": 114}},
        {"type": "LoadAnnotations", "with_bbox": True, "_scope_": "mmdet"},
        {"type": "mmdet.PackDetInputs", "meta_keys": ("img_id", "ori_shape", "img_shape", "scale_factor", "pad_param")},
    ]

    shapes = {"type": "BatchShapePolicy", "batch_size": 4, "img_size": 64}

    def dataset(**options: Any) -> YOLOv5CocoDataset:
        return YOLOv5CocoDataset(
            "ann.json", {"classes": CLASSES}, data_root=str(tmp_path), data_prefix={"img": "images/train"},
            pipeline=pipeline, batch_shapes_cfg=shapes, **options,
        )  # fmt: skip

    tested = dataset(test_mode=True)
    ratios = [tested.get_data_info(i)["height"] / tested.get_data_info(i)["width"] for i in range(8)]
    assert ratios == sorted(ratios)
    for start in (0, 4):
        batch = [tested[i] for i in range(start, start + 4)]
        [shape] = {one["data_samples"].metainfo["img_shape"] for one in batch}
        assert shape == tuple(tested.get_data_info(start)["batch_shape"])
        assert yolov5_collate(batch)["inputs"].shape == (4, 3, *shape)
    assert [dataset().get_data_info(i)["img_id"] for i in range(8)] == list(range(len(made)))
    some = dataset(test_mode=True, indices=[6, 1, 3])
    assert {some.get_data_info(i)["img_id"] for i in range(3)} == {6, 1, 3}


def packed(count: int, size: tuple[int, int] = (8, 6), **more: Any) -> dict[str, Any]:
    rng = np.random.RandomState(count)
    sample = DetDataSample(metainfo={"img_id": count})
    sample.gt_instances = InstanceData(
        bboxes=torch.from_numpy(rng.uniform(0, 6, (count, 4)).astype(np.float32)),
        labels=torch.from_numpy(rng.randint(0, 9, count)),
        **{key: make(count) for key, make in more.items()},
    )
    return {"inputs": torch.full((3, *size), count, dtype=torch.uint8), "data_samples": sample}


def test_one_tensor_of_all_objects_and_back() -> None:
    samples = [packed(2), packed(0), packed(3)]
    batch = yolov5_collate(samples)
    assert batch["inputs"].shape == (3, 3, 8, 6)
    assert batch["inputs"].dtype == torch.uint8
    rows = batch["data_samples"]["bboxes_labels"]
    assert rows.shape == (5, 6)
    assert rows.dtype == torch.float32
    for number, one in enumerate(samples):
        mine, objects = rows[rows[:, 0] == number], one["data_samples"].gt_instances
        assert torch.equal(mine[:, 1].long(), objects.labels)
        assert torch.equal(mine[:, 2:], objects.bboxes)
    assert [meta["img_id"] for meta in batch["data_samples"]["img_metas"]] == [2, 0, 3]
    assert set(batch["data_samples"]) == {"bboxes_labels", "img_metas"}
    assert yolov5_collate([packed(0)])["data_samples"]["bboxes_labels"].shape == (0, 6)


def test_images_of_several_sizes() -> None:
    samples = [packed(1), packed(2, (4, 6))]
    with pytest.raises(ValueError, match="use_ms_training=True"):
        yolov5_collate(samples)
    batch = yolov5_collate(samples, use_ms_training=True)
    assert [tuple(image.shape) for image in batch["inputs"]] == [(3, 8, 6), (3, 4, 6)]
    assert FUNCTIONS.get("mmyolo.yolov5_collate") is yolov5_collate


def test_masks_and_keypoints() -> None:
    more = {
        "masks": lambda count: BitmapMasks(np.ones((count, 2, 2), np.uint8), 2, 2),
        "keypoints": lambda count: torch.ones(count, 5, 3),
    }
    batch = yolov5_collate([packed(2, **more), packed(0, **more), packed(1, **more)])["data_samples"]
    assert batch["masks"].shape == (3, 2, 2)
    assert batch["masks"].dtype == torch.bool
    assert batch["keypoints"].shape == (3, 5, 3)
    samples = [packed(2), packed(1)]
    for number, one in enumerate(samples):
        one["data_samples"].gt_panoptic_seg = PixelData(pan_seg=torch.full((1, 2, 2), number))
    maps = yolov5_collate(samples)["data_samples"]["masks"]
    assert maps.shape == (2, 2, 2)
    assert maps[:, 0, 0].tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["plain", "masks", "map"])
def test_samples_come_back_from_a_batch(kind: str) -> None:
    more = {
        "masks": lambda count: BitmapMasks(np.arange(count * 4).reshape(count, 2, 2) % 3 == 0, 2, 2),
        "keypoints": lambda count: torch.rand(count, 5, 3),
    }
    batch = [packed(count, **(more if kind == "masks" else {})) for count in (2, 0, 3)]
    for one in batch if kind == "map" else ():
        one["data_samples"].gt_panoptic_seg = PixelData(pan_seg=torch.randint(0, 4, (1, 2, 2)))
    for one, again in zip(batch, samples_of(yolov5_collate(batch)["data_samples"]), strict=True):
        sample = one["data_samples"]
        assert again.metainfo == sample.metainfo
        assert set(again.keys()) == set(sample.keys())
        assert set(again.gt_instances.keys()) == set(sample.gt_instances.keys())
        assert torch.equal(again.gt_instances.bboxes, sample.gt_instances.bboxes)
        assert torch.equal(again.gt_instances.labels, sample.gt_instances.labels)
        if kind == "masks":
            assert np.array_equal(mask_array(again.gt_instances.masks), mask_array(sample.gt_instances.masks))
            assert torch.equal(again.gt_instances.keypoints, sample.gt_instances.keypoints)
        if kind == "map":
            assert torch.equal(again.gt_panoptic_seg.pan_seg, sample.gt_panoptic_seg.pan_seg)
