"""Segmentors train with parts of other packages, and say what to install where these are missing."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch import nn

from tests.seg.datasets.pairs import PREFIX, write_pairs
from visuite.cls.registry import MODELS as CLS_MODELS
from visuite.cv.backbones import Backbone
from visuite.cv.losses import FocalLoss
from visuite.engine.config import Config
from visuite.engine.hooks import Hook
from visuite.engine.registry import ConfigPathError
from visuite.engine.runner import Runner
from visuite.seg.registry import MODELS as SEG_MODELS


class TwoMaps(Backbone):
    """Images (B, 3, H, W) to maps at a half and at a quarter of their size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.second = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.out_channels, self.out_strides = (width, 2 * width), (2, 4)

    def forward(self, x):
        half = self.first(x).relu()
        return half, self.second(half).relu()


@pytest.fixture
def cls_backbone(monkeypatch):
    """The name of a backbone that is registered in scope `cls` alone."""
    monkeypatch.setattr(CLS_MODELS, "_entries", dict(CLS_MODELS._entries))
    CLS_MODELS.register_module(module=TwoMaps)
    assert SEG_MODELS.get("TwoMaps") is None
    return "TwoMaps"


def config(folder, in_channels=8, **model):
    drawn = np.random.default_rng(0).integers(0, 3, (4, 32, 32)).astype(np.uint8)
    write_pairs(folder / "data", {str(index): seg_map for index, seg_map in enumerate(drawn)})
    load = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations"), dict(type="PackSegInputs")]
    data = dict(type="BaseSegDataset", data_root=str(folder / "data"), data_prefix=PREFIX, pipeline=load)
    head = dict(type="FCNHead", in_channels=in_channels, in_index=1, channels=4, num_convs=1, num_classes=3)
    head |= model.pop("decode_head", {})
    backbone = dict(type="mmpretrain.TwoMaps", width=4)
    return Config(
        dict(
            default_scope="seg",
            model=dict(type="EncoderDecoder", data_preprocessor=dict(mean=[127.0] * 3, std=[60.0] * 3))
            | dict(backbone=backbone, decode_head=head)
            | model,
            train_dataloader=dict(batch_size=2, dataset=data, sampler=dict(type="DefaultSampler", shuffle=True)),
            train_cfg=dict(by_epoch=False, max_iters=2),
            optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.01)),
            randomness=dict(seed=0),
            work_dir=str(folder / "run"),
        )
    )


class KeepWeights(Hook):
    """Keeps what the weights are before training."""

    def before_train(self, runner):
        self.weights = {name: value.clone() for name, value in runner.model.state_dict().items()}


def train(cfg):
    """Run two iterations; return the model and its weights from before."""
    runner, before = Runner.from_cfg(cfg), KeepWeights()
    runner.register_hook(before)
    runner.train()
    assert runner.iter == 2
    return runner.model, before.weights


def test_a_backbone_of_cls(tmp_path, cls_backbone):
    model, before = train(config(tmp_path))
    assert type(model.backbone) is TwoMaps
    for name, value in model.backbone.named_parameters():
        assert torch.isfinite(value).all()
        assert not torch.equal(value, before[f"backbone.{name}"]), name


def test_a_scope_of_its_own_for_a_part(tmp_path, cls_backbone):
    cfg = config(tmp_path, backbone=dict(type=cls_backbone, _scope_="cls", width=4))
    assert type(SEG_MODELS.build(cfg.model).backbone) is TwoMaps


def test_a_head_is_held_against_the_maps_of_another_package(tmp_path, cls_backbone):
    with pytest.raises(ValueError, match="in_channels"):
        Runner.from_cfg(config(tmp_path, in_channels=9)).model  # noqa: B018


def test_a_loss_of_det(tmp_path, cls_backbone):
    model, before = train(config(tmp_path, decode_head=dict(loss_decode=dict(type="det.FocalLoss"))))
    (loss,) = model.decode_head.loss_decode
    assert type(loss) is FocalLoss
    assert (loss.alpha, SEG_MODELS.build(dict(type="FocalLoss")).alpha) == (0.25, 0.5)  # each scope has its defaults
    assert not torch.equal(model.decode_head.conv_seg.weight, before["decode_head.conv_seg.weight"])


@pytest.mark.slow
def test_what_is_not_installed_is_named(tmp_path):
    (tmp_path / "plugin.py").write_text("from visuite.cls.registry import MODELS\n")
    code = """
        import sys

        class Without:
            def __init__(self, finder):
                self.finder = finder

            def find_spec(self, name, path=None, target=None):
                absent = name.startswith(("visuite.cls", "visuite.det"))
                return None if absent else self.finder.find_spec(name, path, target)

        sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]

        from visuite.engine.check import check_config
        from visuite.engine.config import Config
        from visuite.engine.registry import MODELS

        head = "decode_head=dict(type='FCNHead', in_channels=8, in_index=1, channels=4, num_classes=3,"
        text = f'''default_scope = "seg"
        custom_imports = dict(imports=["plugin"])
        model = dict(type="EncoderDecoder", backbone=dict(type="mmpretrain.TwoMaps", width=4), {head}
                     loss_decode=dict(type="det.FocalLoss")))'''
        for found in check_config(Config.fromstring(text.replace("        ", ""), ".py")):
            print(found)
        for kind in ("cls.TwoMaps", "seg.EncoderDecoder"):
            try:
                MODELS.build(dict(type=kind, backbone=dict(type="cls.TwoMaps"), decode_head=dict(type="seg.FCNHead")))
            except ImportError as error:
                print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    said = done.stdout.splitlines()
    assert len(said) == 5, done.stdout + done.stderr
    needs = "needs a package that is not installed: pip install visuite-"
    assert "2: custom_imports: " in said[0]
    assert said[0].endswith("'visuite.cls': pip install visuite-cls")
    assert said[1].endswith(f":3: model.backbone: scope 'mmpretrain' {needs}cls")
    assert said[2].endswith(f":4: model.decode_head.loss_decode: scope 'det' {needs}det")
    assert said[3] == f"scope 'cls' {needs}cls"
    assert said[4] == f"backbone: scope 'cls' {needs}cls"


def test_errors_of_building_know_their_place(tmp_path):
    with pytest.raises(ConfigPathError, match=r"^model.backbone: 'TwoMps' is not a registered model"):
        Runner.from_cfg(config(tmp_path, backbone=dict(type="cls.TwoMps"))).model  # noqa: B018
