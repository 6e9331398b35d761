"""From whatever a user hands in to single pictures, one after the other.

Files are only named here, not read; frames of videos are, as a video cannot be read otherwise.
Arrays have the channels in the order in which OpenCV loads files: blue, green, red.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from visuite.engine.fileio import is_url, isdir, join_path, list_dir_or_file
from visuite.engine.fileio.location import BackendArgs, Remote, locate
from visuite.engine.fileio.video import VIDEO_SUFFIXES, iter_frames

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif", ".jp2", ".avif")
_WEB = ("http", "https")  # lists no folders, and writes questions with a `?`


@dataclass(frozen=True)
class Item:
    """One picture to be looked at.

    Attributes:
        value: A path or URL, an array (H, W, C) or (H, W), a sample for the pipeline, or the error that stands in
            the way of having any of these.
        name: What messages call it.
        stem: What its files in an output folder are called, without suffix; unique among all items of a call.
    """

    value: str | np.ndarray | Mapping[str, Any] | Exception
    name: str
    stem: str


def iter_items(inputs: Any, backend_args: BackendArgs = None) -> Iterator[Item]:
    """Iterate over the pictures in `inputs`.

    Args:
        inputs: The path or URL of a picture, a video or a folder (all below it), a glob, an array (H, W, C), (H, W)
            or (B, H, W, C), a Pillow image, a sample for the pipeline (a dict), or any iterable of these.
        backend_args: As everywhere in fileio.

    Raises:
        TypeError: an input is none of these.
    """
    taken: set[str] = set()
    for item in _expand(inputs, backend_args):
        yield _named_apart(item, taken)


def count_items(inputs: Any) -> int | None:
    """Return how many pictures a list of plain ones holds, or None where only going through tells."""
    if not isinstance(inputs, (list, tuple)):
        return None if _may_be_many(inputs) else 1
    return len(inputs) if not any(map(_may_be_many, inputs)) else None


def _may_be_many(one: Any) -> bool:
    if isinstance(one, (str, os.PathLike)):
        return not os.fspath(one).lower().endswith(IMAGE_SUFFIXES) or glob.has_magic(os.fspath(one))
    return not isinstance(one, Mapping) and not (isinstance(one, np.ndarray) and one.ndim <= 3)


def _named_apart(item: Item, taken: set[str]) -> Item:
    """Number an item whose files would fall on those of an earlier one."""
    stem, number = item.stem, 2
    while stem in taken:
        stem, number = f"{item.stem}-{number}", number + 1
    taken.add(stem)
    return item if stem == item.stem else replace(item, stem=stem)


def _expand(one: Any, backend_args: BackendArgs, place: str = "") -> Iterator[Item]:
    """Take one input apart; `place` is its position among the inputs, such as '3' or '3.0'."""
    number = ".".join(part.zfill(6) for part in place.split(".")) if place else "000000"
    if isinstance(one, (str, os.PathLike)):
        yield from _from_path(os.fspath(one), backend_args)
    elif isinstance(one, Mapping):
        path = one.get("img_path")
        yield Item(one, str(path or f"input {place or 0}"), _stem(path) if path else number)
    elif isinstance(one, np.ndarray) and one.ndim <= 3:
        yield Item(one, f"array {place or 0}", number)
    elif hasattr(one, "convert") and hasattr(one, "getbands"):  # Pillow's, without importing it
        yield Item(_from_pillow(one), str(getattr(one, "filename", "") or f"image {place or 0}"), number)
    elif isinstance(one, torch.Tensor) or not isinstance(one, Iterable):
        raise TypeError(f"an input is a path, an array (H, W, C), a sample or several of these, not {_kind(one)}")
    else:
        for index, part in enumerate(one):
            yield from _expand(part, backend_args, f"{place}.{index}" if place else str(index))


def _kind(one: Any) -> str:
    shape = f" of shape {tuple(one.shape)}" if hasattr(one, "shape") else ""
    return f"a {type(one).__name__}{shape}"


def _from_pillow(image: Any) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])


def _from_path(path: str, backend_args: BackendArgs) -> Iterator[Item]:
    """Turn a path into the pictures that it stands for; what is missing becomes an item that says so."""
    try:
        paths = _listed(path, backend_args)
    except (OSError, ImportError, ValueError) as error:
        yield Item(error, path, _stem(path))
        return
    for name, stem in paths:
        if name.lower().endswith(VIDEO_SUFFIXES):
            yield from _frames(name, stem, backend_args)
        else:
            yield Item(name, name, stem)


def _listed(path: str, backend_args: BackendArgs) -> list[tuple[str, str]]:
    """Return (path, stem) of the files that a path, folder or glob names."""
    if path.partition("://")[0] in _WEB:
        return [(path, _stem(path))]
    if path.lower().endswith((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)) and not glob.has_magic(path):
        return [(path, _stem(path))]  # costs remote stores no question
    if isdir(path, backend_args):
        return _in_folder(path, backend_args)
    if not glob.has_magic(path) or (not is_url(path) and os.path.exists(path)):
        return [(path, _stem(path))]
    found = _matching(path, backend_args)
    if not found:
        raise FileNotFoundError(f"no file matches {path!r}")
    return [(one, _stem(one)) for one in found]


def _in_folder(folder: str, backend_args: BackendArgs) -> list[tuple[str, str]]:
    every = list(list_dir_or_file(folder, list_dir=False, recursive=True, backend_args=backend_args))
    chosen = [name for name in every if name.lower().endswith((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES))]
    if not chosen:
        found = f"only {len(every)} other files such as {every[0]!r}" if every else "nothing"
        raise FileNotFoundError(f"folder {folder!r} holds no picture and no video, {found}")
    paths = [join_path(folder, name, backend_args=backend_args) for name in chosen]
    return [(path, str(PurePosixPath(name).with_suffix(""))) for path, name in zip(paths, chosen, strict=True)]


def _matching(pattern: str, backend_args: BackendArgs) -> list[str]:
    place = locate(pattern, backend_args)
    if not isinstance(place, Remote):
        return sorted(path for path in glob.glob(place, recursive=True) if os.path.isfile(path))
    head, chained, archive = pattern.partition("::")
    start = f"{head.partition('://')[0]}://" if is_url(pattern) else ""
    found = sorted(place.fs.glob(place.path))
    return [f"{start}{path.lstrip('/') if start else path}{chained}{archive}" for path in found]


def _frames(path: str, stem: str, backend_args: BackendArgs) -> Iterator[Item]:
    try:
        for index, frame in enumerate(iter_frames(path, backend_args)):
            yield Item(frame, f"{path}, frame {index}", f"{stem}/{index:06d}")
    except (OSError, ImportError, ValueError) as error:
        yield Item(error, path, stem)


def _stem(path: str | os.PathLike[str]) -> str:
    """Return the file's own name without folders, suffix, and what follows a URL's path."""
    inner = os.fspath(path).partition("::")[0]
    inner = inner.partition("?")[0] if inner.partition("://")[0] in _WEB else inner
    return Path(inner).stem or "input"
