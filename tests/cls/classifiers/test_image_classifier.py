"""The image classifier."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from visuite.cls.classifiers import ImageClassifier
from visuite.cls.heads import LinearClsHead
from visuite.cls.preprocessor import ClsDataPreprocessor
from visuite.cls.structures import DataSample
from visuite.cv.backbones import ResNet
from visuite.cv.necks import GlobalAveragePooling
from visuite.engine.registry import MODELS

CFG: dict[str, Any] = {
    "type": "mmpretrain.ImageClassifier",
    "backbone": {"type": "mmpretrain.ResNet", "depth": 18, "base_channels": 8, "stem_channels": 8},
    "neck": {"type": "GlobalAveragePooling"},
    "head": {"type": "mmpretrain.LinearClsHead", "num_classes": 3, "in_channels": 64},
    "data_preprocessor": {"num_classes": 3, "mean": [127.0] * 3, "std": [60.0] * 3},
    "_scope_": "cls",
}


@pytest.fixture
def model() -> ImageClassifier:
    torch.manual_seed(0)
    return MODELS.build(CFG)


def batch(n: int = 2, soft: bool = False) -> dict[str, Any]:
    images = [torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8) for _ in range(n)]
    samples = [DataSample().set_gt_label(i % 3) for i in range(n)]
    for sample in samples if soft else ():
        sample.set_gt_score([0.2, 0.3, 0.5])
    return {"inputs": images, "data_samples": samples}


def test_modes(model: ImageClassifier) -> None:
    data = model.data_preprocessor(batch(), True)
    losses = model(**data, mode="loss")
    assert set(losses) == {"loss"}
    assert losses["loss"].requires_grad
    assert model(data["inputs"]).shape == (2, 3)
    samples = model.eval()(**data, mode="predict")
    assert samples[0].pred_score.sum().item() == pytest.approx(1)
    assert samples[1].gt_label.item() == 1
    with pytest.raises(ValueError, match="train"):
        model(data["inputs"], mode="train")
    with pytest.raises(ValueError, match="data_samples"):
        model(data["inputs"], mode="loss")


def test_a_batch_of_one_and_a_step(model: ImageClassifier) -> None:
    assert len(model.eval().test_step(batch(1))) == 1
    assert len(model.val_step(batch(3))) == 3


def test_features_by_stage(model: ImageClassifier) -> None:
    x = torch.randn(2, 3, 64, 64)
    (maps,) = model.extract_feat(x, stage="backbone")
    assert maps.shape == (2, 64, 2, 2)
    (pooled,) = model.eval().extract_feat(x)
    assert pooled.shape == (2, 64)
    assert torch.equal(model.extract_feat(x, stage="pre_logits"), pooled)
    assert torch.equal(model.extract_feats([x, x])[1][0], pooled)
    with pytest.raises(ValueError, match="stage"):
        model.extract_feat(x, stage="head")


def test_soft_labels() -> None:
    head = {**CFG["head"], "loss": {"type": "LabelSmoothLoss", "label_smooth_val": 0.1}}
    model = MODELS.build({**CFG, "head": head})
    losses = model(**model.data_preprocessor(batch(soft=True), True), mode="loss")
    assert losses["loss"].isfinite()


def test_made_of_objects() -> None:
    backbone = ResNet(18, base_channels=4, out_indices=(3,))
    model = ImageClassifier(
        backbone,
        GlobalAveragePooling(),
        head=LinearClsHead(3, 32),
        data_preprocessor=ClsDataPreprocessor(),
    )
    assert model.backbone is backbone
    assert model.eval()(torch.randn(1, 3, 32, 32)).shape == (1, 3)


def test_wrong_channels_fail_at_build_time() -> None:
    with pytest.raises(ValueError, match="in_channels of the head is 512, but it gets 64"):
        MODELS.build({**CFG, "head": {**CFG["head"], "in_channels": 512}})


def test_without_neck_or_head() -> None:
    backbone = nn.Conv2d(3, 4, 1)
    model = ImageClassifier(backbone)
    assert not model.with_head
    assert model(torch.randn(1, 3, 5, 5)).shape == (1, 4, 5, 5)
    with pytest.raises(ValueError, match="pre_logits"):
        model.extract_feat(torch.randn(1, 3, 5, 5), stage="pre_logits")


def mix(inputs: torch.Tensor, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return inputs * 0, scores


def test_augmentations_in_old_places() -> None:
    model = MODELS.build({**CFG, "train_cfg": {"augments": mix}})
    assert model.data_preprocessor(batch(), True)["inputs"].abs().sum() == 0
    with pytest.raises(ValueError, match="augment"):
        MODELS.build({**CFG, "train_cfg": {"augment": mix}})


def test_learns_to_tell_colours(model: ImageClassifier) -> None:
    torch.manual_seed(0)
    labels = torch.arange(30) % 3
    images = torch.randint(0, 100, (30, 3, 16, 16), dtype=torch.uint8)
    images[torch.arange(30), labels] += 120
    data = {"inputs": images, "data_samples": [DataSample().set_gt_label(int(i)) for i in labels]}
    optimizer = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9)
    for _ in range(40):
        losses = model.train()(**model.data_preprocessor(data, True), mode="loss")
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
    found = model.eval().test_step(data)
    assert sum(one.pred_label.item() == one.gt_label.item() for one in found) >= 28
