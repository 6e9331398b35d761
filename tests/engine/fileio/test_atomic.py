import io
import multiprocessing
import os
import resource
import signal
import uuid

import pytest
import torch

from visuite.engine.fileio import atomic_write, get, put


def write_half(target):
    with atomic_write(target) as file:
        file.write(b"half")
        raise RuntimeError("mine")


def write_half_and_die(target):
    with atomic_write(target) as file:
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)


def test_the_file_appears_whole_with_ordinary_permissions(tmp_path):
    target = tmp_path / "new" / "a.bin"
    with atomic_write(target) as file:
        file.write(b"all")
        assert not target.exists()
    assert target.read_bytes() == b"all"
    assert os.listdir(target.parent) == ["a.bin"]
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert target.stat().st_mode == plain.stat().st_mode


def test_an_error_inside_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="mine"):
        write_half(target)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.fixture
def full_disk():
    """Let no file of this process grow beyond 64 KiB, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "write", [lambda file: file.write(bytes(1 << 18)), lambda file: torch.save(torch.ones(1 << 18), file)]
)
@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path, write):
    target = tmp_path / "epoch_1.pth"
    target.write_bytes(b"old")
    with pytest.raises(OSError, match=r"cannot write: .*epoch_1.pth") as caught, atomic_write(target) as file:
        write(file)
    assert caught.value.filename == str(target)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["epoch_1.pth"]


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="elsewhere"), atomic_write(tmp_path / "a"):
        (tmp_path / "elsewhere").read_bytes()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match=r"cannot write: .*a.pth"), atomic_write(tmp_path / "a.pth"):
        pass


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"), atomic_write(tmp_path / "file" / "a.pth"):
        pass


def test_a_link_keeps_pointing(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    writer = multiprocessing.get_context("fork").Process(target=write_half_and_die, args=(target,))
    writer.start()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    assert target.read_bytes() == b"old"


def test_a_url_gets_the_whole_file_or_nothing():
    url = f"memory://{uuid.uuid4().hex}/a.pth"
    with atomic_write(url) as file:
        torch.save({"a": 1}, file)
    assert torch.load(io.BytesIO(get(url))) == {"a": 1}
    put(b"old", url)
    with pytest.raises(RuntimeError, match="mine"):
        write_half(url)
    assert get(url) == b"old"
