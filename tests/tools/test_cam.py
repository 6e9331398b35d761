"""The tool that draws class activation maps."""

from __future__ import annotations

import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from visuite.cls.cam import ClassActivationMap, overlay
from visuite.cls.inferencer import ImageClassificationInferencer
from visuite.engine.cli import EXIT_CONFIG

TOOL = Path(__file__).parents[2] / "tools" / "visualization" / "cam.py"
CONFIG = """
default_scope = "cls"
model = dict(
    type="ImageClassifier",
    backbone=dict(type="ResNet", depth=18, base_channels=4, stem_channels=4),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearClsHead", num_classes=3, in_channels=32),
)
pipeline = [dict(type="LoadImageFromFile"), dict(type="Resize", scale=(96, 64)), dict(type="PackInputs")]
dataset = dict(type="CustomDataset", data_root="nowhere", classes=["fox", "hare", "owl"], pipeline=pipeline)
test_dataloader = dict(dataset=dataset)
"""


@pytest.fixture
def tool(monkeypatch, tmp_path, capsys):
    """Run the tool as its main program in a folder with a picture, a config and a checkpoint."""
    monkeypatch.chdir(tmp_path)
    Path("cfg.py").write_text(CONFIG)
    cv2.imwrite("img.png", np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    torch.manual_seed(0)
    inferencer = ImageClassificationInferencer("cfg.py", False, "cpu")
    torch.save({"state_dict": inferencer.model.state_dict()}, "model.pth")
    capsys.readouterr()

    def run(*args: str) -> str:
        monkeypatch.setattr("sys.argv", ["cam.py", "img.png", "cfg.py", "model.pth", "--device", "cpu", *args])
        runpy.run_path(str(TOOL), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_writes_the_map_over_what_the_model_sees(tool):
    out = tool("--target-category", "owl", "--method", "gradcam++", "--target-layers", "backbone.layer3",
               "--save-path", "out/cam.png")  # fmt: skip
    assert "class 2 (owl), score 0." in out
    assert "gradcam++ of backbone.layer3" in out
    inferencer = ImageClassificationInferencer("cfg.py", "model.pth", "cpu")
    seen = cv2.resize(cv2.imread("img.png"), (96, 64))
    inputs = torch.from_numpy(seen).permute(2, 0, 1)[None].float()
    (cam,) = ClassActivationMap(inferencer.model, ["backbone.layer3"], method="gradcam++")(inputs, 2)
    wanted = cv2.resize(overlay(seen[..., ::-1], cam)[..., ::-1], (336, 224))
    written = cv2.imread("out/cam.png")
    assert written.shape == (224, 336, 3)
    assert np.abs(written.astype(int) - wanted).mean() < 2


def test_finds_class_and_layer_and_names_the_modules(tool):
    out = tool("--save-path", "cam.png")
    scores = ImageClassificationInferencer("cfg.py", "model.pth", "cpu")("img.png")[0]
    assert f"class {scores['pred_label']} ({scores['pred_class']}), score {scores['pred_score']:.3f}" in out
    assert "gradcam of backbone.layer4" in out
    assert {"backbone.conv1", "neck", "head.fc"} <= set(tool("--preview-model").splitlines())


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--target-category", "hair"), "no class 'hair'; did you mean 'hare'?"),
        (("--target-category", "3"), "from 0 to 2"),
        (("--target-layers", "backbone.layer5"), "no layer 'backbone.layer5'; did you mean 'backbone.layer"),
        (("--vit-like", "--target-layers", "backbone.layer4"), "is no tokens"),
    ],
)
def test_faults_are_told_in_a_line(tool, capsys, args, message):
    with pytest.raises(SystemExit) as caught:
        tool(*args)
    assert caught.value.code == EXIT_CONFIG
    (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("error:")]
    assert message in line
