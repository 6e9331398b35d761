from pathlib import Path

import pytest

from visuite.engine import utils


@pytest.fixture
def folder(tmp_path):
    for name in ("b.txt", "a.JPG", ".hidden.txt", ".git/x.txt", "d/c.jpg", "d/e/z.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_scandir(folder):
    assert list(utils.scandir(folder)) == ["a.JPG", "b.txt"]
    assert list(utils.scandir(folder, recursive=True)) == ["a.JPG", "b.txt", "d/c.jpg", "d/e/z.txt"]
    assert list(utils.scandir(str(folder), ".jpg", recursive=True)) == ["d/c.jpg"]
    assert list(utils.scandir(folder, (".JPG", ".tx"), True, case_sensitive=False)) == ["a.JPG", "d/c.jpg"]
    for wrong in ((3,), (folder, 3)):
        with pytest.raises(TypeError):
            utils.scandir(*wrong)


def test_files_and_folders(folder):
    utils.mkdir_or_exist(folder / "new" / "deep")
    utils.mkdir_or_exist(folder / "new" / "deep")
    utils.mkdir_or_exist("")
    assert (folder / "new" / "deep").is_dir()
    utils.check_file_exist(folder / "b.txt")
    with pytest.raises(FileNotFoundError, match="none"):
        utils.check_file_exist(folder / "none")
    with pytest.raises(FileNotFoundError, match=r"get .*deep first"):
        utils.check_file_exist(folder / "new" / "deep", "get {} first")


def test_links_give_way(folder):
    link = folder / "latest"
    utils.symlink("b.txt", link)
    utils.symlink("a.JPG", link)
    assert link.resolve().name == "a.JPG"
    utils.symlink("nowhere", link)
    utils.symlink("b.txt", link)
    assert link.resolve().name == "b.txt"
    with pytest.raises(FileExistsError):
        utils.symlink("a.JPG", link, overwrite=False)


def test_is_filepath():
    assert utils.is_filepath("a")
    assert utils.is_filepath(Path("a"))
    assert not utils.is_filepath(3)
