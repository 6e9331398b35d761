"""What COCO's metrics compare: the objects of an annotation file, or of data samples, and what was found."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as mask_api

from visuite.det.datasets.coco_file import CocoFile, match_categories, read_coco
from visuite.det.metrics.coco_evaluation import CocoTruth, Detections
from visuite.det.metrics.image_results import Found, Wanted, detections_of, objects_of, size_of
from visuite.engine.fileio import dump
from visuite.engine.logging import print_log

#: What LVIS tells of an image: categories that are not in it, and those of which not all objects are marked.
_FEDERATED = ("neg_category_ids", "not_exhaustive_category_ids")


class ImageEntry(NamedTuple):
    """What is kept of an image: its id, height and width, what was found, and the truth where no file tells it."""

    image: Any
    size: tuple[int, int] | None
    found: Found
    wanted: Wanted | None


def entry_of(sample: Mapping[str, Any], *, with_masks: bool, with_truth: bool) -> ImageEntry:
    """Return what is kept of a data sample.

    Args:
        sample: The sample.
        with_masks: Keep masks.
        with_truth: Keep the objects too.

    Raises:
        KeyError: the sample lacks a field.
    """
    found = detections_of(sample, with_masks=with_masks)
    if not with_truth:
        return ImageEntry(sample["img_id"], None, found, None)
    return ImageEntry(sample["img_id"], size_of(sample), found, objects_of(sample, with_masks=with_masks))


class Truth(NamedTuple):
    """The objects to find, and the ids of the annotation file behind their numbers.

    Attributes:
        coco: The objects.
        places: The place of each image by its id.
        category_ids: Of each label; None for a class without a category.
        names: Of each label.
    """

    coco: CocoTruth
    places: dict[Any, int]
    category_ids: list[Any]
    names: list[str]


def read_truth(
    ann_file: str,
    classes: Sequence[str],
    backend_args: Mapping[str, Any] | None = None,
    images: Collection[Any] | None = None,
) -> Truth:
    """Read the objects of some classes from a COCO file.

    Args:
        ann_file: The file.
        classes: Their places are the labels; all categories, by their ids, where there are none.
        backend_args: How it is read, as in `visuite.engine.fileio`.
        images: The ids of those that count; all of the file when None.

    Raises:
        ValueError: the file has none of the classes.
    """
    file = read_coco(ann_file, backend_args)
    if images is not None:
        file = replace(file, images={one: entry for one, entry in file.images.items() if one in images})
    names = list(classes) or [str(one["name"]) for one in file.categories]
    labels, _ = match_categories(file, names, chosen=True, strict=False)
    if absent := [name for label, name in enumerate(names) if label not in set(labels.values())]:
        told = f"{ann_file} has no categories for {len(absent)} classes: {', '.join(absent[:5])}, ..."
        if len(absent) == len(names):
            raise ValueError(f"{told} It has {[one['name'] for one in file.categories][:20]}")
        print_log(f"{told} They are not evaluated", "current", level=logging.WARNING)
    return truth_of_file(file, labels, names)


def truth_of_file(file: CocoFile, labels: Mapping[Any, int], names: Sequence[str]) -> Truth:
    """Number the objects of a COCO file anew.

    Args:
        file: The file.
        labels: The label of each category id that counts.
        names: Of each label.
    """
    ids = sort_ids(list(file.images))
    annotations: list[dict[str, Any]] = []
    for place, image in enumerate(ids):
        for one in file.annotations.get(image, ()):
            if one["category_id"] in labels:
                area = one.get("area", one["bbox"][2] * one["bbox"][3])
                renamed = {"image_id": place + 1, "category_id": labels[one["category_id"]] + 1, "area": area}
                numbered = {"id": len(annotations) + 1, "iscrowd": int(one.get("iscrowd", 0))}
                annotations.append({**one, **renamed, **numbered})
    sizes = [(file.images[one].get("width", 0), file.images[one].get("height", 0)) for one in ids]
    facts = [
        {key: [labels[one] + 1 for one in file.images[image].get(key, ()) if one in labels] for key in _FEDERATED}
        for image in ids
    ]
    counts = file.objects_of_category()
    category_ids: list[Any] = [None] * len(names)
    for category in sorted(labels, key=counts.__getitem__):  # of several with one name, that with most objects
        category_ids[labels[category]] = category
    frequency = {labels[one["id"]]: one.get("frequency", "f") for one in file.categories if one["id"] in labels}
    coco = CocoTruth(sizes, annotations, len(names), facts, [frequency.get(label, "f") for label in range(len(names))])
    return Truth(coco, {image: place for place, image in enumerate(ids)}, category_ids, list(names))


def truth_of_samples(entries: Sequence[ImageEntry], names: Sequence[str]) -> Truth:
    """Number the objects that data samples have brought.

    Args:
        entries: Of all images, with `wanted` and `size`.
        names: Of each label; empty where they are not known.
    """
    if not names:
        parts = [part for one in entries for part in (one.found, one.wanted) if part is not None and len(part.labels)]
        names = [str(label) for label in range(max((int(part.labels.max()) for part in parts), default=0) + 1)]
    ids = sort_ids([one.image for one in entries])
    by_id = {one.image: one for one in entries}
    annotations: list[dict[str, Any]] = []
    sizes = []
    for place, image in enumerate(ids):
        entry = by_id[image]
        height, width = entry.size or (0, 0)
        sizes.append((width, height))
        if entry.wanted is not None:
            annotations += _annotations_of(entry.wanted, place, len(annotations) + 1)
    coco = CocoTruth(sizes, annotations, len(names))
    return Truth(coco, {image: place for place, image in enumerate(ids)}, list(range(len(names))), list(names))


def sort_ids(ids: Sequence[Any]) -> list[Any]:
    """Return ids in the order in which COCO's tools go through images, which decides between equal scores."""
    try:
        return sorted(ids)
    except TypeError:  # numbers beside strings
        return list(ids)


def _annotations_of(wanted: Wanted, place: int, first_id: int) -> list[dict[str, Any]]:
    """Return the objects of an image as COCO has them."""
    boxes = wanted.boxes.astype(np.float64)
    sizes = boxes[:, 2:] - boxes[:, :2]
    rles = wanted.masks.to_rles() if wanted.masks is not None else None
    areas = sizes.prod(axis=1).tolist() if rles is None else [float(mask_api.area(one)) for one in rles]
    found = []
    for index, label in enumerate(wanted.labels.tolist()):
        one = {
            "id": first_id + index,
            "image_id": place + 1,
            "category_id": label + 1,
            "bbox": [*boxes[index, :2].tolist(), *sizes[index].tolist()],
            "area": areas[index],
            "iscrowd": int(wanted.ignored[index]),
        }
        found.append(one if rles is None else {**one, "segmentation": rles[index]})
    return found


def in_columns(results: Sequence[ImageEntry], truth: Truth, *, with_masks: bool) -> Detections:
    """Lay the detections of all images out in columns."""
    found = [one.found for one in results]
    places = np.array([truth.places[one.image] for one in results], np.int64)
    boxes = np.concatenate([one.boxes.astype(np.float64) for one in found] or [np.zeros((0, 4))])
    boxes[:, 2:] -= boxes[:, :2]
    scores = [one.mask_scores if with_masks and one.mask_scores is not None else one.scores for one in found]
    masks = [rle for one in found if one.masks is not None for rle in one.masks.to_rles()] if with_masks else None
    return Detections(
        np.repeat(places, [len(one.labels) for one in found]),
        boxes,
        np.concatenate([one.astype(np.float64) for one in scores] or [np.zeros(0)]),
        np.concatenate([one.labels.astype(np.int64) for one in found] or [np.zeros(0, np.int64)]),
        masks,
    )


def check_images(results: Sequence[ImageEntry], truth: Truth) -> None:
    """Hold the images that were tested against those of the annotations.

    Raises:
        ValueError: the annotations do not have an image, or an image comes twice, or a label is no class.
    """
    seen = [one.image for one in results]
    unknown = [image for image in seen if image not in truth.places]
    if unknown:
        known = list(truth.places)[:3]
        raise ValueError(
            f"{len(unknown)} of {len(seen)} images, such as {unknown[0]!r}, are not in the annotations, whose ids are "
            f"{known}, ...: is ann_file that of the data set?"
        )
    if len(set(seen)) < len(seen):
        twice = next(image for image in seen if seen.count(image) > 1)
        raise ValueError(f"image {twice!r} was tested more than once")
    largest = max((int(one.found.labels.max()) for one in results if len(one.found.labels)), default=-1)
    if largest >= len(truth.names):
        raise ValueError(f"a detection has the label {largest} among {len(truth.names)} classes: is num_classes right?")
    if left := len(truth.places) - len(seen):
        print_log(
            f"{left} of {len(truth.places)} annotated images were not tested; their objects count as not found",
            "current",
            level=logging.WARNING,
        )


def write_results(results: Sequence[ImageEntry], truth: Truth, prefix: str) -> None:
    """Write detections with the ids of the annotation file: `<prefix>.bbox.json`, and masks to `<prefix>.segm.json`."""
    boxes, masks = [], []
    for entry in results:
        found = entry.found
        corners = found.boxes.astype(np.float64)
        corners[:, 2:] -= corners[:, :2]
        scores = found.scores if found.mask_scores is None else found.mask_scores
        rles = found.masks.to_rles() if found.masks is not None else []
        for index, (box, label) in enumerate(zip(corners.tolist(), found.labels.tolist(), strict=True)):
            if truth.category_ids[label] is None:
                continue
            one = {"image_id": entry.image, "category_id": truth.category_ids[label], "bbox": box}
            boxes.append({**one, "score": float(found.scores[index])})
            if rles:
                mask = {"size": list(rles[index]["size"]), "counts": rles[index]["counts"].decode()}
                masks.append({**one, "score": float(scores[index]), "segmentation": mask})
    dump(boxes, f"{prefix}.bbox.json")
    if any(one.found.masks is not None for one in results):
        dump(masks, f"{prefix}.segm.json")
    print_log(f"{len(boxes)} detections are written to {prefix}.*.json", "current")
