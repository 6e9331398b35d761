from __future__ import annotations

import enum
import io
import itertools
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from visuite.engine.logging import HistoryBuffer, MessageHub

_numbers = itertools.count()


@pytest.fixture
def hub() -> MessageHub:
    return MessageHub(f"hub {next(_numbers)}")


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_scalars(hub: MessageHub) -> None:
    hub.update_scalar("train/loss", 0.5)
    hub.update_scalars({"train/loss": torch.tensor(1.5), "acc": {"value": 6.0, "count": 3}})
    assert hub.get_scalar("train/loss").mean() == 1.0
    assert hub.get_scalar("acc").mean() == 2.0
    assert list(hub.log_scalars) == ["train/loss", "acc"]


def test_infos_are_any_object(hub: MessageHub) -> None:
    thing = object()
    hub.update_info("thing", thing)
    hub.update_info_dict({"iter": 3})
    assert hub.get_info("thing") is thing
    assert hub.get_info("nothing", 7) == 7
    assert hub.pop_info("iter") == 3
    assert hub.get_info("iter") is None
    assert hub.pop_info("iter", "gone") == "gone"


def test_faults(hub: MessageHub) -> None:
    hub.update_scalar("train/loss", 1.0)
    with pytest.raises(KeyError, match="did you mean 'train/loss'"):
        hub.get_scalar("train/los")
    with pytest.raises(ValueError, match="resumed=True, which cannot change to False"):
        hub.update_scalar("train/loss", 1.0, resumed=False)
    with pytest.raises(ValueError, match="2 of shape") as error:
        hub.update_scalar("wide", torch.ones(2))
    assert "while logging the scalar 'wide'" in error.value.__notes__
    assert "wide" not in hub.log_scalars
    with pytest.raises(KeyError, match="without 'value'"):
        hub.update_scalars({"a": {"v": 1}})
    with pytest.raises(TypeError, match="takes a dict"):
        hub.update_scalars([1])
    with pytest.raises(TypeError, match="takes a dict"):
        hub.update_info_dict(3)
    with pytest.raises(TypeError, match="HistoryBuffer"):
        MessageHub("bad", log_scalars={"a": [1.0]})


def test_state_survives_a_checkpoint_that_holds_only_tensors(hub: MessageHub) -> None:
    class Level(enum.IntEnum):
        HIGH = 3

    for value in (1.0, 2.0, 4.0):
        hub.update_scalar("train/loss", value, count=2)
    infos = {
        "iter": 3,
        "meta": {"classes": ("cat", "dog"), "palette": [[1, 2, 3]], 7: {1, 2}},
        "array": np.arange(6, dtype=np.int64).reshape(2, 3),
        "number": np.float32(0.5),
        "tensor": torch.ones(2),
        "path": Path("a/b"),
        "level": Level.HIGH,
        "nothing": None,
    }
    hub.update_info_dict(infos)
    hub.update_scalar("passing", 1.0, resumed=False)
    hub.update_info("fleeting", 1, resumed=False)
    restored = MessageHub(f"hub {next(_numbers)}")
    restored.load_state_dict(through_a_file(hub.state_dict()))
    assert restored.get_scalar("train/loss").data[0].tolist() == [1, 2, 4]
    assert restored.get_scalar("train/loss").mean() == hub.get_scalar("train/loss").mean() == 7 / 6
    assert "passing" not in restored.log_scalars
    assert "fleeting" not in restored.runtime_info
    assert restored.get_info("meta") == infos["meta"]
    np.testing.assert_array_equal(restored.get_info("array"), infos["array"])
    assert restored.get_info("tensor").tolist() == [1, 1]
    assert (restored.get_info("path"), restored.get_info("level"), restored.get_info("number")) == ("a/b", 3, 0.5)


def test_what_a_checkpoint_cannot_keep_is_told_once(hub: MessageHub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.update_info("model", torch.nn.Linear(1, 1))
    hub.update_info("iter", 1)
    assert list(hub.state_dict()["runtime_info"]) == ["iter"]
    assert "model (Linear)" in capsys.readouterr().out
    hub.state_dict()
    assert capsys.readouterr().out == ""
    hub.update_info("other", object())
    hub.state_dict()
    told = capsys.readouterr().out
    assert "other (object)" in told
    assert "Linear" not in told


def test_history_in_checkpoints_is_bounded(hub: MessageHub) -> None:
    for number in range(hub.HISTORY_LENGTH + 500):
        hub.update_scalar("loss", float(number))
    state = hub.state_dict()["log_scalars"]["loss"]
    assert len(state["log_history"]) == hub.HISTORY_LENGTH
    restored = HistoryBuffer.from_state(through_a_file(state))
    assert restored.mean() == (hub.HISTORY_LENGTH + 499) / 2


def test_loads_what_openmmlabs_runner_saved(hub: MessageHub, capsys: pytest.CaptureFixture[str]) -> None:
    """Its checkpoints hold pickled buffers, which are read as dicts with the attributes."""
    buffer: OrderedDict[str, Any] = OrderedDict()
    vars(buffer).update(
        _max_length=1000000,
        _log_history=np.array([1.0, 3.0]),
        _count_history=np.array([1, 1]),
        _statistics_methods={},
    )
    plain = {"_log_history": [5.0], "_count_history": [1], "_max_length": 10}
    hub.load_state_dict(
        {
            "log_scalars": OrderedDict({"train/loss": buffer, "b": plain, "broken": OrderedDict()}),
            "runtime_info": OrderedDict(iter=9),
            "resumed_keys": OrderedDict({"train/loss": True, "iter": True}),
        }
    )
    assert hub.get_scalar("train/loss").mean() == 2.0
    assert hub.get_scalar("b").current() == 5.0
    assert hub.get_info("iter") == 9
    assert "cannot be read: broken" in capsys.readouterr().out


def test_loads_another_hub_without_sharing(hub: MessageHub) -> None:
    hub.update_scalar("loss", 1.0)
    other = MessageHub(f"hub {next(_numbers)}")
    other.load_state_dict(hub)
    hub.update_scalar("loss", 3.0)
    assert other.get_scalar("loss").mean() == 1.0
    with pytest.raises(TypeError, match="restored from"):
        other.load_state_dict(5)


def test_two_runs_keep_apart() -> None:
    first = MessageHub.get_instance(f"run {next(_numbers)}")
    second = MessageHub.get_instance(f"run {next(_numbers)}")
    assert MessageHub.get_current_instance() is second
    with first.activate():
        MessageHub.get_current_instance().update_scalar("loss", 1.0)
    assert "loss" in first.log_scalars
    assert "loss" not in second.log_scalars
