"""A model that only predicts gives what it gave before."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tests import contracts
from tests.yolo.backbones.variants import VARIANTS
from tests.yolo.necks.test_contract import CASES
from visuite.yolo.deploy import deploy

PARTS = {
    **{f"backbone of {name}": variant.make for name, variant in VARIANTS.items()},
    **{f"neck of {name}": case.behind_images for name, case in CASES.items()},
}


def shaken(model: nn.Module) -> nn.Module:
    """Give each batch norm statistics and weights of its own, as training does."""
    for norm in model.modules():
        if isinstance(norm, _BatchNorm):
            for tensor, low, high in (
                (norm.running_mean, -0.5, 0.5),
                (norm.running_var, 0.5, 1.5),
                (norm.weight, 0.5, 1.5),
                (norm.bias, -0.5, 0.5),
            ):
                nn.init.uniform_(tensor, low, high)
    return model


@pytest.mark.parametrize("name", PARTS)
def test_features_stay_the_same(name: str) -> None:
    torch.manual_seed(0)
    model: Any = shaken(PARTS[name]()).eval()
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        before = model(x)
        count = sum(isinstance(part, _BatchNorm) for part in model.modules())
        copied = copy.deepcopy(model)
        after = deploy(copied)(x)
    assert count
    assert not any(isinstance(part, _BatchNorm) for part in copied.modules())
    assert not any(parameter.requires_grad for parameter in copied.parameters())
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-4 * float(one.abs().max()))


def test_twice_is_once(tmp_path: Any) -> None:
    model = deploy(shaken(VARIANTS["yolov8"].make()))
    state = copy.deepcopy(model.state_dict())
    assert deploy(model) is model
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    contracts.exports(lambda: model, tmp_path / "deployed.onnx", dynamo=False)
