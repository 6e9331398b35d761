"""A small model and its data, shared by the tests of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from visuite.engine.evaluator import BaseMetric
from visuite.engine.model import BaseModel
from visuite.engine.registry import DATASETS, METRICS, MODELS


@MODELS.register_module()
class ToyNet(BaseModel):
    """A perceptron with dropout and batch norm: it has randomness and buffers of its own."""

    def __init__(self, width: int = 8, data_preprocessor: Any = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.net = nn.Sequential(
            nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.3), nn.Linear(width, 2)
        )

    def forward(self, inputs: Tensor, labels: Tensor | None = None, mode: str = "tensor") -> Any:
        scores = self.net(inputs)
        if mode == "loss":
            return {"loss": nn.functional.cross_entropy(scores, labels)}
        if mode == "predict":
            return [{"score": s, "label": y} for s, y in zip(scores, labels, strict=True)]
        return scores


@DATASETS.register_module()
class ToyData:
    """Points with noise drawn anew in every epoch; the label is the sign of a sum."""

    metainfo = {"classes": ("minus", "plus")}

    def __init__(self, size: int = 20) -> None:
        generator = torch.Generator().manual_seed(0)
        self.points = torch.randn(size, 4, generator=generator)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        point = self.points[index]
        return point + 0.1 * torch.randn(4), int(point.sum() > 0)


@METRICS.register_module()
class ToyAccuracy(BaseMetric):
    """The share of right labels."""

    default_prefix = "toy"

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [int(s["score"].argmax() == s["label"]) for s in data_samples]

    def compute_metrics(self, results: list[int]) -> dict[str, float]:
        return {"accuracy": sum(results) / len(results), "count": len(results)}


def config(work_dir: Path | str, **changes: Any) -> dict[str, Any]:
    """A whole run; `changes` replace top-level keys."""
    loader = dict(
        batch_size=4, num_workers=0, dataset=dict(type="ToyData"), sampler=dict(type="DefaultSampler", shuffle=True),
        collate_fn=dict(type="default_collate"),
    )  # fmt: skip
    cfg = dict(
        model=dict(type="ToyNet"),
        work_dir=str(work_dir),
        train_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=3),
        optim_wrapper=dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.1, momentum=0.9)),
        param_scheduler=dict(type="CosineAnnealingLR", T_max=3, by_epoch=True, convert_to_iter_based=True),
        val_dataloader={**loader, "sampler": dict(type="DefaultSampler", shuffle=False)},
        val_cfg=dict(),
        val_evaluator=dict(type="ToyAccuracy"),
        default_hooks=dict(
            logger=dict(type="LoggerHook", interval=2), checkpoint=dict(type="CheckpointHook", interval=1)
        ),
        randomness=dict(seed=7),
        log_level="WARNING",
    )
    cfg.update(changes)
    return cfg


def weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of a model's state."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def assert_same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """Assert that two states are equal, bit for bit."""
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert not different, f"these differ: {different}"
