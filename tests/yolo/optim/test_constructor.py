"""Parameter groups and weight decays against tables made by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from visuite.engine.check import check_run
from visuite.engine.config import Config
from visuite.engine.model import ExpMomentumEMA
from visuite.engine.optim import OptimWrapper, build_optim_wrapper
from visuite.engine.registry import DefaultScope
from visuite.yolo.optim import YOLOv5OptimizerConstructor
from visuite.yolo.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS

SGD: dict[str, Any] = {"type": "SGD", "lr": 0.01, "momentum": 0.937, "weight_decay": 0.0005, "nesterov": True}


class Implicit(nn.Module):
    """Stands for what YOLOv7's head adds to its maps."""

    def __init__(self) -> None:
        super().__init__()
        self.implicit = nn.Parameter(torch.zeros(1, 4, 1, 1))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4))
        self.gain = nn.Parameter(torch.ones(2))
        self.frozen = nn.Conv2d(4, 4, 1).requires_grad_(False)
        self.head = nn.Sequential(Implicit(), nn.Conv2d(4, 5, 1), nn.GroupNorm(1, 5))


GROUPS = {
    "weights": {"gain", "stem.0.weight", "head.1.weight"},
    "norms": {"stem.1.weight", "head.2.weight", "head.0.implicit"},
    "biases": {"stem.1.bias", "head.1.bias", "head.2.bias"},
}


def build(
    model: nn.Module, kind: str = "YOLOv5OptimizerConstructor", paramwise: Any = None, **options: Any
) -> OptimWrapper:
    with DefaultScope.overwrite_default_scope("yolo"):
        return build_optim_wrapper(
            model, {"optimizer": {**SGD, **options}, "constructor": kind, "paramwise_cfg": paramwise}
        )


@pytest.mark.parametrize("kind", ["YOLOv5OptimizerConstructor", "mmyolo.YOLOv7OptimWrapperConstructor"])
def test_each_parameter_is_in_its_group_and_only_weights_decay(kind: str) -> None:
    model = Net()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = build(model, kind).optimizer.param_groups
    assert {g["group_name"]: {names[id(p)] for p in g["params"]} for g in groups} == GROUPS
    assert {g["group_name"]: g["weight_decay"] for g in groups} == {"weights": 0.0005, "norms": 0.0, "biases": 0.0}
    assert {(g["lr"], g["momentum"], g["nesterov"]) for g in groups} == {(0.01, 0.937, True)}


def test_a_group_without_parameters_is_left_out() -> None:
    groups = build(nn.Conv2d(1, 1, 1)).optimizer.param_groups
    assert [group["group_name"] for group in groups] == ["weights", "biases"]


@pytest.mark.parametrize(
    ("batch", "world", "nominal", "factor"),
    [
        (16, 8, 64, 2.0),  # 128 images, nothing to accumulate
        (16, 1, 64, 1.0),  # 4 batches make 64
        (12, 1, 64, 60 / 64),  # 5 batches make 60
        (8, 1, 64, 1.0),
        (100, 1, 64, 100 / 64),
        (40, 1, 64, 80 / 64),  # 2 batches make 80
        (32, 1, 256, 1.0),
    ],
)
def test_the_decay_follows_the_batch(
    monkeypatch: pytest.MonkeyPatch, batch: int, world: int, nominal: int, factor: float
) -> None:
    monkeypatch.setattr("visuite.yolo.optim.constructor.get_world_size", lambda: world)
    wrapper = build(Net(), paramwise={"base_total_batch_size": nominal}, batch_size_per_gpu=batch)
    decays = {group["group_name"]: group["weight_decay"] for group in wrapper.optimizer.param_groups}
    assert decays == {"weights": pytest.approx(0.0005 * factor), "norms": 0.0, "biases": 0.0}


def test_a_config_is_left_as_it_was() -> None:
    cfg = {"optimizer": {**SGD, "batch_size_per_gpu": 128}}
    OPTIM_WRAPPER_CONSTRUCTORS.build({"type": "YOLOv5OptimizerConstructor", "optim_wrapper_cfg": cfg})(Net())
    assert cfg == {"optimizer": {**SGD, "batch_size_per_gpu": 128}}


def test_what_is_wrong_is_told() -> None:
    with pytest.raises(ValueError, match="no 'base_batch_size'; did you mean 'base_total_batch_size'"):
        YOLOv5OptimizerConstructor({"optimizer": SGD}, {"base_batch_size": 32})
    with pytest.raises(ValueError, match="at least one image, not 0"):
        YOLOv5OptimizerConstructor({"optimizer": {**SGD, "batch_size_per_gpu": 0}})
    shared = Net()
    shared.tied = nn.Conv2d(3, 4, 1, bias=False)
    shared.tied.weight = shared.stem[0].weight
    with pytest.raises(ValueError, match=r"stem.0.weight and tied.weight are one parameter"):
        build(shared)
    assert len(build(shared, paramwise={"bypass_duplicate": True}).optimizer.param_groups[0]["params"]) == 3


def test_the_check_knows_which_key_the_constructor_reads() -> None:
    def faults(**wrapper: Any) -> list[str]:
        cfg = Config(
            {"default_scope": "yolo", "optim_wrapper": {"optimizer": {**SGD, "batch_size_per_gpu": 8}, **wrapper}}
        )
        return [str(one) for one in check_run(cfg, data="skip") if "batch_size_per_gpu" in str(one)]

    assert not faults(constructor="YOLOv5OptimizerConstructor")
    assert faults()


def test_the_average_of_yolos_is_found_in_their_scope() -> None:
    average = MODELS.build({"type": "ExpMomentumEMA", "model": nn.Linear(1, 1), "momentum": 0.0001, "gamma": 2000})
    assert isinstance(average, ExpMomentumEMA)
