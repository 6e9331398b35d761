"""Real pairs: CamVid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visuite.engine.dataset import MultiImageMixDataset, SampleKey
from visuite.engine.registry import DefaultScope
from visuite.seg.datasets import CamVidDataset
from visuite.seg.datasets.screening import screen_maps

STEPS = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}]


@pytest.fixture
def root(public_data: Callable[[str], Path]) -> Path:
    return public_data("camvid")


def val(root: Path, pipeline: list[Any]) -> CamVidDataset:
    prefix = {"img_path": "images/val", "seg_map_path": "annotations/val"}
    with DefaultScope.overwrite_default_scope("seg"):
        return CamVidDataset(data_root=str(root), data_prefix=prefix, pipeline=pipeline)


def test_all_values_are_classes_or_void(root: Path) -> None:
    dataset = val(root, [])
    found = screen_maps(dataset)
    assert (len(dataset), found.looked_at) == (101, 101)
    assert (found.strays, found.broken, found.absent) == ([], [], [])


def test_crops_and_mosaics_are_the_same_for_a_key(root: Path) -> None:
    crop = [{"type": "RandomCrop", "crop_size": (96, 128), "cat_max_ratio": 0.75}]
    pack = [{"type": "PackSegInputs"}]
    with DefaultScope.overwrite_default_scope("seg"):
        mosaic = [{"type": "RandomMosaic", "prob": 1.0, "img_scale": (90, 120)}]
        mixed = MultiImageMixDataset(val(root, STEPS), [*mosaic, *crop, *pack])
    first, again = (mixed[SampleKey(3, seed=1, epoch=2)] for _ in range(2))
    assert first["inputs"].shape == (3, 96, 128)
    assert (first["inputs"] == again["inputs"]).all()
    values = np.unique(first["data_samples"].gt_sem_seg.data)
    assert set(values.tolist()) <= {*range(11), 255}
    assert (first["data_samples"].gt_sem_seg.data == again["data_samples"].gt_sem_seg.data).all()
