"""Models of other libraries train under the Runner with no more than 30 lines around them."""

from __future__ import annotations

import inspect
import statistics
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from visuite.engine.model import BaseModel
from visuite.engine.runner import Runner


def train_torchvision_classifier(work_dir: Path) -> Runner:
    from torchvision.models import resnet18

    class Classifier(BaseModel):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, images, labels, mode="tensor"):
            scores = self.net(images)
            return {"loss": nn.functional.cross_entropy(scores, labels)} if mode == "loss" else scores

    runner = Runner(
        model=Classifier(resnet18(num_classes=4)),
        work_dir=str(work_dir),
        train_dataloader=DataLoader([(patch(label), label) for label in (0, 1, 2, 3) * 2], batch_size=8),
        train_cfg=dict(by_epoch=True, max_epochs=12),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.02, momentum=0.9)),
        randomness=dict(seed=0),
    )
    runner.train()
    return runner


def train_timm_model(work_dir: Path) -> Runner:
    import timm

    class Classifier(BaseModel):
        def __init__(self, name: str, **kwargs) -> None:
            super().__init__()
            self.net = timm.create_model(name, **kwargs)

        def forward(self, images, labels, mode="tensor"):
            scores = self.net(images)
            return {"loss": nn.functional.cross_entropy(scores, labels)} if mode == "loss" else scores

    runner = Runner(
        model=dict(type=Classifier, name="resnet10t", num_classes=4),
        work_dir=str(work_dir),
        train_dataloader=DataLoader([(patch(label), label) for label in (0, 1, 2, 3) * 2], batch_size=8),
        train_cfg=dict(by_epoch=False, max_iters=12),
        optim_wrapper=dict(optimizer=dict(type="AdamW", lr=1e-3)),
        param_scheduler=dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=4),
        randomness=dict(seed=0),
    )
    runner.train()
    return runner


def train_torchvision_detector(work_dir: Path) -> Runner:
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

    class Detector(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            sizes = dict(min_size=64, max_size=64, num_classes=2)
            self.net = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None, **sizes)

        def forward(self, images, targets, mode="tensor"):
            return self.net(list(images), list(targets)) if mode == "loss" else self.net(list(images))

    data = [(patch(i), {"boxes": torch.tensor([[8.0, 8, 40, 40]]), "labels": torch.tensor([1])}) for i in (1, 2)]
    runner = Runner(
        model=Detector(),
        work_dir=str(work_dir),
        train_dataloader=DataLoader(data, batch_size=2, collate_fn=lambda samples: tuple(zip(*samples, strict=True))),
        train_cfg=dict(by_epoch=True, max_epochs=12),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.01, momentum=0.9), clip_grad=dict(max_norm=5)),
        randomness=dict(seed=0),
    )
    runner.train()
    return runner


def patch(label: int) -> torch.Tensor:
    """An image (3, 64, 64) with a square whose colour is its label."""
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(label)) * 0.2
    image[label % 3, 8:40, 8:40] += 0.8 if label < 3 else 0.4
    return image


def losses(runner: Runner, name: str) -> list[float]:
    return [float(value) for value in runner.message_hub.get_scalar(f"train/{name}").data[0]]


@pytest.mark.parametrize(
    ("train", "library", "parts"),
    [
        (train_torchvision_classifier, "torchvision", ["loss"]),
        (train_timm_model, "timm", ["loss"]),
        (train_torchvision_detector, "torchvision", ["loss", "loss_classifier"]),
    ],
)
def test_foreign_model_trains(tmp_path, train, library, parts):
    pytest.importorskip(library, reason=f"{library} is not installed: pip install {library}")
    lines = [line for line in inspect.getsource(train).splitlines() if line.strip()]
    assert len(lines) <= 30
    runner = train(tmp_path)
    for name in parts:
        values = losses(runner, name)
        assert len(values) == 12
        assert statistics.mean(values[-3:]) < 0.8 * statistics.mean(values[:3]), (name, values)
