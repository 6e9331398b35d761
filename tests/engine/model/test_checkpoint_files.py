"""Where checkpoint files are looked for, and what is said of those that are nowhere."""

from __future__ import annotations

import fsspec
import pytest
import torch

from visuite.engine.model import CheckpointError, PretrainedInit, read_checkpoint
from visuite.engine.model.checkpoint_files import MIRROR_VARIABLE, PublishedFile, open_checkpoint

UNREACHABLE = "http://127.0.0.1:9/some/weights.pth"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    folder = tmp_path / "home" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def save(folder, value, name="weights.pth"):
    folder.mkdir(exist_ok=True)
    torch.save({"w": torch.tensor([value])}, folder / name)
    return folder


def test_a_download_that_fails_says_where_to_put_the_file(cache) -> None:
    with pytest.raises(CheckpointError, match=rf"cannot download.*put the file at '{cache}/weights\.pth'") as caught:
        read_checkpoint(UNREACHABLE)
    assert f"set {MIRROR_VARIABLE} to" in str(caught.value)
    save(cache, 1.0)
    assert read_checkpoint(f"{UNREACHABLE}?download=1")["w"] == 1


def test_a_published_file_may_have_another_name_here(cache) -> None:
    save(cache, 2.0, "net.pth")
    assert open_checkpoint(PublishedFile(UNREACHABLE, "net.pth")) == cache / "net.pth"


@pytest.mark.parametrize("told", ["argument", "variable", "config"])
def test_a_mirror_folder_is_used_in_place(told, tmp_path, cache, monkeypatch) -> None:
    mirror = save(tmp_path / "mirror", 3.0)
    if told == "variable":
        monkeypatch.setenv(MIRROR_VARIABLE, str(mirror))
        assert read_checkpoint(UNREACHABLE)["w"] == 3
    elif told == "argument":
        assert read_checkpoint(UNREACHABLE, mirror=mirror)["w"] == 3
    else:
        module = torch.nn.Module()
        module.w = torch.nn.Parameter(torch.zeros(1))
        PretrainedInit(UNREACHABLE, mirror=f"file://{mirror}")(module)
        assert module.w == 3
    assert not list(cache.iterdir())


def test_a_mirror_is_asked_alone(tmp_path) -> None:
    mirror = save(tmp_path / "mirror", 3.0, "wieghts.pth")
    with pytest.raises(CheckpointError, match=r"mirror .* has no file 'weights\.pth'.*did you mean") as caught:
        read_checkpoint(UNREACHABLE, mirror=mirror)
    assert UNREACHABLE in str(caught.value)


def test_a_mirror_elsewhere_is_copied_to_the_cache(tmp_path, cache) -> None:
    save(tmp_path, 4.0)
    with fsspec.open("memory://mirror/weights.pth", "wb") as file:
        file.write((tmp_path / "weights.pth").read_bytes())
    assert read_checkpoint(UNREACHABLE, mirror="memory://mirror")["w"] == 4
    assert (cache / "weights.pth").is_file()
    with pytest.raises(CheckpointError, match=r"cannot download checkpoint 'memory://mirror/other\.pth'.*published at"):
        read_checkpoint("http://127.0.0.1:9/other.pth", mirror="memory://mirror")
    assert [one.name for one in cache.iterdir()] == ["weights.pth"]
    with pytest.raises(
        CheckpointError, match=r"'http://127\.0\.0\.1:9/mirror/other\.pth'.*published at https://a\.b/c"
    ):
        read_checkpoint("https://a.b/c/other.pth", mirror="http://127.0.0.1:9/mirror")
