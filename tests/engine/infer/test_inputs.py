"""What users hand in, taken apart into pictures."""

from __future__ import annotations

import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image

from visuite.engine.infer import InferencePipeline, iter_items
from visuite.engine.infer.inputs import count_items

cv2 = pytest.importorskip("cv2")


def write(path: Path, color: tuple[int, int, int] = (10, 20, 30)) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 4), color).save(path)
    return str(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.JPG", "deep/a.png", "deep/er/c.png"):
        write(tmp_path / "pictures" / name)
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    return tmp_path / "pictures"


def video(path: Path, frames: int = 5) -> str:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (32, 24))
    for index in range(frames):
        writer.write(np.full((24, 32, 3), 40 * index, np.uint8))
    writer.release()
    return str(path)


def test_folder_is_walked_and_other_files_are_passed_over(folder):
    items = list(iter_items(folder))
    assert [Path(item.value).relative_to(folder).as_posix() for item in items] == [
        "a.JPG", "b.png", "deep/a.png", "deep/er/c.png",
    ]  # fmt: skip
    assert [item.stem for item in items] == ["a", "b", "deep/a", "deep/er/c"]


def test_globs(folder):
    assert [item.stem for item in iter_items(f"{folder}/*.png")] == ["b"]
    assert [item.stem for item in iter_items(f"{folder}/**/*.png")] == ["b", "a", "c"]


def test_names_with_brackets_are_files_before_they_are_globs(tmp_path):
    path = write(tmp_path / "run[1].png")
    assert [item.value for item in iter_items(path)] == [path]
    assert isinstance(next(iter_items(str(tmp_path / "run[2].png"))).value, FileNotFoundError)


def test_files_of_one_name_do_not_fall_on_each_other(folder):
    stems = [item.stem for item in iter_items([folder / "a.JPG", folder / "deep/a.png", folder / "deep/a.png"])]
    assert stems == ["a", "a-2", "a-3"]


def test_arrays_batches_and_pillow_images():
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    image = Image.fromarray(array)
    items = list(iter_items([array, np.stack([array, array + 1]), image, array[..., 0]]))
    assert [item.name for item in items] == ["array 0", "array 1.0", "array 1.1", "image 2", "array 3"]
    np.testing.assert_array_equal(items[2].value, array + 1)
    np.testing.assert_array_equal(items[3].value, array[..., ::-1])  # Pillow is RGB, arrays are BGR
    assert len({item.stem for item in items}) == 5


def test_generators_are_read_one_by_one():
    drawn = []

    def camera():
        for index in range(3):
            drawn.append(index)
            yield np.zeros((2, 2, 3), np.uint8)

    items = iter_items(camera())
    next(items)
    assert drawn == [0]


def test_videos_become_frames(tmp_path):
    path = video(tmp_path / "clip.avi")
    items = list(iter_items(path))
    assert [item.stem for item in items] == [f"clip/{index:06d}" for index in range(5)]
    assert [round(float(item.value.mean()) / 40) for item in items] == [0, 1, 2, 3, 4]
    assert items[3].name == f"{path}, frame 3"


@pytest.mark.parametrize("content", [b"", b"this is no video"])
def test_broken_video_is_an_item_that_says_so(tmp_path, content):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    (item,) = iter_items(str(path))
    assert isinstance(item.value, ValueError)
    assert "clip.mp4" in str(item.value)


def test_missing_video_and_empty_folder(tmp_path, folder):
    (missing,) = iter_items(str(tmp_path / "no.mp4"))
    assert isinstance(missing.value, FileNotFoundError)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "list.csv").write_text("1")
    (empty,) = iter_items(tmp_path / "empty")
    assert "list.csv" in str(empty.value)


def test_urls(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, f"in/{path.name}")
    inside = list(iter_items(f"zip://in::{tmp_path}/all.zip"))
    assert [item.stem for item in inside] == ["a", "b", "c"]
    globbed = list(iter_items(f"zip://in/[ab].png::{tmp_path}/all.zip"))
    assert [item.value for item in globbed] == [f"zip://in/{name}.png::{tmp_path}/all.zip" for name in "ab"]
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/iter/x.png", b"1")
    memory.pipe_file("/iter/y.png", b"1")
    assert [item.value for item in iter_items("memory://iter/*.png")] == ["memory://iter/x.png", "memory://iter/y.png"]
    (web,) = iter_items("https://example.org/cat.jpg?size=[1]")
    assert (web.value, web.stem) == ("https://example.org/cat.jpg?size=[1]", "cat")


@pytest.mark.parametrize("wrong", [3, [None], object()])
def test_other_things_are_no_inputs(wrong):
    with pytest.raises(TypeError, match="an input is a path"):
        list(iter_items(wrong))


def test_count_is_known_where_nothing_has_to_be_opened(folder):
    assert count_items(["a.png", np.zeros((2, 2))]) == 2
    assert count_items("a.png") == 1
    assert count_items(np.zeros((2, 2, 3))) == 1
    for unknown in (str(folder), ["clip.mp4"], "*.png", iter(["a.png"]), [np.zeros((2, 2, 2, 3))]):
        assert count_items(unknown) is None


class LoadImageStub:
    """Stands for a transform that reads a file."""

    to_float32 = True

    def __call__(self, results):
        return {**results, "img": np.full((2, 2, 3), 7, np.float32), "loaded": True}


class LoadAnnotations:
    def __call__(self, results):
        raise AssertionError("there are no annotations here")


def test_pipeline_loads_files_only_for_paths_and_never_annotations():
    pipeline = InferencePipeline([LoadImageStub(), LoadAnnotations(), lambda results: {**results, "seen": True}])
    by_path = pipeline("a.png")
    assert by_path["loaded"]
    assert by_path["seen"]
    by_array = pipeline(np.ones((3, 5, 3), np.uint8))
    assert "loaded" not in by_array
    assert by_array["img"].dtype == np.float32
    assert by_array["ori_shape"] == (3, 5)
    assert pipeline({"img": np.ones((3, 5, 3)), "text": "a cat"})["text"] == "a cat"


class LoadImageInColour(LoadImageStub):
    color_type = "color"


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 1), (3, 5, 3), (3, 5, 4)])
def test_arrays_have_the_channels_that_files_are_loaded_with(shape):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    image = InferencePipeline([LoadImageInColour()])(array)["img"]
    assert image.shape == (3, 5, 3)
    for channel in range(3):
        expected = array.reshape(3, 5, -1)[..., channel if len(shape) == 3 and shape[2] >= 3 else 0]
        np.testing.assert_array_equal(image[..., channel], expected)
    assert InferencePipeline([LoadImageStub()])(array)["img"].shape == shape  # as it is, for models of other channels
    assert InferencePipeline([LoadImageInColour()])(np.zeros((3, 5, 2)))["img"].shape == (3, 5, 2)  # nobody can tell


def test_pipeline_that_drops_a_picture_says_so():
    with pytest.raises(ValueError, match="drops"):
        InferencePipeline([LoadImageStub(), lambda results: None])("a.png")
    with pytest.raises(ValueError, match=r"not \(0, 3\)"):
        InferencePipeline([])(np.zeros((0, 3)))
