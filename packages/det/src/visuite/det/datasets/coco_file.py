"""Annotation files in the format of COCO, arXiv:1405.0312: read, and held together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from visuite.engine.fileio import load
from visuite.engine.utils.text import did_you_mean

#: How many names an error lists.
_MOST = 5


@dataclass
class CocoFile:
    """What a COCO file holds.

    Attributes:
        path: The file.
        images: By id, in the order of the file.
        categories: In the order of their ids.
        annotations: Of each image id; images without any are absent.
        strays: Annotations of images that the file does not list.
    """

    path: str
    images: dict[Any, dict[str, Any]] = field(default_factory=dict)
    categories: list[dict[str, Any]] = field(default_factory=list)
    annotations: dict[Any, list[dict[str, Any]]] = field(default_factory=dict)
    strays: list[dict[str, Any]] = field(default_factory=list)

    def objects_of_category(self) -> Counter[Any]:
        """Return how many annotations each category id has."""
        return Counter(one["category_id"] for found in self.annotations.values() for one in found)


def read_coco(path: str, backend_args: Mapping[str, Any] | None = None) -> CocoFile:
    """Read a COCO file; one without annotations or categories lists the images of a test.

    In a panoptic file, whose annotations have `segments_info`, the segments are the annotations.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is no COCO file, ids are given twice, or an annotation has a category that is not listed.
    """
    content = load(path, backend_args=backend_args)
    if not isinstance(content, Mapping) or not isinstance(content.get("images"), list):
        found = list(content)[:8] if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise ValueError(f"{path}: a COCO file is a dict with 'images', 'annotations' and 'categories', not {found}")
    file = CocoFile(path)
    file.images = _by_id(content["images"], f"{path}: two images have")
    categories = _by_id(content.get("categories") or [], f"{path}: two categories have")
    file.categories = [categories[one] for one in sorted(categories)]
    for one in _flat(content.get("annotations") or []):
        if one["category_id"] not in categories:
            raise ValueError(
                f"{path}: annotation {one.get('id')!r} of image {one['image_id']!r} has category_id "
                f"{one['category_id']!r}, and the categories are {list(categories)[:20]}"
            )
        if one["image_id"] in file.images:
            file.annotations.setdefault(one["image_id"], []).append(one)
        else:
            file.strays.append(one)
    return file


def _by_id(entries: Iterable[dict[str, Any]], complaint: str) -> dict[Any, dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = {}
    for one in entries:
        if found.setdefault(one["id"], one) is not one:
            raise ValueError(f"{complaint} the id {one['id']!r}")
    return found


def _flat(annotations: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for one in annotations:
        if "segments_info" in one:
            yield from ({**segment, "image_id": one["image_id"]} for segment in one["segments_info"])
        else:
            yield one


def match_categories(
    file: CocoFile, classes: Sequence[str], *, chosen: bool, strict: bool
) -> tuple[dict[Any, int], dict[str, int]]:
    """Find the label of each category by its name.

    Args:
        file: The annotations.
        classes: Their places are the labels; in any order, and perhaps some of them only.
        chosen: Whether leaving out categories is what the user asked for.
        strict: Whether the others have to fit.

    Returns:
        {category id: label}, and the number of objects of every category that is left out, by its name. Several
        categories of one name have one label.

    Raises:
        ValueError: a class has no category; or a category with objects is no class, and `chosen` is not set.
    """
    label_of = {name: label for label, name in enumerate(classes)}
    counts = file.objects_of_category()
    labels = {one["id"]: label_of[one["name"]] for one in file.categories if one["name"] in label_of}
    left_out: Counter[str] = Counter()
    for one in file.categories:
        if one["name"] not in label_of and counts[one["id"]]:
            left_out[one["name"]] += counts[one["id"]]
    names = [one["name"] for one in file.categories]
    if not strict or not names:
        return labels, dict(left_out)
    faults = []
    if absent := [name for name in classes if name not in set(names)]:
        hint = did_you_mean(absent[0], names)
        faults.append(f"no category bears the name of {_some(absent)} of the {len(classes)} classes{hint}")
    if left_out and not chosen:
        told = [f"{name} ({count} objects)" for name, count in left_out.items()]
        faults.append(f"no class bears the name of the categories {_some(told)}")
    if faults:
        raise ValueError(
            f"{file.path}: {'; '.join(faults)}. Its categories are {_some(names, 20)}: give the classes as "
            "metainfo=dict(classes=(...)), or leave out what does not fit with on_class_mismatch='drop'"
        )
    return labels, dict(left_out)


def _some(names: Sequence[str], most: int = _MOST) -> str:
    shown = ", ".join(map(str, names[:most]))
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
