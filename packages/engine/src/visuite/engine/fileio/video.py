"""Frames of videos, by OpenCV, which is imported when the first video is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from visuite.engine.fileio import get_local_path
from visuite.engine.fileio.location import BackendArgs
from visuite.engine.logging import print_log

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v", ".wmv", ".flv")


@contextmanager
def open_video(path: str, backend_args: BackendArgs = None) -> Iterator[Any]:
    """Give OpenCV's `VideoCapture` of a video, and release it in the end.

    Args:
        path: A local path or a URL; what is remote is fetched first.
        backend_args: As everywhere in fileio.

    Raises:
        ImportError: there is no OpenCV.
        FileNotFoundError: there is no such file.
        ValueError: the file is no video, or a broken one.
    """
    try:
        import cv2
    except ImportError:
        raise ImportError(f"{path}: videos need OpenCV: pip install opencv-python-headless") from None
    with get_local_path(path, backend_args) as local:
        with open(local, "rb"):  # OpenCV does not tell a missing file from a broken one
            pass
        capture = cv2.VideoCapture(local)
        try:
            if not capture.isOpened():
                raise unreadable(path)
            yield capture
        finally:
            capture.release()


def iter_frames(path: str, backend_args: BackendArgs = None) -> Iterator[np.ndarray]:
    """Iterate over the frames of a video, (H, W, 3) uint8 BGR; arguments and errors as of `open_video`."""
    with open_video(path, backend_args) as capture:
        announced = announced_frames(capture)
        count = 0
        while (frame := capture.read()[1]) is not None:
            count += 1
            yield frame
        if count == 0:
            raise unreadable(path)
        warn_of_missing(path, count, announced)


def announced_frames(capture: Any) -> int:
    """Return how many frames a video says it has; 0 where it does not say."""
    import cv2

    return max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)


def unreadable(path: str) -> ValueError:
    """Return the error of a video that is none."""
    return ValueError(f"{path}: no frame of this video can be read")


def warn_of_missing(path: str, count: int, announced: int) -> None:
    """Tell of a video that ended early; many files announce a few frames too many, so this is no fault."""
    if count < announced:
        print_log(f"{path}: {count} of the {announced} announced frames could be read", "current", level="WARNING")
