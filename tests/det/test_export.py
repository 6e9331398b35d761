"""Detectors as ONNX files with suppression inside."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.det.test_contracts import shaken
from tests.det.variants import VARIANTS
from visuite.det.export import DetectionProgram, export_onnx

IMAGES = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 255


@pytest.mark.slow
@pytest.mark.parametrize("name", ["retinanet", "fcos", "yolox"])
def test_the_file_finds_what_the_detector_finds(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model = shaken(VARIANTS[name].make()).eval()
    told = export_onnx(model, tmp_path / "model.onnx", IMAGES)
    assert told["objects"] > 0
    assert told["bboxes"] < 1e-2
    assert told["scores"] < 1e-4


@pytest.mark.parametrize("name", ["retinanet", "fcos"])
def test_the_program_finds_what_predict_finds(name: str) -> None:
    """With room for all candidates, before `max_per_img` cuts."""
    model = shaken(VARIANTS[name].make()).eval()
    head = model.bbox_head
    head.test_cfg = {**head.test_cfg, "max_per_img": -1, "nms_pre": -1}
    with torch.no_grad():
        image, boxes, scores, labels = DetectionProgram(model, candidates=100000)(IMAGES)
        data = VARIANTS[name].batch(0, 0, sizes=((64, 96), (64, 96)))
        samples = model.data_preprocessor({**data, "inputs": list(IMAGES)})["data_samples"]
        for index, sample in enumerate(model.predict(model.data_preprocessor.to_batch(IMAGES), samples, rescale=False)):
            found, own = sample.pred_instances, image == index
            torch.testing.assert_close(scores[own], found.scores)
            assert torch.equal(labels[own].sort().values, found.labels.sort().values)
            inside = boxes[own].clamp(min=0)
            inside = torch.minimum(inside, torch.tensor([96.0, 64, 96, 64]))
            torch.testing.assert_close(inside.sum(dim=0), found.bboxes.sum(dim=0), rtol=1e-3, atol=0.1)


def test_other_detectors_are_refused() -> None:
    with pytest.raises(TypeError, match="TwoStageDetector cannot be exported with suppression inside"):
        DetectionProgram(VARIANTS["faster-rcnn"].make())
