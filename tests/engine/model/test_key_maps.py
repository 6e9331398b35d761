"""Checkpoints with the names of others."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from visuite.engine.model import (
    CheckpointError,
    PretrainedInit,
    convert_state_dict,
    key_maps,
    load_checkpoint,
    load_state_dict,
    register_key_map,
)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1)


class Derived(Net):
    pass


class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = Derived(), nn.Linear(2, 2)


class Prefixed:
    """Reads `<prefix>.weight`; knows a classifier, `fc`."""

    def __init__(self, prefix: str, *sources: str) -> None:
        self.prefix, self.sources = prefix, sources

    def fits(self, module, names):
        return f"{self.prefix}.weight" in names

    def convert(self, module, state):
        renamed = {name.replace(f"{self.prefix}.", "conv."): value for name, value in state.items()}
        return {k: v for k, v in renamed.items() if k != "fc"}, ["fc"] if "fc" in state else []


@pytest.fixture(autouse=True)
def maps(monkeypatch):
    monkeypatch.setattr(key_maps, "_key_maps", {})
    register_key_map(Derived, Prefixed("b", "second", "third"))
    register_key_map(Net, Prefixed("a", "first"))


def weights(name: str, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    return {f"{name}.weight": torch.full((2, 1, 1, 1), 5.0), f"{name}.bias": torch.ones(2), **more}


@pytest.mark.parametrize("name", ["a", "b", "conv"])
def test_names_are_recognised_for_a_class_and_those_derived_from_it(name) -> None:
    net = Derived()
    report = load_state_dict(net, weights(name), strict=True)
    assert report.sources == {"a": ["first"], "b": ["second or third"], "conv": []}[name]
    assert report.loaded == 2
    assert (net.conv.weight == 5).all()
    with pytest.raises(CheckpointError, match=r"not in the model: b\.weight \(the model has conv\.weight\)"):
        load_state_dict(Net(), weights("b"))


def test_parts_read_what_lies_below_their_names() -> None:
    state = {f"backbone.{name}": value for name, value in weights("b", fc=torch.ones(1)).items()}
    model = Detector()
    report = load_state_dict(nn.DataParallel(model), {**state, "head.weight": torch.ones(2, 2)})
    assert (model.backbone.conv.weight == 5).all()
    assert report.left_out == ["backbone.fc"]
    assert report.missing == ["head.bias"]
    assert state.keys() == {"backbone.b.weight", "backbone.b.bias", "backbone.fc"}  # the caller's own stays


def test_the_report_says_what_was_mapped_and_left_out(caplog) -> None:
    with caplog.at_level(logging.INFO):
        report = load_state_dict(Net(), weights("a", fc=torch.ones(1)))
    assert str(report).splitlines() == ["2 weights loaded, all fit", "  names mapped: those of first", "  left out: fc"]
    assert report.complete


def test_a_source_can_be_named(tmp_path) -> None:
    assert convert_state_dict(Derived(), weights("b"), "third").sources == ["third"]
    with pytest.raises(CheckpointError, match=r"not those of 'first', as Derived knows them: b\.weight, b\.bias"):
        convert_state_dict(Derived(), weights("b"), "first")
    with pytest.raises(CheckpointError, match="no names of 'frist'; did you mean 'first'"):
        convert_state_dict(Derived(), weights("b"), "frist")
    assert convert_state_dict(Derived(), weights("b"), "own").state_dict.keys() == weights("b").keys()
    torch.save(weights("b"), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"(?s)w\.pth.*not in the model: b\.weight.*of first, second, third"):
        load_checkpoint(Derived(), tmp_path / "w.pth", key_map="own")
    net = Derived()
    PretrainedInit(str(tmp_path / "w.pth"), key_map="second")(net)
    assert (net.conv.weight == 5).all()
    with pytest.raises(CheckpointError, match=r"pretrained weights of Derived \(.*w\.pth\).*'frist'"):
        PretrainedInit(str(tmp_path / "w.pth"), key_map="frist")(net)


def test_other_shapes_are_told_by_the_names_here() -> None:
    report = load_state_dict(Net(), {**weights("a"), "a.bias": torch.ones(3)})
    assert report.mismatched == [("conv.bias", (3,), (2,))]
    assert report.loaded == 1
