"""The inferencer of segmentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from visuite.engine.config import Config
from visuite.engine.infer import INFERENCERS
from visuite.engine.registry import DefaultScope
from visuite.seg.inferencer import SegInferencer
from visuite.seg.structures import SegDataSample

CLASSES, PALETTE = ("blue", "green", "red"), [[0, 0, 255], [0, 255, 0], [255, 0, 0]]
#: Three stripes, BGR: the model says which channel is strongest.
IMAGE = np.zeros((12, 30, 3), np.uint8)
for place in range(3):
    IMAGE[:, 10 * place : 10 * place + 10, place] = 255


class Same(torch.nn.Module):
    """The image as features."""

    out_channels = (3,)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (x / 255,)


@pytest.fixture
def inferencer() -> SegInferencer:
    head = {"type": "FCNHead", "in_channels": 32, "in_index": 3, "channels": 3, "num_convs": 0, "num_classes": 3}
    backbone = {"type": "ResNetV1c", "depth": 18, "base_channels": 4, "stem_channels": 4}
    steps = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}, {"type": "PackSegInputs"}]
    data = {"type": "BaseSegDataset", "pipeline": steps, "metainfo": {"classes": CLASSES, "palette": PALETTE}}
    model = {"type": "EncoderDecoder", "backbone": backbone, "decode_head": {**head, "concat_input": False}}
    cfg = Config({"default_scope": "seg", "model": {**model}, "test_dataloader": {"dataset": data}})
    cfg.model.decode_head.channels = 32
    made = SegInferencer(cfg, device="cpu", show_progress=False)
    made.model.backbone = Same()
    made.model.decode_head.in_index = 0
    made.model.decode_head.conv_seg = torch.nn.Identity()
    return made


def test_tells_the_class_of_each_pixel(inferencer: SegInferencer) -> None:
    [result] = inferencer(IMAGE)["predictions"]
    assert (result["sem_seg"] == IMAGE.argmax(axis=2)).all()
    assert result["labels"] == [0, 1, 2]
    assert result["classes"] == list(CLASSES)
    assert result["shares"] == pytest.approx([1 / 3] * 3)


def test_files_of_maps_have_the_palette(inferencer: SegInferencer, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), IMAGE)
    inferencer([str(tmp_path / "a.png")] * 2, out_dir=str(tmp_path / "out"), batch_size=2)
    with Image.open(tmp_path / "out/preds/a.png") as opened:
        assert (np.array(opened) == IMAGE.argmax(axis=2)).all()
        assert (np.array(opened.convert("RGB")) == IMAGE[..., ::-1]).all()
    with Image.open(tmp_path / "out/vis/a.png") as opened:
        assert opened.width == 30


def test_draws_as_opaque_as_asked(inferencer: SegInferencer) -> None:
    drawn = inferencer(IMAGE // 2, return_vis=True, opacity=1.0, with_labels=False)["visualization"]
    assert (drawn[0] == IMAGE[..., ::-1]).all()


def test_printed_results_leave_the_map_out(inferencer: SegInferencer, capsys: pytest.CaptureFixture[str]) -> None:
    inferencer(IMAGE, print_result=True)
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert "sem_seg" not in printed
    assert printed["classes"] == list(CLASSES)


def test_data_samples_and_other_names(inferencer: SegInferencer) -> None:
    [sample] = inferencer(IMAGE, return_datasamples=True)["predictions"]
    assert isinstance(sample, SegDataSample)
    with DefaultScope.overwrite_default_scope("seg"):
        assert INFERENCERS.get("seg.MMSegInferencer") is SegInferencer
    again = SegInferencer(inferencer.model, classes=("x", "y", "z"), dataset_name=None, show_progress=False)
    assert again.model.dataset_meta["classes"] == ("x", "y", "z")
