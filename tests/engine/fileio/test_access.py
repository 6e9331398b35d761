import uuid
import zipfile

import pytest

from visuite.engine import fileio


@pytest.fixture(params=["local", "memory"])
def root(request, tmp_path):
    """The same tests hold on the local disk and behind a URL."""
    return str(tmp_path / "new") if request.param == "local" else f"memory://{uuid.uuid4().hex}"


def test_what_is_put_is_got_and_removed(root):
    path = fileio.join_path(root, "deep", "a.bin")
    assert not fileio.exists(path)
    fileio.put(b"\x00\xff", path)
    fileio.put_text("gr\u00fc\u00df", fileio.join_path(root, "b.txt"), encoding="latin-1")
    assert fileio.get(path) == b"\x00\xff"
    assert fileio.get_text(fileio.join_path(root, "b.txt"), encoding="latin-1") == "gr\u00fc\u00df"
    assert fileio.isfile(path)
    assert not fileio.isdir(path)
    assert fileio.isdir(fileio.join_path(root, "deep"))
    with pytest.raises(IsADirectoryError, match="rmtree"):
        fileio.remove(fileio.join_path(root, "deep"))
    fileio.remove(path)
    assert not fileio.exists(path)
    fileio.rmtree(root)
    assert not fileio.exists(root)


def test_what_is_not_there(root):
    missing = fileio.join_path(root, "none")
    for call in (fileio.get, fileio.remove, fileio.rmtree):
        with pytest.raises(FileNotFoundError, match="none"):
            call(missing)
    with pytest.raises(FileNotFoundError):
        list(fileio.list_dir_or_file(missing))


def test_listing(root):
    for name in ("b.txt", "a.JPG", ".hidden", ".git/config.txt", "d/c.txt", "d/e/z.py"):
        fileio.put(b"", fileio.join_path(root, name))
    assert list(fileio.list_dir_or_file(root)) == ["a.JPG", "b.txt", "d"]
    everything = ["a.JPG", "b.txt", "d", "d/c.txt", "d/e", "d/e/z.py"]
    assert list(fileio.list_dir_or_file(root, recursive=True)) == everything
    assert list(fileio.list_dir_or_file(root, list_file=False, recursive=True)) == ["d", "d/e"]
    found = fileio.list_dir_or_file(root, list_dir=False, suffix=(".txt", ".py"), recursive=True)
    assert list(found) == ["b.txt", "d/c.txt", "d/e/z.py"]
    with pytest.raises(TypeError, match="list_dir=False"):
        fileio.list_dir_or_file(root, suffix=".txt")
    with pytest.raises(TypeError, match="suffix"):
        fileio.list_dir_or_file(root, list_dir=False, suffix=[".txt"])


def test_archives_are_read_in_place(tmp_path):
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("img/1.txt", "one")
        file.writestr("img/sub/2.txt", "two")
    inside = f"zip://img::{archive}"
    assert list(fileio.list_dir_or_file(inside, recursive=True)) == ["1.txt", "sub", "sub/2.txt"]
    assert fileio.get_text(fileio.join_path(inside, "sub", "2.txt")) == "two"
    assert list(fileio.list_dir_or_file(f"zip://::{archive}", list_dir=False, recursive=True)) == [
        "img/1.txt",
        "img/sub/2.txt",
    ]


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        (("a", "b", "c.jpg"), "a/b/c.jpg"),
        (("a", "/b"), "/b"),
        (("s3://bucket/", "/a", "b"), "s3://bucket/a/b"),
        (("data", "s3://bucket/a"), "s3://bucket/a"),
        (("zip://img::x.zip", "1.jpg"), "zip://img/1.jpg::x.zip"),
    ],
)
def test_join_path(parts, joined):
    assert fileio.join_path(*parts) == joined


def test_backend_args_say_where_a_plain_path_lies(tmp_path):
    name = uuid.uuid4().hex
    fileio.put(b"1", name, backend_args=dict(backend="memory"))
    assert fileio.get(f"memory://{name}") == b"1"
    fileio.put(b"2", tmp_path / "x", backend_args=dict(backend="local"))
    assert fileio.get(f"file://{tmp_path}/x") == b"2"
    with pytest.raises(ValueError, match=r"no backend is called 'memry'; did you mean 'memory'"):
        fileio.get("x", backend_args=dict(backend="memry"))


def test_an_absent_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "aiohttp", None)
    with pytest.raises(ImportError, match=r'pip install "fsspec\[http\]"'):
        fileio.get("http://localhost:1/a")


def test_wrong_types(tmp_path):
    with pytest.raises(TypeError, match="put_text"):
        fileio.put("text", tmp_path / "a")
    with pytest.raises(TypeError, match="a str or a Path, not int"):
        fileio.get(3)
    (tmp_path / "b").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="is not text in utf-8"):
        fileio.get_text(tmp_path / "b")


def test_signing_needs_a_store_that_signs(tmp_path):
    for place in (str(tmp_path), "memory://a"):
        with pytest.raises(ValueError, match="signed by object stores"):
            fileio.generate_presigned_url(place)
