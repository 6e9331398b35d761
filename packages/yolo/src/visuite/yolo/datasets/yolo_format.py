"""Data sets in the format of YOLO: a `data.yaml`, and beside each image a text file with an object in each line.

3 0.5 0.5 0.25 0.1                      class, and the box: middle x, y, width, height, as shares of the image's
3 0.4 0.45 0.6 0.45 0.6 0.55            class, and a polygon: x, y of three points or more; the box is around it
3 0.5 0.5 0.25 0.1 0.45 0.5 2 ...       class, the box, and x, y and perhaps visibility of each keypoint
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np

from visuite.cv.image import image_size
from visuite.det.datasets.coco_file import CocoFile, match_categories
from visuite.engine.dataset.base import below
from visuite.engine.fileio import get_text
from visuite.engine.logging import print_log
from visuite.yolo.datasets.base import YOLOv5Dataset
from visuite.yolo.datasets.data_yaml import DataYaml, label_path, list_images, read_data_yaml
from visuite.yolo.registry import DATASETS

#: Files that are read at a time: reading waits for disks.
_READERS = 8
#: Bad lines that an error lists.
_MOST = 10
_BOX = 5  # numbers of a line with a box: its class, and four
_POLYGON = 7  # the least numbers of a line with a polygon
_FARTHEST = 2.0  # shares beyond the image are found by screening; what is farther was never divided by its size


@DATASETS.register_module(["YOLODataset", "YAMLDataset"])
class YOLODataset(YOLOv5Dataset):
    """Images and objects as a `data.yaml` tells of them.

    Labels stand in the folder `labels` beside `images`, or next to the images. An image without a file of labels has no
    objects. What is wrong with boxes is found and told as in all detection data sets, and lines that are no objects
    stop at once.

    Args:
        ann_file: The `data.yaml`, below `data_root`.
        metainfo: Facts about the whole set; `classes` are by default the file's names, and choose among them otherwise.
        split: Which part of the data: `train`, `val` or `test`.
        data_root: The folder that `ann_file` is below.
        data_prefix: `img`: the folder that images are below, instead of what the file says.
        **kwargs: As of `YOLOv5Dataset` and `BaseDetDataset`.

    Raises:
        ValueError: the file is broken, or a line is no object; names files and lines.
        FileNotFoundError: there is no such file, no image, or no file of labels at all.
    """

    METAINFO: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        ann_file: str = "data.yaml",
        metainfo: Mapping[str, Any] | str | None = None,
        *,
        split: str = "train",
        data_root: str = "",
        data_prefix: Mapping[str, str] = {"img": ""},
        **kwargs: Any,
    ) -> None:
        self.split = split
        folder = data_prefix.get("img")
        self.image_root = below(data_root, folder) if folder else None
        super().__init__(ann_file, metainfo, data_root=data_root, data_prefix=data_prefix, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return a record of each image."""
        data = read_data_yaml(self.ann_file, self.image_root, self.backend_args)
        self._metainfo.setdefault("classes", data.names)
        listed = list_images(data, self.split, self.backend_args)
        images = [record["img_path"] for record in self._with_files([{"img_path": one} for one in listed])]
        with ThreadPoolExecutor(_READERS) as pool:
            texts = list(pool.map(self._read_labels, images))
            sizes = list(pool.map(self._read_size, images))
        self._tell_of_missing_labels(data, images, texts)
        reader = LabelReader(len(data.names), data.keypoints)
        objects = [
            reader.read(text or "", label_path(image), size)
            for image, text, size in zip(images, texts, sizes, strict=True)
        ]
        reader.refuse_bad_lines()
        if reader.twice:
            self.screening.add("objects given twice", example=reader.twice[0], count=len(reader.twice))
        labels = self._labels(data, objects)
        return [
            self.parse_data_info(
                {"img_id": number, "img_path": image, "size": size, "objects": found, "labels": labels}
            )
            for number, (image, size, found) in enumerate(zip(images, sizes, objects, strict=True))
        ]

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> dict[str, Any]:
        """Return the record of an image, given its `size` (h, w), its `objects`, and the `labels` of their classes."""
        height, width = raw_data_info["size"]
        labels = raw_data_info["labels"]
        learned = [one for one in raw_data_info["objects"] if one["category_id"] in labels]
        return {
            "img_id": raw_data_info["img_id"],
            "img_path": raw_data_info["img_path"],
            "height": height,
            "width": width,
            "instances": [
                {**one["instance"], "bbox_label": labels[one["category_id"]], "ignore_flag": 0} for one in learned
            ],
        }

    def _labels(self, data: DataYaml, objects: Sequence[list[dict[str, Any]]]) -> dict[int, int]:
        """Return the label of each class of the file, which differs where `metainfo` chose classes."""
        categories = [{"id": number, "name": name} for number, name in enumerate(data.names)]
        file = CocoFile(data.path, categories=categories, annotations=dict(enumerate(objects)))
        labels, left_out = match_categories(
            file, self._metainfo["classes"], chosen=self.classes_chosen, strict=self.on_class_mismatch == "error"
        )
        for name, count in left_out.items():
            self.screening.add("objects of other categories", name, count=count, wanted=self.classes_chosen)
        return labels

    def _read_labels(self, image: str) -> str | None:
        try:
            return get_text(label_path(image), backend_args=self.backend_args)
        except FileNotFoundError:
            return None

    def _read_size(self, image: str) -> tuple[int, int]:
        return image_size(image, backend_args=self.backend_args)

    def _tell_of_missing_labels(self, data: DataYaml, images: Sequence[str], texts: Sequence[str | None]) -> None:
        """Say how many images have no file of labels; such images are empty, but not all of them can be."""
        missing = [image for image, text in zip(images, texts, strict=True) if text is None]
        if len(missing) == len(images) and not self.test_mode:
            raise FileNotFoundError(
                f"{data.path}: none of the {len(images)} images of {self.split!r} has a file of labels, such as "
                f"{label_path(images[0])}"
            )
        if missing:
            print_log(
                f"{data.path}: {len(missing)} of the {len(images)} images of {self.split!r} have no file of labels, "
                f"such as {label_path(missing[0])}, and count as images without objects",
                logger="current",
            )


class LabelReader:
    """Reads files of labels, and remembers what is wrong with them.

    Args:
        classes: How many there are.
        keypoints: (points of an object, numbers of a point), where objects have any.
    """

    def __init__(self, classes: int, keypoints: tuple[int, int] | None = None) -> None:
        self.classes = classes
        self.keypoints = keypoints
        #: Where lines are that are no objects, and why; and where those are that their file has already.
        self.bad: list[str] = []
        self.twice: list[str] = []

    def read(self, text: str, path: str, size: tuple[int, int]) -> list[dict[str, Any]]:
        """Return the objects of an image of size (h, w): `category_id`, and what becomes the `instance` of a record."""
        objects = []
        seen = set()
        for number, line in enumerate(text.splitlines(), 1):
            fields = tuple(line.split())
            if not fields:
                continue
            try:
                found = self._object(fields, size)
            except ValueError as error:
                self.bad.append(f"{path}, line {number}: {error}")
                continue
            if fields in seen:
                self.twice.append(f"{path}, line {number}")
                continue
            seen.add(fields)
            objects.append(found)
        return objects

    def refuse_bad_lines(self) -> None:
        """Stop where there were any.

        Raises:
            ValueError: names the first of them.
        """
        if self.bad:
            more = f"\n... and {len(self.bad) - _MOST} more" if len(self.bad) > _MOST else ""
            raise ValueError(f"{len(self.bad)} lines of labels are no objects:\n" + "\n".join(self.bad[:_MOST]) + more)

    def _object(self, fields: Sequence[str], size: tuple[int, int]) -> dict[str, Any]:
        kind, *shares = self._numbers(fields)
        if kind != int(kind) or not 0 <= kind < self.classes:
            raise ValueError(f"class {fields[0]} is none of the {self.classes} names, whose numbers begin at 0")
        height, width = size
        if self.keypoints is not None:
            points = np.array(shares[_BOX - 1 :]).reshape(self.keypoints)
            self._check_shares([*shares[: _BOX - 1], *points[:, :2].ravel()])
            seen = points[:, 2] if self.keypoints[1] > 2 else np.where(points.any(axis=1), 2.0, 0.0)
            placed = np.column_stack([points[:, :2] * (width, height), seen])
            instance = {"bbox": _corners(shares, size), "keypoints": placed.ravel().tolist()}
        else:
            self._check_shares(shares)
            if len(shares) == _BOX - 1:
                instance = {"bbox": _corners(shares, size)}
            else:
                polygon = np.array(shares).reshape(-1, 2) * (width, height)
                box = np.concatenate([polygon.min(axis=0), polygon.max(axis=0)])
                instance = {"bbox": box.tolist(), "mask": [polygon.ravel().tolist()]}
        return {"category_id": int(kind), "instance": instance}

    def _numbers(self, fields: Sequence[str]) -> list[float]:
        """Return the numbers of a line, as many as its kind has."""
        try:
            numbers = [float(one) for one in fields]
        except ValueError:
            raise ValueError(f"not all of it are numbers: {' '.join(fields):.60}") from None
        if not np.isfinite(numbers).all():
            raise ValueError(f"not all of it are finite numbers: {' '.join(fields):.60}")
        if self.keypoints is not None:
            want = _BOX + self.keypoints[0] * self.keypoints[1]
            if len(numbers) != want:
                raise ValueError(f"{len(numbers)} numbers, where an object with keypoints {self.keypoints} has {want}")
        elif len(numbers) != _BOX and (len(numbers) < _POLYGON or len(numbers) % 2 == 0):
            raise ValueError(
                f"{len(numbers)} numbers, where a box has {_BOX} with its class, and a polygon an odd number from "
                f"{_POLYGON} on"
            )
        return numbers

    @staticmethod
    def _check_shares(shares: Sequence[float]) -> None:
        far = max(shares, key=abs)
        if abs(far) > _FARTHEST:
            raise ValueError(f"{far:g} is no share of the image's width or height: these lie from 0 to 1")


def _corners(shares: Sequence[float], size: tuple[int, int]) -> list[float]:
    """Return a box x1, y1, x2, y2 in pixels."""
    x, y, w, h = shares[: _BOX - 1]
    height, width = size
    return [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height]
