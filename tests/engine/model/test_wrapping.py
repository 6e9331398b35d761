"""Wrappers, synchronised batch norm and test-time augmentation."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
import torch.distributed as dist
from torch import nn

from visuite.engine.model import (
    BaseModel,
    BaseTTAModel,
    MMDistributedDataParallel,
    convert_sync_batchnorm,
    detect_anomalous_params,
    is_model_wrapper,
    revert_sync_batchnorm,
    unwrap_model,
)
from visuite.engine.registry import MODEL_WRAPPERS, Registry


class Net(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 1)
        self.idle = nn.Linear(2, 1)

    def forward(self, inputs, data_samples=None, mode="tensor"):
        out = self.fc(inputs)
        return {"loss": out.square()} if mode == "loss" else list(out)


class Sgd:
    def __init__(self, model) -> None:
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        self.models = []

    def optim_context(self, model):
        self.models.append(model)
        return nullcontext()

    def update_params(self, loss) -> None:
        loss.backward()
        self.optimizer.step()


@pytest.fixture
def group(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_ddp_takes_the_steps_of_its_model(group) -> None:
    torch.manual_seed(0)
    alone, inside = Net(), Net()
    inside.load_state_dict(alone.state_dict())
    ddp = MODEL_WRAPPERS.build(dict(type="MMDistributedDataParallel", module=inside, find_unused_parameters=True))
    data = {"inputs": torch.randn(4, 2)}
    wrapper = Sgd(ddp)
    expected, log = alone.train_step(data, Sgd(alone)), ddp.train_step(data, wrapper)
    assert torch.equal(log["loss"], expected["loss"])
    assert torch.equal(alone.fc.weight, inside.fc.weight)
    assert wrapper.models == [ddp]
    assert torch.equal(torch.stack(ddp.val_step(data)), torch.stack(alone.test_step(data)))
    assert is_model_wrapper(ddp)
    assert unwrap_model(ddp) is inside


def test_ddp_names_parameters_without_a_gradient(group, capsys, monkeypatch) -> None:
    said = []
    monkeypatch.setattr("visuite.engine.model.distributed.print_log", lambda text, *_: said.append(text))
    ddp = MMDistributedDataParallel(Net(), detect_anomalous_params=True, find_unused_parameters=True)
    ddp.train_step({"inputs": torch.randn(4, 2)}, Sgd(ddp))
    assert said == ["the loss does not depend on 2 parameters: module.idle.weight, module.idle.bias"]


def test_every_parameter_in_the_graph_is_no_anomaly() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    assert detect_anomalous_params(net(torch.ones(1, 2)).sum(), net) == []
    net[0].weight.requires_grad_(False)
    assert detect_anomalous_params(net(torch.ones(1, 2)).sum(), net) == []


def test_wrappers_of_children_registries_count() -> None:
    class Mine(nn.Module):
        pass

    parent = Registry("model wrapper", scope="engine")
    Registry("model wrapper", parent=parent, scope="mine").register_module(module=Mine)
    assert is_model_wrapper(Mine(), parent)
    assert not is_model_wrapper(nn.Linear(1, 1))


def test_sync_batchnorm_there_and_back_keeps_everything() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, eps=0.1, momentum=0.2), nn.Sequential(nn.BatchNorm1d(4, affine=False))
    )
    net[1](torch.randn(2, 4, 3, 3))
    state = {k: v.clone() for k, v in net.state_dict().items()}
    x = torch.randn(2, 3, 5, 5)
    expected = net[1].eval()(net[0](x))
    converted = convert_sync_batchnorm(net)
    assert isinstance(converted[1], nn.SyncBatchNorm)
    weight = converted[1].weight
    back = revert_sync_batchnorm(converted)
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in back.modules())
    assert back[1].weight is weight
    assert (back[1].eps, back[1].momentum, back[1].training) == (0.1, 0.2, False)
    assert all(torch.equal(v, state[k]) for k, v in back.state_dict().items())
    torch.testing.assert_close(back[1](back[0](x)), expected)
    assert isinstance(revert_sync_batchnorm(nn.SyncBatchNorm(3)), nn.modules.batchnorm._BatchNorm)
    with pytest.raises(ValueError, match="implementation"):
        convert_sync_batchnorm(net, "apex")


class Mean(BaseTTAModel):
    def merge_preds(self, data_samples_list):
        return [torch.stack(versions).mean(0) for versions in data_samples_list]


@pytest.mark.parametrize("as_dict", [True, False])
def test_versions_are_predicted_apart_and_merged_by_image(as_dict) -> None:
    net = Net()
    versions = [torch.randn(3, 2), torch.randn(3, 2)]
    data = {"inputs": versions, "data_samples": [["a"] * 3] * 2} if as_dict else [versions]
    merged = Mean(net).test_step(data)
    expected = torch.stack([net.fc(v) for v in versions]).mean(0)
    torch.testing.assert_close(torch.stack(merged), expected)


def test_uneven_versions_and_models_without_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="different numbers"):
        Mean(Net()).test_step({"inputs": [1, 2], "data_samples": [1]})
    with pytest.raises(TypeError, match="test_step"):
        Mean(nn.Linear(1, 1))
