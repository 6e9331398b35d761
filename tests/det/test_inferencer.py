"""The inferencer of detection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from tests.det.test_contracts import shaken
from tests.det.variants import VARIANTS
from visuite.cv.masks import decode_rle
from visuite.det.inferencer import DetInferencer
from visuite.det.structures import DetDataSample
from visuite.engine.config import Config
from visuite.engine.infer import INFERENCERS

CLASSES = ("ant", "bee", "cat")
PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "Resize", "scale": (96, 64), "keep_ratio": True},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "PackDetInputs", "meta_keys": ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")},
]


def inferencer(name: str) -> Any:
    model: dict[str, Any] = VARIANTS[name].config()
    data = {"type": "CocoDataset", "data_root": "nowhere", "ann_file": "none.json", "metainfo": {"classes": CLASSES}}
    cfg = {"default_scope": "det", "model": model, "test_dataloader": {"dataset": {**data, "pipeline": PIPELINE}}}
    torch.manual_seed(0)
    made = DetInferencer(Config(cfg), device="cpu", show_progress=False)
    shaken(made.model)
    return made


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    random = np.random.default_rng(0)
    paths = [str(tmp_path / f"{index}.png") for index in range(2)]
    for path, size in zip(paths, ((40, 60, 3), (90, 50, 3)), strict=True):
        cv2.imwrite(path, random.integers(0, 256, size, np.uint8))
    return paths


@pytest.mark.parametrize("name", ["retinanet", "mask-rcnn"])
def test_objects_of_two_images_as_plain_lists(name: str, pictures: list[str]) -> None:
    made = inferencer(name)
    results = made(pictures, batch_size=2)["predictions"]
    samples = made(pictures, return_datasamples=True, batch_size=2)["predictions"]
    assert len(results) == 2
    for result, sample, size in zip(results, samples, ((40, 60), (90, 50)), strict=True):
        assert isinstance(sample, DetDataSample)
        json.dumps(result)
        found = sample.pred_instances
        assert len(found) > 0
        assert len(result["bboxes"]) == len(result["scores"]) == len(result["labels"])
        torch.testing.assert_close(torch.tensor(result["bboxes"]), found.bboxes, rtol=1e-3, atol=1e-2)
        torch.testing.assert_close(torch.tensor(result["scores"]), found.scores, rtol=1e-3, atol=1e-4)
        assert result["classes"] == [CLASSES[label] for label in result["labels"]]
        x2, y2 = np.array(result["bboxes"]).max(axis=0)[2:]
        assert x2 <= size[1] + 1e-3
        assert y2 <= size[0] + 1e-3
        assert ("masks" in result) == VARIANTS[name].masks


def test_masks_decode_back(pictures: list[str]) -> None:
    made = inferencer("mask-rcnn")
    (sample,) = made(pictures[0], return_datasamples=True)["predictions"]
    result = made.pred2dict(sample)
    assert len(result["masks"]) == len(result["bboxes"])
    for coded, mask in zip(result["masks"], sample.pred_instances.masks, strict=True):
        assert isinstance(coded["counts"], str)
        assert np.array_equal(decode_rle(coded).astype(bool), mask.numpy())
    assert sample.pred_instances.masks.any()


def test_files_are_written(pictures: list[str], tmp_path: Path) -> None:
    made = inferencer("retinanet")
    made(pictures, out_dir=str(tmp_path / "out"), pred_score_thr=0.0)
    for path, size in zip(pictures, ((40, 60), (90, 50)), strict=True):
        stem = Path(path).stem
        assert set(json.loads((tmp_path / "out/preds" / f"{stem}.json").read_text())) >= {"bboxes", "labels", "scores"}
        picture = cv2.imread(str(tmp_path / "out/vis" / f"{stem}.png"))
        assert picture.shape[:2] == size
        assert not np.array_equal(picture, cv2.imread(path))


def test_it_is_registered_and_names_what_it_takes(pictures: list[str]) -> None:
    assert INFERENCERS.get("det.DetInferencer") is DetInferencer
    with pytest.raises(TypeError, match="'pred_score_thr'"):
        inferencer("retinanet")(pictures[0], pred_score_th=0.1)
