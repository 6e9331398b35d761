"""YOLO's own description of a data set, `data.yaml`: read, and held together.

path: ../cells              # the folder that all else is below; by default the file's own
train: images/train         # a folder of images, a text file with the path of one in each line, or a list of these
val: images/val
test:                       # need not be
names: [RBC, WBC]           # by their numbers: a list, or {0: RBC, 1: WBC}
nc: 2                       # need not be
kpt_shape: [17, 3]          # need not be: points of an object, and numbers of a point
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from visuite.engine.dataset.base import below
from visuite.engine.fileio import exists, isdir, list_dir_or_file, list_from_file, load
from visuite.engine.utils.text import did_you_mean

#: What counts as an image in a folder.
IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".dng", ".mpo", ".pfm", ".heic", ".avif", ".npy",
)  # fmt: skip
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class DataYaml:
    """What such a file says.

    Attributes:
        path: Of the file.
        root: The folder that images are below.
        names: The classes, in the order of their numbers.
        splits: Folders and lists of images, of each part of the data.
        keypoints: (points of an object, numbers of a point), where objects have any.
    """

    path: str
    root: str
    names: tuple[str, ...]
    splits: dict[str, tuple[str, ...]]
    keypoints: tuple[int, int] | None = None


def read_data_yaml(path: str, root: str | None = None, backend_args: Mapping[str, Any] | None = None) -> DataYaml:
    """Read a `data.yaml`.

    Args:
        path: Of the file.
        root: The folder that images are below, instead of what the file says.
        backend_args: Options of the file backend.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it has no classes, or more or fewer than `nc`, or they have no numbers from 0 on.
    """
    content = load(path, backend_args=backend_args)
    if not isinstance(content, Mapping) or "names" not in content:
        found = sorted(map(str, content)) if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise ValueError(f"{path}: such a file says the classes ('names') and where images are ('train'), not {found}")
    names = _names(path, content["names"])
    if content.get("nc") not in (None, len(names)):
        raise ValueError(f"{path}: nc is {content['nc']}, and there are {len(names)} names")
    folder = path.rsplit("/", 1)[0] if "/" in path else ""
    given = {split: content[split] for split in _SPLITS if content.get(split)}
    splits = {split: tuple([one] if isinstance(one, str) else one) for split, one in given.items()}
    keypoints = content.get("kpt_shape")
    return DataYaml(
        path,
        root or below(folder, str(content.get("path") or "")),
        names,
        splits,
        (int(keypoints[0]), int(keypoints[1])) if keypoints else None,
    )


def list_images(data: DataYaml, split: str, backend_args: Mapping[str, Any] | None = None) -> list[str]:
    """Return the paths of the images of a part of the data: those of folders sorted, those of lists in their order.

    Raises:
        ValueError: the file does not name this part.
        FileNotFoundError: what it names is not there, or has no images.
    """
    if split not in data.splits:
        raise ValueError(f"{data.path} has no {split!r}, only {list(data.splits)}{did_you_mean(split, data.splits)}")
    images = []
    for one in data.splits[split]:
        place = below(data.root, str(one))
        if place.lower().endswith(".txt"):
            images += _listed(place, backend_args)
        elif isdir(place, backend_args=backend_args):
            found = list_dir_or_file(place, list_dir=False, recursive=True, backend_args=backend_args)
            names = sorted(name for name in found if name.lower().endswith(IMAGE_SUFFIXES))
            images += [below(place, name) for name in names]
        else:
            raise FileNotFoundError(f"{data.path}: {split} is {place}, and there is no such folder")
    if not images:
        raise FileNotFoundError(f"{data.path}: there is no image in {', '.join(map(str, data.splits[split]))}")
    return images


def label_path(image: str) -> str:
    """Return where the objects of an image are: in the folder `labels` beside `images`, else next to the image."""
    path = PurePosixPath(image)
    parts = list(path.parts)
    for place in range(len(parts) - 2, -1, -1):  # the last folder of that name
        if parts[place] == "images":
            start = image[: len(image) - len("/".join(parts[place:]))]
            return start + "/".join(["labels", *parts[place + 1 : -1], f"{path.stem}.txt"])
    return image[: len(image) - len(path.suffix)] + ".txt"


def _names(path: str, names: Any) -> tuple[str, ...]:
    if isinstance(names, Mapping):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise ValueError(
                f"{path}: the names of {len(names)} classes have the numbers 0 to {len(names) - 1}, not "
                f"{list(names)[:20]}"
            )
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, (list, tuple)) or not names:
        raise ValueError(f"{path}: names are a list of classes, or one for each number, not {names!r:.80}")
    return tuple(map(str, names))


def _listed(path: str, backend_args: Mapping[str, Any] | None) -> list[str]:
    """Return the images of a list; those that begin with `./` are below its folder, others may be, too."""
    if not exists(path, backend_args=backend_args):
        raise FileNotFoundError(f"{path}: there is no such list of images")
    folder = path.rsplit("/", 1)[0] if "/" in path else ""
    lines = [line.strip() for line in list_from_file(path, backend_args=backend_args)]
    return [below(folder, line.removeprefix("./")) for line in lines if line]
