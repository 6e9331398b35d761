"""Videos against the frames that were written into them."""

from __future__ import annotations

from pathlib import Path

import cv2
import fsspec
import numpy as np
import pytest

from visuite.cv.image import VideoReader, frames2video, imread, imwrite

COUNT, SIZE = 100, (64, 48)


def picture(index, size=SIZE):
    """A frame that tells its number: a grey value for the tens, and a bright bar for the ones."""
    img = np.full((size[1], size[0], 3), 20 * (index // 10), np.uint8)
    img[:, 6 * (index % 10) : 6 * (index % 10) + 4] = 255
    return img


def number(frame):
    bar = int(frame[..., 0].mean(axis=0).argmax()) // 6
    return 10 * round(float(np.median(frame)) / 20) + bar


def write(path, fourcc="MJPG", count=COUNT):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), 25, SIZE)
    if not writer.isOpened():
        pytest.skip(f"this OpenCV writes no {fourcc}")
    for index in range(count):
        writer.write(picture(index))
    writer.release()
    return str(path)


@pytest.fixture(scope="module", params=["MJPG", "mp4v"])  # of the second, most frames need the ones before
def path(request, tmp_path_factory):
    name = {"MJPG": "clip.avi", "mp4v": "clip.mp4"}[request.param]
    return write(tmp_path_factory.mktemp("video") / name, request.param)


def test_what_it_tells(path):
    video = VideoReader(path)
    assert video.opened
    assert (len(video), video.frame_cnt) == (COUNT, COUNT)
    assert (video.width, video.height, video.resolution) == (*SIZE, SIZE)
    assert video.fps == 25
    assert len(video.fourcc) == 4
    assert isinstance(video.vcap, cv2.VideoCapture)
    video.close()
    assert not video.opened


def test_iteration_begins_anew_each_time(path):
    with VideoReader(path) as video:
        assert [number(frame) for frame in video] == list(range(COUNT))
        assert [number(frame) for frame in video] == list(range(COUNT))
    assert not video.opened


def test_reading_one_after_the_other(path):
    video = VideoReader(path)
    assert video.position == 0
    assert video.current_frame() is None
    assert [number(video.read()) for _ in range(3)] == [0, 1, 2]
    assert video.position == 3
    assert number(video.current_frame()) == 2
    assert video.position == 3
    video.get_frame(COUNT - 2)
    assert number(video.read()) == COUNT - 1
    assert video.read() is None
    assert video.position == COUNT


@pytest.mark.parametrize("cache_capacity", [0, 3])
def test_frames_by_index_in_any_order(path, cache_capacity):
    video = VideoReader(path, cache_capacity)
    order = np.random.default_rng(0).integers(-COUNT, COUNT, 40).tolist()
    for index in [*order, 5, 5, 6, 4, 99, 0]:
        assert number(video[index]) == index % COUNT
        assert video.position == index % COUNT + 1
    assert len(video._cache) == cache_capacity


def test_slices_are_those_of_a_list(path):
    video = VideoReader(path)
    for part in (slice(5, 9), slice(None, None, 30), slice(-3, None), slice(8, 2, -2), slice(90, 200), slice(5, 5)):
        assert [number(frame) for frame in video[part]] == list(range(COUNT))[part]


def test_a_frame_is_the_callers_own(path):
    video = VideoReader(path)
    for _ in range(3):
        frame = video[7]
        assert number(frame) == 7
        frame[:] = 0


@pytest.mark.parametrize("index", [COUNT, -COUNT - 1, 1000])
def test_no_such_frame(path, index):
    with pytest.raises(IndexError, match=rf"clip.*the last {COUNT - 1}"):
        VideoReader(path)[index]


@pytest.mark.parametrize("content", [b"", b"this is no video"])
def test_broken_file_is_named(tmp_path, content):
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(ValueError, match=r"clip\.mp4: no frame"):
        VideoReader(tmp_path / "clip.mp4")
    with pytest.raises(FileNotFoundError, match=r"other\.mp4"):
        VideoReader(tmp_path / "other.mp4")


def test_frame_that_is_announced_and_not_there(tmp_path):
    whole = write(tmp_path / "whole.avi")
    content = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
    video = VideoReader(tmp_path / "cut.avi")
    read = [number(frame) for frame in video]
    assert read == list(range(len(read)))
    assert len(read) < COUNT
    video.frame_cnt = len(VideoReader(whole))  # as headers of cut files have it
    with pytest.raises(ValueError, match=rf"cut\.avi: frame {COUNT - 1} of {COUNT} cannot be read"):
        video[-1]


def test_urls(tmp_path):
    content = Path(write(tmp_path / "clip.avi", count=5)).read_bytes()
    fsspec.filesystem("memory").pipe_file("/videos/clip.avi", content)
    video = VideoReader("memory://videos/clip.avi")
    assert [number(frame) for frame in video] == list(range(5))


def test_frames_to_files(path, tmp_path):
    video = VideoReader(path)
    some = tmp_path / "some"
    video.cvt2frames(some, file_start=10, filename_tmpl="f_{:03d}.png", start=40, max_num=5, show_progress=False)
    assert sorted(one.name for one in some.iterdir()) == [f"f_{n:03d}.png" for n in range(10, 15)]
    assert [number(imread(some / f"f_{n:03d}.png")) for n in range(10, 15)] == list(range(40, 45))
    video.cvt2frames(tmp_path / "rest", start=95, show_progress=False)
    assert len(list((tmp_path / "rest").iterdir())) == 5
    with pytest.raises(IndexError, match="no frame 100"):
        video.cvt2frames(tmp_path / "none", start=COUNT)


def test_progress_is_shown(path, tmp_path, capsys):
    VideoReader(path).cvt2frames(tmp_path / "frames", max_num=10)
    assert "10/10" in capsys.readouterr().out
    frames2video(tmp_path / "frames", tmp_path / "again.avi", fourcc="MJPG")
    assert "10/10" in capsys.readouterr().out


def test_files_to_a_video(tmp_path):
    for index in range(12):
        imwrite(picture(index), tmp_path / "frames" / f"{index:06d}.jpg")
    frames2video(tmp_path / "frames", tmp_path / "new" / "all.avi", fps=10, fourcc="MJPG", show_progress=False)
    video = VideoReader(tmp_path / "new" / "all.avi")
    assert [number(frame) for frame in video] == list(range(12))
    assert (video.fps, video.resolution) == (10, SIZE)
    frames2video(tmp_path / "frames", tmp_path / "some.avi", fourcc="MJPG", start=3, end=6, show_progress=False)
    assert [number(frame) for frame in VideoReader(tmp_path / "some.avi")] == [3, 4, 5]


def test_files_that_make_no_video(tmp_path):
    frames = tmp_path / "frames"
    for index in (0, 1, 3):
        imwrite(picture(index), frames / f"{index:06d}.jpg")
    with pytest.raises(FileNotFoundError, match=r"000002\.jpg"):
        frames2video(frames, tmp_path / "gap.avi", fourcc="MJPG", show_progress=False)
    with pytest.raises(FileNotFoundError, match=r"holds no 'img_0\.png'"):
        frames2video(frames, tmp_path / "none.avi", filename_tmpl="img_{}.png", show_progress=False)
    imwrite(picture(2, (32, 24)), frames / "000002.jpg")
    with pytest.raises(ValueError, match=r"000002\.jpg: is 32x24 pixels large, the first image 64x48"):
        frames2video(frames, tmp_path / "sizes.avi", fourcc="MJPG", show_progress=False)
    with pytest.raises(ValueError, match=r"'\.avi' with codec 'NONE'"):
        frames2video(frames, tmp_path / "codec.avi", fourcc="NONE", show_progress=False)
    assert not list(tmp_path.glob("*.avi"))
