"""Training steps, losses and their log."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from visuite.engine.model import BaseDataPreprocessor, BaseModel, ImgDataPreprocessor, parse_losses


class Sgd:
    """The least that a step asks of an optimizer wrapper."""

    def __init__(self, model: nn.Module) -> None:
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        self.seen: list[nn.Module] = []

    def optim_context(self, model):
        self.seen.append(model)
        return nullcontext()

    def update_params(self, loss: Tensor) -> None:
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


class Net(BaseModel):
    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.fc = nn.Linear(2, 1)

    def forward(self, inputs, data_samples=None, mode="tensor"):
        out = self.fc(inputs)
        if mode == "loss":
            return {"loss_fit": (out - data_samples) ** 2, "acc": torch.tensor(0.5)}
        return list(out) if mode == "predict" else out


def test_a_training_step_is_the_hand_written_one() -> None:
    net = Net()
    x, y = torch.randn(8, 2), torch.randn(8, 1)
    twin = nn.Linear(2, 1)
    twin.load_state_dict(net.fc.state_dict())
    wrapper = Sgd(net)
    log = net.train_step({"inputs": x, "data_samples": y}, wrapper)
    loss = ((twin(x) - y) ** 2).mean()
    loss.backward()
    torch.optim.SGD(twin.parameters(), lr=0.1).step()
    assert torch.equal(net.fc.weight, twin.weight)
    assert list(log) == ["loss", "loss_fit", "acc"]
    assert torch.equal(log["loss"], loss.detach())
    assert not log["loss"].requires_grad
    assert wrapper.seen == [net]


@pytest.mark.parametrize("pack", [lambda x: {"inputs": x}, lambda x: [x], lambda x: (x, None)])
def test_steps_take_dicts_lists_and_tuples(pack) -> None:
    net = Net()
    x = torch.randn(3, 2)
    for step in (net.val_step, net.test_step):
        assert torch.equal(torch.stack(step(pack(x))), net.fc(x))


def test_another_batch_type_is_refused() -> None:
    with pytest.raises(TypeError, match="dict, list or tuple"):
        Net().val_step(torch.ones(1, 2))


def test_the_preprocessor_is_a_config_a_module_or_the_plain_one() -> None:
    assert type(Net().data_preprocessor) is BaseDataPreprocessor
    assert isinstance(Net(data_preprocessor=dict(type="ImgDataPreprocessor")).data_preprocessor, ImgDataPreprocessor)
    ready = ImgDataPreprocessor()
    assert Net(data_preprocessor=ready).data_preprocessor is ready
    with pytest.raises(TypeError, match="config or a module"):
        Net(data_preprocessor=3)


def test_the_preprocessor_follows_its_model() -> None:
    net = Net(data_preprocessor=dict(type="ImgDataPreprocessor", mean=[1], std=[2]))
    assert net.data_preprocessor.device.type == "cpu"
    net.to("meta")
    assert net.data_preprocessor.device.type == "meta"
    assert net.data_preprocessor.mean.device.type == "meta"
    assert net.data_preprocessor.cast_data({"a": [torch.ones(1)]})["a"][0].device.type == "meta"
    assert all("preprocessor" not in name for name in net.state_dict())


def test_losses_are_means_and_sums_of_means() -> None:
    a, b = torch.tensor([1.0, 3.0], requires_grad=True), torch.tensor([[2.0, 4.0]], dtype=torch.float16)
    total, log = parse_losses(
        {"loss_a": a, "loss_b": [a, b], "acc": torch.tensor([1, 0]), "loss_c": 0.25, "aux": [b, 1]}
    )
    assert total.item() == 2 + (2 + 3) + 0.25
    assert {k: v.item() for k, v in log.items()} == {
        "loss": 7.25, "loss_a": 2, "loss_b": 5, "acc": 0.5, "loss_c": 0.25, "aux": 4,
    }  # fmt: skip
    assert next(iter(log)) == "loss"
    assert log["loss_b"].dtype == torch.float32
    total.backward()
    assert a.grad.tolist() == [1, 1]
    assert not any(v.requires_grad for v in log.values())


def test_an_entry_called_loss_counts_once() -> None:
    total, log = parse_losses({"loss": torch.tensor(2.0)})
    assert (total, log["loss"], len(log)) == (2, 2, 1)
    total, log = parse_losses({"loss": torch.tensor(2.0), "loss_aux": torch.tensor(1.0)})
    assert (total, log["loss"]) == (3, 3)


@pytest.mark.parametrize(
    ("losses", "error", "message"),
    [
        ({"loss_a": "no"}, TypeError, "'loss_a' is a str"),
        ({"loss_a": []}, TypeError, "'loss_a' is a list"),
        ({"acc": torch.ones(1)}, ValueError, "none of acc is a loss"),
        (torch.ones(1), TypeError, "dict of losses"),
    ],
)
def test_bad_losses_are_named(losses, error, message) -> None:
    with pytest.raises(error, match=message):
        parse_losses(losses)
