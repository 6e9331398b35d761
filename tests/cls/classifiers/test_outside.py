"""Classifiers of timm and torchvision."""

from __future__ import annotations

import builtins
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision

from visuite.cls.classifiers import TimmClassifier, TorchvisionClassifier
from visuite.cls.structures import DataSample
from visuite.engine.registry import MODELS


def samples(labels: list[int]) -> list[DataSample]:
    return [DataSample().set_gt_label(label) for label in labels]


def test_torchvision_scores_are_its_own() -> None:
    torch.manual_seed(0)
    model = MODELS.build(
        {
            "type": "mmpretrain.TorchvisionClassifier",
            "model_name": "mobilenet_v3_small",
            "num_classes": 5,
            "loss": {"type": "LabelSmoothLoss", "label_smooth_val": 0.1, "num_classes": 5},
            "data_preprocessor": {"mean": [100.0] * 3, "std": [50.0] * 3},
            "_scope_": "cls",
        }
    )
    whole = torchvision.models.mobilenet_v3_small(num_classes=5).eval()
    state = {key.removeprefix("model."): value for key, value in model.state_dict().items()}
    assert set(state) == set(whole.state_dict())
    whole.load_state_dict(state)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    model.eval()
    with torch.no_grad():
        wanted = whole((images.float() - 100) / 50)
        batch = model.data_preprocessor({"inputs": list(images), "data_samples": samples([0, 3])})
        torch.testing.assert_close(model(batch["inputs"]), wanted)
        losses = model(**batch, mode="loss")
        found = model.test_step({"inputs": list(images), "data_samples": samples([0, 3])})
    torch.testing.assert_close(losses["loss"], F.cross_entropy(wanted, torch.tensor([0, 3]), label_smoothing=0.1))
    torch.testing.assert_close(torch.stack([one.pred_score for one in found]), wanted.softmax(1))
    assert found[1].gt_label.item() == 3
    with pytest.raises(ValueError, match="'resnet18'"):
        TorchvisionClassifier("resnet81")


def test_scores_in_the_middle_are_learnt_from() -> None:
    model = TorchvisionClassifier("googlenet", num_classes=4, aux_logits=True, init_weights=False)
    images = torch.randn(2, 3, 64, 64)
    losses = model(images, samples([1, 2]), mode="loss")
    assert set(losses) == {"loss", "loss_aux0", "loss_aux1"}
    sum(losses.values()).backward()  # type: ignore[union-attr]
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert set(model.eval()(images, samples([1, 2]), mode="loss")) == {"loss"}


def test_timm_scores_are_its_own() -> None:
    timm = pytest.importorskip("timm")
    model = TimmClassifier("resnet10t", num_classes=3, in_chans=1).eval()
    theirs = timm.create_model("resnet10t", num_classes=3, in_chans=1).eval()
    theirs.load_state_dict({key.removeprefix("model."): value for key, value in model.state_dict().items()})
    images = torch.randn(2, 1, 64, 64)
    torch.testing.assert_close(model(images), theirs(images))
    losses = model(images, samples([0, 2]), mode="loss")
    torch.testing.assert_close(losses["loss"], F.cross_entropy(theirs(images), torch.tensor([0, 2])))
    with pytest.raises(ValueError, match="did you mean"):
        TimmClassifier("resnet10tt")


def test_timm_keeps_its_weights_and_can_recompute() -> None:
    pytest.importorskip("timm")
    size = {"embed_dim": 16, "depth": 1, "num_heads": 2, "img_size": 32, "num_classes": 3}
    model = TimmClassifier("vit_tiny_patch16_224", with_cp=True, **size)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    images = torch.randn(2, 3, 32, 32)
    model(images, samples([0, 1]), mode="loss")["loss"].backward()
    kept = [parameter.grad.clone() for parameter in model.parameters()]
    plain = TimmClassifier("vit_tiny_patch16_224", **size)
    plain.load_state_dict(before)
    plain(images, samples([0, 1]), mode="loss")["loss"].backward()
    for one, other in zip(kept, plain.parameters(), strict=True):
        torch.testing.assert_close(one, other.grad)


def test_without_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "timm":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=r"pip install 'visuite-cls\[timm\]'"):
        TimmClassifier("resnet18")
