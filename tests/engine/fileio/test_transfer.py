import shutil
import uuid
from pathlib import Path

import pytest

from visuite.engine import fileio


@pytest.fixture
def url():
    return f"memory://{uuid.uuid4().hex}"


def test_a_local_path_is_given_as_it_is_and_a_remote_one_is_fetched(tmp_path, url):
    (tmp_path / "a.txt").write_text("local")
    with fileio.get_local_path(tmp_path / "a.txt") as path:
        assert path == str(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").exists()
    fileio.put(b"remote", f"{url}/b.txt")
    with fileio.get_local_path(f"{url}/b.txt") as path:
        assert Path(path).name == "b.txt"
        assert Path(path).read_bytes() == b"remote"
    assert not Path(path).exists()


def test_files_are_copied_everywhere(tmp_path, url):
    (tmp_path / "a.txt").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    assert fileio.copyfile(tmp_path / "a.txt", tmp_path / "folder") == str(tmp_path / "folder" / "a.txt")
    assert fileio.copyfile(tmp_path / "a.txt", tmp_path / "new" / "b.txt") == str(tmp_path / "new" / "b.txt")
    assert fileio.copyfile_from_local(tmp_path / "a.txt", f"{url}/c.txt") == f"{url}/c.txt"
    assert fileio.copyfile(f"{url}/c.txt", f"{url}/d.txt") == f"{url}/d.txt"
    back = fileio.copyfile_to_local(f"{url}/d.txt", tmp_path / "e.txt")
    assert Path(back).read_bytes() == b"x"
    with pytest.raises(shutil.SameFileError):
        fileio.copyfile(tmp_path / "a.txt", tmp_path / "a.txt")


def test_folders_are_copied_everywhere(tmp_path, url):
    for name in ("1", "sub/2"):
        fileio.put(name.encode(), tmp_path / "from" / name)
    fileio.copytree(tmp_path / "from", tmp_path / "near")
    fileio.copytree_from_local(tmp_path / "from", f"{url}/far")
    fileio.copytree(f"{url}/far", f"{url}/further")
    fileio.copytree_to_local(f"{url}/further", tmp_path / "back")
    for folder in ("near", "back"):
        assert (tmp_path / folder / "sub" / "2").read_bytes() == b"sub/2"
        assert (tmp_path / folder / "1").read_bytes() == b"1"
    with pytest.raises(FileExistsError, match="near"):
        fileio.copytree(tmp_path / "from", tmp_path / "near")
    with pytest.raises(FileNotFoundError, match="no folder"):
        fileio.copytree(tmp_path / "none", tmp_path / "x")


def test_a_link_or_else_a_copy(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"x")
    assert fileio.copy_if_symlink_fails(tmp_path / "a", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    monkeypatch.setattr("os.symlink", lambda *_: (_ for _ in ()).throw(OSError("no links")))
    assert not fileio.copy_if_symlink_fails(tmp_path / "a", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"x"
