"""Frames of videos, by OpenCV, which is imported when the first video is opened."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from visuite.engine.fileio import get_local_path
from visuite.engine.fileio.location import BackendArgs
from visuite.engine.logging import print_log

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v", ".wmv", ".flv")


def iter_frames(path: str, backend_args: BackendArgs = None) -> Iterator[np.ndarray]:
    """Iterate over the frames of a video, (H, W, 3) uint8 BGR.

    Args:
        path: A local path or a URL; what is remote is fetched first.
        backend_args: As everywhere in fileio.

    Raises:
        ImportError: there is no OpenCV.
        FileNotFoundError: there is no such file.
        ValueError: not one frame can be read.
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
            yield from _read(capture, path, announced=int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        finally:
            capture.release()


def _read(capture: object, path: str, *, announced: int) -> Iterator[np.ndarray]:
    count = 0
    while True:
        there, frame = capture.read()  # type: ignore[attr-defined]
        if not there:
            break
        count += 1
        yield frame
    if count == 0:
        raise ValueError(f"{path}: no frame of this video can be read")
    if count < announced:  # many files announce a few too many, so this is no fault
        print_log(f"{path}: {count} of the {announced} announced frames could be read", "current", level="WARNING")
