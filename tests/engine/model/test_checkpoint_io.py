"""Reading checkpoints: old ones, foreign ones, hostile ones, damaged ones."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import textwrap
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from visuite.engine.model import (
    CheckpointError,
    checkpoint_files,
    find_state_dict,
    get_state_dict,
    load_checkpoint,
    load_state_dict,
    read_checkpoint,
    revise_keys,
    weights_to_cpu,
)

WRITE_LEGACY = """
    import argparse, collections, datetime, pathlib, sys, types
    import numpy as np, torch

    def module(name):
        made = types.ModuleType(name)
        sys.modules[name] = made
        return made

    for name in ("mmengine", "mmengine.logging", "mmengine.config"):
        module(name)
    history, config = module("mmengine.logging.history_buffer"), module("mmengine.config.config")

    class HistoryBuffer:
        def __init__(self):
            self._log_history = np.array([0.5, 0.25])
            self._count_history = np.array([1, 2])
            self.methods = {"mean": HistoryBuffer.mean}
        def mean(self):
            return 0

    class ConfigDict(dict):
        def __reduce__(self):
            return ConfigDict, (dict(self),)

    for cls, home in ((HistoryBuffer, history), (ConfigDict, config)):
        cls.__module__ = home.__name__
        setattr(home, cls.__name__, cls)

    checkpoint = dict(
        state_dict=collections.OrderedDict(weight=torch.arange(3.0)),
        message_hub=dict(log_scalars={"train/loss": HistoryBuffer()}),
        meta=dict(cfg=ConfigDict(a=1), array=np.arange(6, dtype=">i2").reshape(2, 3),
                  fortran=np.asfortranarray(np.eye(2)),
                  scalar=np.float32(1.5), names=np.array(["a", "bc"]), objects=np.array([None, "x"], dtype=object),
                  default=collections.defaultdict(list, k=[1]), queue=collections.deque([1, 2], 5),
                  args=argparse.Namespace(lr=1),
                  path=pathlib.PurePosixPath("a/b"), when=datetime.datetime(2020, 1, 1), classes=("cat", "dog")),
    )
    torch.save(checkpoint, sys.argv[1] + "/zip.pth")
    torch.save(checkpoint, sys.argv[1] + "/legacy.pth", _use_new_zipfile_serialization=False)
"""


@pytest.fixture(scope="module")
def old_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    subprocess.run([sys.executable, "-c", textwrap.dedent(WRITE_LEGACY), str(folder)], check=True)
    return folder


@pytest.fixture(params=["zip.pth", "legacy.pth"])
def old_checkpoint(request, old_files):
    return old_files / request.param


def test_old_checkpoints_are_read_without_their_packages(old_checkpoint) -> None:
    checkpoint = read_checkpoint(old_checkpoint)
    assert "mmengine" not in sys.modules
    assert torch.equal(checkpoint["state_dict"]["weight"], torch.arange(3.0))
    history = checkpoint["message_hub"]["log_scalars"]["train/loss"]
    assert history.pickled_type == "mmengine.logging.history_buffer.HistoryBuffer"
    np.testing.assert_array_equal(history._log_history, [0.5, 0.25])
    meta = checkpoint["meta"]
    assert meta["cfg"] == {"a": 1}
    np.testing.assert_array_equal(meta["array"], np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(meta["fortran"], np.eye(2))
    assert meta["scalar"] == 1.5
    assert isinstance(meta["scalar"], np.float32)
    assert meta["names"].tolist() == ["a", "bc"]
    assert meta["objects"].tolist() == [None, "x"]
    assert meta["default"] == {"k": [1]}
    assert meta["queue"] == [1, 2]
    assert meta["args"].lr == 1
    assert meta["classes"] == ("cat", "dog")


def test_what_was_read_can_be_written_and_read_by_torch_alone(old_checkpoint) -> None:
    array = read_checkpoint(old_checkpoint)["meta"]["array"]
    assert b"visuite" not in pickle.dumps(array)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(array)), array)


class Hostile:
    def __init__(self, function, *args) -> None:
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("function", "args", "named"),
    [
        (os.system, ("touch {target}",), "system"),
        (eval, ("open('{target}', 'w')",), "eval"),
        (exec, ("open('{target}', 'w')",), "exec"),
        (subprocess.call, (["touch", "{target}"],), "subprocess"),
        (torch.hub.load, ("a/b", "c"), "torch.hub"),
    ],
)
def test_a_hostile_file_is_refused_by_name_and_does_nothing(tmp_path, function, args, named, zipped) -> None:
    target = tmp_path / "touched"
    args = tuple([p.format(target=target) for p in a] if isinstance(a, list) else a.format(target=target) for a in args)
    path = tmp_path / "hostile.pth"
    content = {"state_dict": {"w": torch.ones(1)}, "meta": [np.arange(2), Hostile(function, *args)]}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=named) as caught:
        read_checkpoint(path)
    assert "hostile.pth" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not target.exists()


def test_a_method_looked_up_through_getattr_is_not_called(tmp_path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"w": torch.ones(1), "x": Hostile(getattr, "text", "upper")}, path)
    assert read_checkpoint(path)["x"].pickled_args == ("text", "upper")


@pytest.mark.parametrize(
    "state",
    [
        ((1, (1,), np.dtype("O"), False, b"12345678")),  # pointers from the file
        ((1, (1000,), np.dtype("f8"), False, b"12345678")),  # content shorter than the shape
        ((1, (1,), np.dtype([("a", "f8")]), False, b"12345678")),  # a structured layout
        ((1, (-1,), np.dtype("f8"), False, b"12345678")),
    ],
)
def test_arrays_that_would_read_foreign_memory_are_refused(tmp_path, state) -> None:
    class Forged:
        def __reduce__(self):
            return (*np.empty(0).__reduce__()[:2], state)

    torch.save({"w": torch.ones(1), "x": Forged()}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="cannot be read safely"):
        read_checkpoint(tmp_path / "w.pth")


def test_what_the_user_trusts_is_admitted(tmp_path) -> None:
    torch.save(
        {"w": torch.ones(1), "x": Hostile(complex, 1, 2), "y": Hostile(divmod, 7, 2), "z": np.arange(2)},
        tmp_path / "w.pth",
    )
    with pytest.raises(CheckpointError, match="divmod"):
        read_checkpoint(tmp_path / "w.pth")
    with torch.serialization.safe_globals([divmod]):
        assert read_checkpoint(tmp_path / "w.pth")["y"] == (3, 1)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x02}"])
def test_a_damaged_file_is_one_line(tmp_path, content) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"w\.pth") as caught:
        read_checkpoint(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_truncated_file_is_one_line(tmp_path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"w": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(path)


def test_a_missing_file_names_its_neighbours(tmp_path) -> None:
    torch.save({"w": torch.ones(1)}, tmp_path / "epoch_10.pth")
    with pytest.raises(CheckpointError, match=r"did you mean 'epoch_10\.pth'"):
        read_checkpoint(tmp_path / "epoch_11.pth")
    with pytest.raises(CheckpointError, match="no folder"):
        read_checkpoint(tmp_path / "nowhere" / "epoch_11.pth")


def test_safetensors(tmp_path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file({"w": torch.arange(3.0)}, tmp_path / "w.safetensors")
    assert torch.equal(read_checkpoint(tmp_path / "w.safetensors")["state_dict"]["w"], torch.arange(3.0))
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(tmp_path / "bad.safetensors")


# ---------------------------------------------------------------------- weights


def test_weights_are_found_wherever_they_lie() -> None:
    weights = {"a.w": torch.ones(1), "b.w": torch.zeros(1)}
    for checkpoint in ({"state_dict": weights}, {"model": weights, "epoch": 3}, {"module": weights}, weights):
        assert list(find_state_dict(checkpoint)) == ["a.w", "b.w"]
    assert list(find_state_dict({f"module.{k}": v for k, v in weights.items()}, prefix="b")) == ["w"]
    with pytest.raises(CheckpointError, match="no weights; its keys: epoch"):
        find_state_dict({"epoch": 3})


def test_keys_are_renamed_in_order_and_never_merged() -> None:
    state = OrderedDict({"module.a": torch.ones(1), "module.b": torch.ones(1)})
    state._metadata = {"x": 1}
    renamed = revise_keys(state, [(r"^module\.", ""), (r"^a$", "c")])
    assert list(renamed) == ["c", "b"]
    assert renamed._metadata == {"x": 1}
    with pytest.raises(CheckpointError, match="two weights"):
        revise_keys(state, [(r"a|b", "c")])


class Net(nn.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 1)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, 2)


def test_a_partial_fit_is_told_in_a_few_lines() -> None:
    state = Net().state_dict()
    state["heda.weight"] = state.pop("head.weight")
    state["conv.weight"] = torch.ones(5, 1, 1, 1)
    del state["norm.num_batches_tracked"]
    nn.init.constant_(state["norm.weight"], 7)
    net = Net()
    report = load_state_dict(net, state)
    assert (net.norm.weight == 7).all()
    assert report.missing == ["head.weight"]
    assert report.unexpected == ["heda.weight"]
    assert report.mismatched == [("conv.weight", (5, 1, 1, 1), (3, 1, 1, 1))]
    assert report.loaded == 6
    assert str(report).splitlines() == [
        "6 weights loaded, 1 of another shape, 1 not in the file, 1 not in the model",
        "  other shape: conv.weight [5, 1, 1, 1] in the file, [3, 1, 1, 1] here",
        "  not in the file: head.weight",
        "  not in the model: heda.weight (the model has head.weight)",
    ]
    with pytest.raises(CheckpointError, match="1 of another shape"):
        load_state_dict(Net(), state, strict=True)


def test_a_complete_fit_says_nothing_and_thousands_of_misfits_say_little() -> None:
    assert load_state_dict(Net(), Net().state_dict(), strict=True).complete
    state = {**Net().state_dict(), **{f"extra.{i}": torch.ones(1) for i in range(5000)}}
    text = str(load_state_dict(Net(), state))
    assert "5000 not in the model" in text
    assert "and 4997 more" in text
    assert len(text) < 300


def test_modules_may_rename_and_resize_before_shapes_are_compared() -> None:
    class Resizing(nn.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
            state_dict[prefix + "weight"] = state_dict.pop(prefix + "old")[:, :2]
            super()._load_from_state_dict(state_dict, prefix, *args)

    layer = Resizing(2, 3)
    assert load_state_dict(layer, {"old": torch.ones(3, 9), "bias": torch.zeros(3)}, strict=True).complete
    assert (layer.weight == 1).all()


def test_load_checkpoint_names_the_file(tmp_path) -> None:
    torch.save({"state_dict": {f"module.{k}": v for k, v in Net().state_dict().items()}, "meta": 1}, tmp_path / "w.pth")
    assert load_checkpoint(Net(), tmp_path / "w.pth", strict=True)["meta"] == 1
    with pytest.raises(CheckpointError, match=r"w\.pth: "):
        load_checkpoint(Net(4), tmp_path / "w.pth", strict=True)


def test_weights_come_out_under_plain_names() -> None:
    net = Net()
    expected = list(net.state_dict())
    net.conv = nn.DataParallel(net.conv)
    assert list(get_state_dict(net)) == expected
    assert list(get_state_dict(nn.DataParallel(net))) == expected
    assert hasattr(get_state_dict(net), "_metadata")
    moved = weights_to_cpu(get_state_dict(net))
    assert all(w.device.type == "cpu" for w in moved.values())


def test_a_buffer_is_read_like_a_file(monkeypatch) -> None:
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(1), "n": np.arange(2)}, buffer)
    monkeypatch.setattr(checkpoint_files, "get", lambda name: buffer.getvalue())
    assert read_checkpoint("memory://w.pth")["n"].tolist() == [0, 1]
