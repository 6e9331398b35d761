"""When and in which order weights are initialised."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from visuite.engine.model import BaseModule, CheckpointError, ModuleDict, ModuleList, Sequential, init_journal


def constant(value: float) -> dict:
    return dict(type="Constant", layer="Linear", val=value)


class Leaf(BaseModule):
    def __init__(self, init_cfg=None) -> None:
        super().__init__(init_cfg)
        self.fc = nn.Linear(2, 2)
        self.calls = 0

    def init_weights(self) -> None:
        self.calls += 1
        super().init_weights()


class Parent(BaseModule):
    def __init__(self, init_cfg=None, leaf_cfg=None) -> None:
        super().__init__(init_cfg)
        self.own = nn.Linear(2, 2)
        self.leaf = Leaf(leaf_cfg)
        self.plain = nn.Sequential(Leaf(leaf_cfg), nn.Linear(2, 2))


def value(layer: nn.Linear) -> float:
    assert (layer.weight == layer.weight[0, 0]).all()
    return layer.weight[0, 0].item()


def test_a_childs_wish_wins_over_its_parents() -> None:
    net = Parent(constant(1), constant(2))
    net.init_weights()
    assert [value(m) for m in (net.own, net.leaf.fc, net.plain[0].fc, net.plain[1])] == [1, 2, 2, 1]


def test_each_module_is_initialised_once_and_a_second_call_warns() -> None:
    net = Parent(leaf_cfg=constant(2))
    assert not net.is_init
    net.leaf.init_weights()
    net.init_weights()
    assert net.is_init
    assert net.leaf.calls == 1
    nn.init.constant_(net.leaf.fc.weight, 9)
    with pytest.warns(UserWarning, match="called before"):
        net.init_weights()
    assert value(net.leaf.fc) == 9


def test_a_checkpoint_wins_over_all_but_what_it_lacks_is_drawn(tmp_path) -> None:
    source = Parent()
    for p in source.parameters():
        nn.init.constant_(p, 5)
    state = {k: v for k, v in source.state_dict().items() if not k.startswith("plain.0")}
    torch.save({"state_dict": state}, tmp_path / "w.pth")
    net = Parent([constant(1), dict(type="Pretrained", checkpoint=str(tmp_path / "w.pth"))], constant(2))
    net.init_weights()
    assert [value(m) for m in (net.own, net.leaf.fc, net.plain[0].fc)] == [5, 5, 2]


def test_below_a_checkpoint_nobody_fetches_another(tmp_path) -> None:
    torch.save(Parent().state_dict(), tmp_path / "w.pth")
    nowhere = dict(type="Pretrained", checkpoint=str(tmp_path / "nowhere.pth"))
    Parent(dict(type="Pretrained", checkpoint=str(tmp_path / "w.pth")), nowhere).init_weights()
    with pytest.raises(CheckpointError, match=r"Leaf.*nowhere\.pth"):
        Parent(leaf_cfg=nowhere).init_weights()


def test_prefix_takes_a_part_of_a_checkpoint(tmp_path) -> None:
    net = Parent(leaf_cfg=constant(3))
    net.init_weights()
    torch.save({"state_dict": {f"module.{k}": v for k, v in net.state_dict().items()}}, tmp_path / "w.pth")
    for prefix in ("leaf", "leaf."):
        leaf = Leaf(dict(type="Pretrained", checkpoint=str(tmp_path / "w.pth"), prefix=prefix))
        leaf.init_weights()
        assert value(leaf.fc) == 3
    with pytest.raises(CheckpointError, match=r"nothing below 'lef'.*leaf"):
        Leaf(dict(type="Pretrained", checkpoint=str(tmp_path / "w.pth"), prefix="lef")).init_weights()


def test_a_checkpoint_of_which_nothing_fits_is_an_error(tmp_path) -> None:
    torch.save({"state_dict": {"other.weight": torch.ones(1)}}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="0 weights loaded"):
        Leaf(dict(type="Pretrained", checkpoint=str(tmp_path / "w.pth"))).init_weights()


def test_containers_carry_an_init_cfg() -> None:
    cfg = constant(4)
    sequential = Sequential(nn.Linear(2, 2), nn.ReLU(), init_cfg=cfg)
    listed = ModuleList([nn.Linear(2, 2)], init_cfg=cfg)
    named = ModuleDict({"a": nn.Linear(2, 2)}, init_cfg=cfg)
    for container in (sequential, listed, named):
        container.init_weights()
    assert value(sequential[0]) == value(listed[0]) == value(named["a"]) == 4
    assert sequential(torch.ones(1, 2)).shape == (1, 2)
    assert list(named.keys()) == ["a"]
    assert set(listed.state_dict()) == {"0.weight", "0.bias"}


def test_the_log_tells_who_initialised_what(monkeypatch) -> None:
    class Custom(Leaf):
        def init_weights(self) -> None:
            super().init_weights()
            self.fc.bias.data.fill_(7)

    lines: list[tuple[int, str]] = []
    monkeypatch.setattr(init_journal, "print_log", lambda msg, logger, level: lines.append((level, msg)))
    net = Parent(constant(1))
    net.plain[0] = Custom()
    net.init_weights()
    assert len(lines) == 1
    level, text = lines[0]
    assert level == logging.DEBUG
    assert "own.weight [2, 2]: ConstantInit(" in text
    assert "val=1" in text
    assert "plain.0.fc.bias [2]: init_weights of Custom" in text


@pytest.mark.parametrize("cfg", ["Kaiming", [dict(type="Constant", layer="Linear", val=1), "Kaiming"]])
def test_an_init_cfg_that_is_no_dict_is_refused(cfg) -> None:
    with pytest.raises(TypeError, match="init_cfg is a dict"):
        Leaf(cfg).init_weights()
