"""Mosaic and MixUp out of a data set: the same samples for any number of workers, and from any iteration on."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.yolo.datasets.pictures import CLASSES, write_coco
from visuite.engine.dataset import ConcatDataset, RepeatDataset
from visuite.engine.dataset.feed import epoch_batches
from visuite.engine.dataset.seeding import SampleKey
from visuite.engine.registry import init_default_scope
from visuite.engine.runner.build import build_dataloader
from visuite.yolo.datasets import YOLOv5CocoDataset

_LOAD = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True, "mask2bbox": True},
]
_MOSAICS = {
    "type": "RandomChoice",
    "transforms": [
        [
            {"type": kind, "img_scale": (48, 48), "pre_transform": _LOAD},
            {"type": "YOLOv5RandomAffine", "border": (-24, -24), "use_mask_refine": True, "min_area_ratio": 0.01},
        ]
        for kind in ("Mosaic", "Mosaic9")
    ],
    "prob": [0.6, 0.4],
}
_BOXES = [*_LOAD, {"type": "RemoveDataElement", "keys": ["gt_masks"]}]
PIPELINE = [
    *_LOAD,
    _MOSAICS,
    {"type": "YOLOv5CopyPaste"},
    {"type": "YOLOv5MixUp", "prob": 0.5, "pre_transform": [*_LOAD, _MOSAICS]},
    {"type": "RemoveDataElement", "keys": ["gt_masks"]},
    {"type": "YOLOXMixUp", "img_scale": (48, 48), "pre_transform": _BOXES},
    {"type": "YOLOv5HSVRandomAug"},
    {"type": "mmdet.RandomFlip", "prob": 0.5},
    {"type": "mmdet.PackDetInputs", "meta_keys": ("img_id", "img_path", "img_shape")},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    init_default_scope("yolo")
    write_coco(tmp_path)
    return tmp_path


def dataset(folder: Path, **options: Any) -> YOLOv5CocoDataset:
    options = {"pipeline": PIPELINE, **options}
    return YOLOv5CocoDataset(
        "ann.json", {"classes": CLASSES}, data_root=str(folder), data_prefix={"img": "images/train"}, **options
    )


def batches(folder: Path, workers: int, epoch: int, start: int = 0) -> list[dict[str, Any]]:
    loader = build_dataloader(
        {
            "dataset": dataset(folder),
            "sampler": {"type": "DefaultSampler", "seed": 3},
            "batch_size": 2,
            "num_workers": workers,
            "collate_fn": {"type": "yolov5_collate"},
        },
        seed=11,
    )
    return list(epoch_batches(loader, epoch, start))


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    rows = one["data_samples"]["bboxes_labels"], other["data_samples"]["bboxes_labels"]
    return torch.equal(one["inputs"], other["inputs"]) and torch.equal(*rows)


def test_neither_workers_nor_a_resumed_run_change_anything(folder: Path) -> None:
    here = batches(folder, 0, epoch=1)
    assert len(here) == 4
    assert {tuple(batch["inputs"].shape) for batch in here} == {(2, 3, 48, 48)}
    assert sum(len(batch["data_samples"]["bboxes_labels"]) for batch in here) > 0
    for other in (batches(folder, 2, epoch=1), batches(folder, 1, epoch=1)):
        assert all(same(a, b) for a, b in zip(here, other, strict=True))
    for workers in (0, 2):  # from batch 2 on
        later = batches(folder, workers, epoch=1, start=2)
        assert all(same(a, b) for a, b in zip(here[2:], later, strict=True))
    assert not all(same(a, b) for a, b in zip(here, batches(folder, 0, epoch=2), strict=True))


def test_a_sample_follows_from_its_key_whatever_was_made_before(folder: Path) -> None:
    def rows(found: YOLOv5CocoDataset, index: int) -> np.ndarray:
        return found[SampleKey(index, 5, 2)]["inputs"].numpy()

    found = dataset(folder)
    want = rows(found, 3)
    for index in (6, 1, 3, 2):
        rows(found, index)
    assert np.array_equal(rows(found, 3), want)
    assert np.array_equal(rows(dataset(folder), 3), want)


def test_the_data_set_stands_in_records_while_training_only(folder: Path) -> None:
    seen: list[dict[str, Any]] = []

    def look(results: dict[str, Any]) -> dict[str, Any]:
        seen.append(dict(results))
        return results

    found = dataset(folder, pipeline=[look])
    assert "dataset" not in found[2]  # who keeps the sample keeps no data set
    assert seen[-1]["dataset"] is found
    tested = dataset(folder, pipeline=[look], test_mode=True)
    assert "dataset" not in tested[2]
    assert "dataset" not in seen[-1]
    assert "dataset" not in found.get_data_info(0)


def test_data_sets_inside_others(folder: Path) -> None:
    for wrapped in (RepeatDataset(dataset(folder), 2), ConcatDataset([dataset(folder), dataset(folder)])):
        sample = wrapped[SampleKey(9, 1, 0)]
        assert sample["inputs"].shape == (3, 48, 48)


def test_a_data_set_travels(folder: Path) -> None:
    found = dataset(folder, cache_type="ram")
    found[SampleKey(1, 1, 0)]
    copied = pickle.loads(pickle.dumps(found))
    assert not copied.image_cache.images
    assert torch.equal(copied[SampleKey(1, 1, 0)]["inputs"], found[SampleKey(1, 1, 0)]["inputs"])
    assert len(found.get_subset([1, 2])) == 2
