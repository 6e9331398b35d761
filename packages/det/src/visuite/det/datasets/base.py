"""What all detection data sets share: records with objects, screened before training.

N: objects of all images.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Literal, get_args

import numpy as np

from visuite.det.datasets.screening import FAULTS, OnBadBoxes, Screening, screen_boxes
from visuite.engine.dataset import BaseDataset
from visuite.engine.dataset.base import below
from visuite.engine.fileio import join_path, load
from visuite.engine.fileio.location import locate
from visuite.engine.logging import print_log
from visuite.engine.utils.text import did_you_mean

OnClassMismatch = Literal["error", "drop"]
OnMissingImages = Literal["error", "drop", "ignore"]

_FILTERS = ("filter_empty_gt", "min_size", "bbox_min_size")


class BaseDetDataset(BaseDataset):
    """Images with objects.

    A record has `img_path`, `img_id`, `height`, `width`, perhaps `seg_map_path`, and `instances`: a list of
    `dict(bbox=[x1, y1, x2, y2], bbox_label=int, ignore_flag=0 or 1)`, those with a mask also `mask`. A subclass reads
    them in `load_data_list`; what is wrong with them is found here, counted for each class in `self.screening`, and
    told in one table, before training.

    Args:
        ann_file: The annotation file, below `data_root`.
        metainfo: Facts about the whole set, such as `classes`, whose places are the labels.
        data_root: The folder that all else is below.
        data_prefix: Folders below `data_root`: `img` of the images, `seg` of semantic maps.
        filter_cfg: `filter_empty_gt=True` leaves out images without objects, `min_size` those whose shorter side is
            below; in training, objects whose shorter side is below `bbox_min_size` are ignored. A test leaves out none.
        seg_map_suffix: What names of semantic maps end in.
        proposal_file: A pickle `{file name: dict(bboxes (n, 4), scores (n,))}`, below `data_root`; names bear their
            folder, or stand alone.
        backend_args: Where and how annotations are read, as in `visuite.engine.fileio`.
        return_classes: Records also have `text`, the classes, for models that read them.
        caption_prompt: Words around the classes for such models.
        on_bad_boxes: Boxes that cannot be learned from (not a number, inside out, under a pixel wide or high, outside
            the image): `drop` them, also `clip` those that reach over an edge, or `error`, which takes over an edge by
            more than a pixel for bad too.
        on_class_mismatch: `error`: every class has to be in the annotations, and every object's category among the
            classes, unless `metainfo` chooses classes. `drop` leaves out and tells what does not fit.
        on_missing_images: Images without a file: `error`, `drop`, or `ignore` to not look. Remote files are not looked
            for.
        lazy_init: Read the annotations on first use.
        **kwargs: As of the engine's `BaseDataset`: `pipeline`, `indices`, `test_mode`, ...

    Raises:
        ValueError: an unknown setting, or what was found and is not to be dropped.
        FileNotFoundError: no image is there at all.
    """

    def __init__(
        self,
        ann_file: str = "",
        metainfo: Mapping[str, Any] | str | None = None,
        *,
        data_root: str = "",
        data_prefix: Mapping[str, str] = {"img": ""},
        filter_cfg: Mapping[str, Any] | None = None,
        seg_map_suffix: str = ".png",
        proposal_file: str | None = None,
        backend_args: Mapping[str, Any] | None = None,
        return_classes: bool = False,
        caption_prompt: Mapping[str, Any] | None = None,
        on_bad_boxes: OnBadBoxes = "drop",
        on_class_mismatch: OnClassMismatch = "error",
        on_missing_images: OnMissingImages = "error",
        lazy_init: bool = False,
        **kwargs: Any,
    ) -> None:
        _check_choice("on_bad_boxes", on_bad_boxes, get_args(OnBadBoxes))
        _check_choice("on_class_mismatch", on_class_mismatch, get_args(OnClassMismatch))
        _check_choice("on_missing_images", on_missing_images, get_args(OnMissingImages))
        for key in filter_cfg or ():
            _check_choice("filter_cfg", key, _FILTERS)
        self.seg_map_suffix = seg_map_suffix
        self.proposal_file = proposal_file
        self.backend_args = None if backend_args is None else dict(backend_args)
        self.return_classes = return_classes
        self.caption_prompt = caption_prompt
        self.on_bad_boxes = on_bad_boxes
        self.on_class_mismatch = on_class_mismatch
        self.on_missing_images = on_missing_images
        self.screening = Screening("")
        #: Whether the config chose the classes, and so may leave out some.
        self.classes_chosen = "classes" in ((load(metainfo) if isinstance(metainfo, str) else metainfo) or {})
        super().__init__(
            ann_file=ann_file,
            metainfo=metainfo,
            data_root=data_root,
            data_prefix=data_prefix,
            filter_cfg=filter_cfg,
            lazy_init=True,
            **kwargs,
        )
        self.screening = Screening(f"{type(self).__name__} {self.ann_file}".strip())
        if not lazy_init:
            self.full_init()

    # ------------------------------------------------------------------ what others ask

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return a copy of record `idx`, with the classes where the model reads them."""
        record = super().get_data_info(idx)
        if self.return_classes:
            record["text"] = self._metainfo["classes"]
            record["caption_prompt"] = self.caption_prompt
            record["custom_entities"] = True
        return record

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the labels of the objects in an image."""
        return [instance["bbox_label"] for instance in self.get_data_info(idx)["instances"]]

    # ------------------------------------------------------------------ screening

    def filter_data(self) -> list[dict[str, Any]]:
        """Screen the boxes of all records, choose those that count, and tell what was left out."""
        records = self.data_list
        self._screen_boxes(records)
        if not self.test_mode:
            self._ignore_small_objects(records)
            records = self._choose_images(records)
        records = self._with_files(records)
        self._load_proposals(records)
        if self.screening:
            level = "WARNING" if self.screening.faults() else "INFO"
            print_log(f"{self.screening.source} leaves out\n{self.screening.table()}", "current", level=level)
        return records

    def _screen_boxes(self, records: Sequence[dict[str, Any]]) -> None:
        """Take bad boxes out of the records, or refuse them."""
        instances = [instance for record in records for instance in record["instances"]]
        if not instances:
            return
        owners = np.repeat(np.arange(len(records)), [len(record["instances"]) for record in records])
        boxes = np.array([instance["bbox"] for instance in instances], np.float64).reshape(-1, 4)
        sizes = np.array([(record["width"], record["height"]) for record in records], np.float64)[owners]
        cut, faults, bad = screen_boxes(boxes, sizes, self.on_bad_boxes)
        for index in np.flatnonzero(bad):
            name = PurePath(records[owners[index]]["img_path"]).name
            numbers = ", ".join(f"{value:g}" for value in boxes[index])
            self.screening.add(FAULTS[faults[index]], self._class_of(instances[index]), example=f"{name} [{numbers}]")
        if self.on_bad_boxes == "error" and bad.any():
            raise ValueError(
                f"{self.screening.source} has {bad.sum()} bad boxes of {len(boxes)} (on_bad_boxes='drop' or 'clip' "
                f"goes on without them)\n{self.screening.table()}"
            )
        for index in np.flatnonzero((cut != boxes).any(axis=1)):
            instances[index]["bbox"] = cut[index].tolist()
        for owner in np.unique(owners[bad]):
            kept = ~bad[owners == owner]
            objects = records[owner]["instances"]
            records[owner]["instances"] = [one for one, keep in zip(objects, kept, strict=True) if keep]

    def _ignore_small_objects(self, records: Iterable[dict[str, Any]]) -> None:
        """Have training neither learn nor unlearn objects that are too small."""
        least = (self.filter_cfg or {}).get("bbox_min_size")
        if least is None:
            return
        for record in records:
            for instance in record["instances"]:
                left, top, right, bottom = instance["bbox"]
                if min(right - left, bottom - top) < least:
                    instance["ignore_flag"] = 1

    def _choose_images(self, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Leave out the images that `filter_cfg` says."""
        chosen = self.filter_cfg or {}
        least, with_objects = chosen.get("min_size", 0), chosen.get("filter_empty_gt", False)
        kept = []
        for record in records:
            if min(record["width"], record["height"]) < least:
                self.screening.add(f"images under {least} pixels", example=record["img_path"], wanted=True)
            elif with_objects and not record["instances"]:
                self.screening.add("images without objects", example=record["img_path"], wanted=True)
            else:
                kept.append(record)
        return kept

    def _with_files(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Look for the images' files.

        Raises:
            FileNotFoundError: there is none of them.
            ValueError: some are missing.
        """
        if self.on_missing_images == "ignore" or not records:
            return records
        missing = missing_files((record["img_path"] for record in records), self.backend_args)
        if not missing:
            return records
        source, first = self.screening.source, next(iter(missing))
        if len(missing) == len({record["img_path"] for record in records}):
            raise FileNotFoundError(f"{source}: none of its {len(missing)} images is there, such as {first}")
        if self.on_missing_images == "error":
            raise ValueError(
                f"{source}: {len(missing)} of {len(records)} images have no file, the first of them {first} "
                "(on_missing_images='drop' goes on without them)"
            )
        self.screening.add("images without a file", example=first, count=len(missing))
        return [record for record in records if record["img_path"] not in missing]

    def _load_proposals(self, records: Iterable[dict[str, Any]]) -> None:
        """Give the records the regions that another model proposed.

        Raises:
            KeyError: an image has none.
        """
        if self.proposal_file is None:
            return
        proposals = load(self.proposal_file, backend_args=self.backend_args)
        for record in records:
            path = PurePath(record["img_path"])
            found = proposals.get(f"{path.parent.name}/{path.name}", proposals.get(path.name))
            if found is None:
                raise KeyError(f"{self.proposal_file} has no proposals for {path.parent.name}/{path.name}")
            record["proposals"] = {
                key: np.asarray(found[key], np.float32) for key in ("bboxes", "scores") if key in found
            }

    # ------------------------------------------------------------------ paths

    def _image_path(self, name: str) -> str:
        """Return where an image is."""
        folder = self.data_prefix.get("img") or self.data_prefix.get("img_path") or self.data_root
        return join_path(folder, name) if folder else name

    def _seg_map_path(self, name: str) -> str | None:
        """Return where an image's semantic map is, or None where there are none."""
        folder = self.data_prefix.get("seg")
        return join_path(folder, os.path.splitext(name)[0] + self.seg_map_suffix) if folder else None

    def _join_prefix(self) -> None:
        super()._join_prefix()
        if self.proposal_file is not None:
            self.proposal_file = below(self.data_root, self.proposal_file)

    def _class_of(self, instance: Mapping[str, Any]) -> str:
        return str(self._metainfo["classes"][instance["bbox_label"]])


def missing_files(paths: Iterable[str], backend_args: Mapping[str, Any] | None = None) -> dict[str, None]:
    """Return those of some paths that are no local files, in their order; remote ones count as there.

    Each folder is listed once, which takes a fraction of asking for every file.
    """
    folders: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for path in paths:
        place = locate(path, backend_args)
        if isinstance(place, str):
            folder, name = os.path.split(place)
            folders[folder][name] = path
    missing: dict[str, None] = {}
    for folder, names in folders.items():
        there = set(os.listdir(folder or ".")) if os.path.isdir(folder or ".") else set()
        missing.update(dict.fromkeys(path for name, path in names.items() if name not in there))
    return missing


def _check_choice(argument: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{argument} does not take {value!r}{did_you_mean(value, known)} (it takes {list(known)})")
