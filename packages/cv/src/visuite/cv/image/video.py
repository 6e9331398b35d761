"""Videos as sequences of frames, to read and to write; frames are (H, W, 3) uint8 BGR."""

from __future__ import annotations

import re
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, overload

import cv2
import numpy as np

from visuite.cv.image.io import imread, imwrite
from visuite.engine.fileio import copyfile_from_local, join_path, list_dir_or_file
from visuite.engine.fileio.video import announced_frames, open_video, unreadable, warn_of_missing
from visuite.engine.utils import track_iter_progress

#: How many frames are rather decoded than jumped over: a jump begins at a key frame, and these are far apart.
_NEAR = 32


class VideoReader:
    """The frames of a video as a list is read: `len`, index, slice, iteration; and one after the other by `read`.

    Args:
        filename: A local path or a URL, which is fetched first.
        cache_capacity: How many of the frames that were asked for by their index are kept.
        backend_args: Options of the file backend.

    Attributes:
        vcap: OpenCV's `VideoCapture`.
        width: Of a frame, in pixels.
        height: Of a frame, in pixels.
        fps: Frames per second.
        frame_cnt: How many frames the file announces, or has where it announces nothing.
        fourcc: The four letters of the codec.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no video, or no frame of it can be read; names the file.
    """

    def __init__(
        self, filename: str | Path, cache_capacity: int = 10, *, backend_args: dict[str, Any] | None = None
    ) -> None:
        self.filename = str(filename)
        self._cache: OrderedDict[int, np.ndarray] = OrderedDict()
        self._cache_capacity = cache_capacity
        self._opened = ExitStack()
        self.vcap: cv2.VideoCapture = self._opened.enter_context(open_video(self.filename, backend_args))
        self.width = int(self.vcap.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(self.vcap.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.fps = float(self.vcap.get(cv2.CAP_PROP_FPS))
        self.fourcc = int(self.vcap.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode("latin-1")
        self._position = 0
        self.frame_cnt = announced_frames(self.vcap) or self._counted()
        if self.frame_cnt == 0:
            self.close()
            raise unreadable(self.filename)

    @property
    def opened(self) -> bool:
        """Whether the video is open."""
        return bool(self.vcap.isOpened())

    @property
    def resolution(self) -> tuple[int, int]:
        """Width and height of a frame."""
        return self.width, self.height

    @property
    def position(self) -> int:
        """The index of the frame that `read` gives next."""
        return self._position

    def close(self) -> None:
        """Close the video."""
        self._opened.close()

    # ------------------------------------------------------------------ one after the other

    def read(self) -> np.ndarray | None:
        """Return the next frame (H, W, 3), or None after the last."""
        _, frame = self.vcap.read()
        if frame is None:
            warn_of_missing(self.filename, self._position, self.frame_cnt)
            return None
        self._position += 1
        return frame

    def __iter__(self) -> Self:
        self._go_to(0)
        return self

    def __next__(self) -> np.ndarray:
        frame = self.read()
        if frame is None:
            raise StopIteration
        return frame

    # ------------------------------------------------------------------ by index

    def __len__(self) -> int:
        return self.frame_cnt

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> list[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | list[np.ndarray]:
        if isinstance(index, slice):
            return [self.get_frame(one) for one in range(*index.indices(len(self)))]
        return self.get_frame(index + len(self) if index < 0 else index)

    def get_frame(self, frame_id: int) -> np.ndarray:
        """Return a frame (H, W, 3) by its index, from 0 on; `read` goes on after it.

        Raises:
            IndexError: there is no such index.
            ValueError: the frame is announced, but cannot be read; names the file.
        """
        if not 0 <= frame_id < len(self):
            raise IndexError(f"{self.filename}: there is no frame {frame_id}, the first is 0, the last {len(self) - 1}")
        if frame_id in self._cache:
            self._cache.move_to_end(frame_id)
            self._go_to(frame_id + 1)
            return self._cache[frame_id].copy()
        self._go_to(frame_id)
        _, frame = self.vcap.read() if self._position == frame_id else (False, None)
        if frame is None:
            raise ValueError(f"{self.filename}: frame {frame_id} of {len(self)} cannot be read")
        self._position += 1
        if self._cache_capacity > 0:
            self._cache[frame_id] = frame.copy()
            while len(self._cache) > self._cache_capacity:
                self._cache.popitem(last=False)
        return frame

    def current_frame(self) -> np.ndarray | None:
        """Return the frame that was read last, or None at the beginning."""
        return None if self._position == 0 else self.get_frame(self._position - 1)

    def _go_to(self, position: int) -> None:
        """Make `position` the next frame, or stay where frames end before it.

        Codecs jump to where they please, so what they say of the new place is not believed without looking, and the
        rest of the way is decoded.
        """
        if not 0 <= position - self._position <= _NEAR:
            self.vcap.set(cv2.CAP_PROP_POS_FRAMES, position)
            self._position = int(self.vcap.get(cv2.CAP_PROP_POS_FRAMES))
            if self._position > position:
                self.vcap.set(cv2.CAP_PROP_POS_FRAMES, 0)
                self._position = 0
        while self._position < position and self.vcap.grab():
            self._position += 1

    def _counted(self) -> int:
        """Count the frames by going through them once."""
        count = 0
        while self.vcap.grab():
            count += 1
        self.vcap.set(cv2.CAP_PROP_POS_FRAMES, 0)
        return count

    # ------------------------------------------------------------------ to files

    def cvt2frames(
        self,
        frame_dir: str | Path,
        file_start: int = 0,
        filename_tmpl: str = "{:06d}.jpg",
        start: int = 0,
        max_num: int = 0,
        show_progress: bool = True,
    ) -> None:
        """Write frames as image files.

        Args:
            frame_dir: The folder, made where it is missing; may be a URL.
            file_start: The number of the first file.
            filename_tmpl: What files are called, by their number.
            start: The first frame to write.
            max_num: How many at most; 0 is all.
            show_progress: Show how far it is.

        Raises:
            IndexError: the video has no frame `start`.
        """
        if not 0 <= start < len(self):
            raise IndexError(f"{self.filename}: there is no frame {start}, the last is {len(self) - 1}")
        count = len(self) - start if max_num <= 0 else min(max_num, len(self) - start)
        self._go_to(start)
        for number in _progress(range(file_start, file_start + count), show_progress):
            frame = self.read()
            if frame is None:
                return
            imwrite(frame, join_path(str(frame_dir), filename_tmpl.format(number)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def frames2video(
    frame_dir: str | Path,
    video_file: str | Path,
    fps: float = 30,
    fourcc: str = "XVID",
    filename_tmpl: str = "{:06d}.jpg",
    start: int = 0,
    end: int = 0,
    show_progress: bool = True,
) -> None:
    """Join image files to a video.

    Args:
        frame_dir: Their folder; may be a URL.
        video_file: The file to write; its suffix names the container. May be a URL.
        fps: Frames per second.
        fourcc: The four letters of the codec.
        filename_tmpl: What files are called, by their number.
        start: The number of the first.
        end: The number behind the last; 0 is behind the last that there is.
        show_progress: Show how far it is.

    Raises:
        FileNotFoundError: there are no such files, or one is missing in between; names it.
        ValueError: images differ in size, or OpenCV cannot write such a video.
    """
    numbers = range(start, end or _end_of(str(frame_dir), filename_tmpl, start))
    paths = [join_path(str(frame_dir), filename_tmpl.format(number)) for number in numbers]
    if not paths:
        raise FileNotFoundError(f"{frame_dir} holds no {filename_tmpl.format(start)!r} to begin with")
    height, width = imread(paths[0]).shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder, Path(str(video_file)).name)
        writer = cv2.VideoWriter(str(draft), cv2.VideoWriter.fourcc(*fourcc), fps, (width, height))
        if not writer.isOpened():
            raise ValueError(f"{video_file}: OpenCV writes no {draft.suffix!r} with codec {fourcc!r}")
        try:
            for path in _progress(paths, show_progress):
                frame = imread(path)
                if frame.shape[:2] != (height, width):
                    size = f"{frame.shape[1]}x{frame.shape[0]}"
                    raise ValueError(f"{path}: is {size} pixels large, the first image {width}x{height}")
                writer.write(frame)
        finally:
            writer.release()
        copyfile_from_local(draft, str(video_file))


def _end_of(frame_dir: str, template: str, start: int) -> int:
    """Return the number behind the last file."""
    names = set(list_dir_or_file(frame_dir, list_dir=False))
    numbers = {int(digits) for name in names for digits in re.findall(r"\d+", name)}
    return max((number + 1 for number in numbers if template.format(number) in names), default=start)


def _progress(steps: Any, show: bool) -> Iterator[Any]:
    return track_iter_progress(steps) if show else iter(steps)
