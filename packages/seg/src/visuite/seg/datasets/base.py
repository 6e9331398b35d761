"""Pairs of images and maps of classes.

Shapes: H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from visuite.cv.image import read_class_map
from visuite.cv.transforms.annotations import without_class_zero
from visuite.engine.dataset import BaseDataset, force_full_init
from visuite.engine.fileio import join_path, list_dir_or_file, list_from_file
from visuite.engine.logging import print_log
from visuite.engine.utils.text import did_you_mean
from visuite.engine.visualization import class_palette
from visuite.seg.registry import DATASETS
from visuite.seg.transforms.loading import renamed


@DATASETS.register_module()
class BaseSegDataset(BaseDataset):
    """A folder of images and one of maps, each map (H, W) an image file whose values are classes.

        img_path/x/a.jpg     img_suffix=".jpg"       a pair has the same name but for the suffix; folders may be nested
        seg_map_path/x/a.png     seg_map_suffix=".png"

    A record has `img_path`, `seg_map_path`, `label_map`, `reduce_zero_label` and `seg_fields`.

    Args:
        ann_file: A file with one name a line, without suffix; by default all images of the folder, in order of names.
        img_suffix: What names of images end with.
        seg_map_suffix: What names of maps end with.
        metainfo: `classes`, `palette` (colours of classes), and perhaps `label_map`: classes that values of the files
            stand for where they are none themselves, such as {11: 255}. `classes` may be some of the known ones, in any
            order: pixels of the others are ignored.
        data_root: The folder that all else is below.
        data_prefix: Folders `img_path` and `seg_map_path`; without the latter there are no maps.
        ignore_index: The class that is not learned from.
        reduce_zero_label: The files call class 0 what is ignored, and the first class 1.
        backend_args: Options of the file backend.
        **kwargs: As of the engine's `BaseDataset`: `pipeline`, `indices`, `test_mode`, `lazy_init`, ...

    Raises:
        FileNotFoundError: there is no such folder or file.
        ValueError: a class is not known, no file has the suffix, or an image has no map.
    """

    def __init__(
        self,
        ann_file: str = "",
        img_suffix: str = ".jpg",
        seg_map_suffix: str = ".png",
        metainfo: Mapping[str, Any] | str | None = None,
        data_root: str | None = None,
        *,
        data_prefix: Mapping[str, Any] | None = None,
        ignore_index: int = 255,
        reduce_zero_label: bool = False,
        backend_args: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.img_suffix = img_suffix
        self.seg_map_suffix = seg_map_suffix
        self.ignore_index = ignore_index
        self.reduce_zero_label = reduce_zero_label
        self.backend_args = backend_args
        folders = {"img_path": "", "seg_map_path": ""} if data_prefix is None else data_prefix
        super().__init__(
            ann_file=ann_file,
            metainfo=metainfo,
            data_root=data_root,
            data_prefix={key: folder for key, folder in folders.items() if folder is not None},
            **{**kwargs, "lazy_init": True},
        )
        self.label_map = self.get_label_map(self._metainfo.get("classes"))
        self._metainfo |= {"label_map": self.label_map, "reduce_zero_label": reduce_zero_label}
        if self._metainfo.get("classes") is not None:
            self._metainfo["palette"] = self._palette()
        if not kwargs.get("lazy_init", False):
            self.full_init()

    # ------------------------------------------------------------------ classes

    def get_label_map(self, new_classes: Sequence[str] | None = None) -> dict[int, int] | None:
        """Return what classes of the files are called among `new_classes`, or None where nothing is renamed.

        Raises:
            ValueError: one of them is not known.
        """
        given = {int(old): int(new) for old, new in (self._metainfo.get("label_map") or {}).items()}
        known = self.METAINFO.get("classes")
        if known is None or new_classes is None or tuple(new_classes) == tuple(known):
            return given or None
        unknown = [name for name in new_classes if name not in known]
        if unknown:
            raise ValueError(f"{type(self).__name__} has no class {unknown[0]!r}{did_you_mean(unknown[0], known)}")
        places = {name: place for place, name in enumerate(new_classes)}
        chosen = {old: places.get(name, self.ignore_index) for old, name in enumerate(known)}
        return {**chosen, **{old: chosen.get(new, new) for old, new in given.items()}}

    def _palette(self) -> list[tuple[int, ...]]:
        """Return a colour (red, green, blue) for each class: those known, picked like the classes, or new ones.

        Raises:
            ValueError: there are more or fewer colours than classes.
        """
        classes, palette = self._metainfo["classes"], self._metainfo.get("palette")
        known = self.METAINFO.get("classes")
        if palette and known and palette == self.METAINFO.get("palette"):
            palette = [palette[tuple(known).index(name)] for name in classes]
        if not palette:
            palette = class_palette(len(classes))
        if len(palette) != len(classes):
            raise ValueError(f"{len(palette)} colours in the palette, and {len(classes)} classes")
        return [tuple(color) for color in palette]

    # ------------------------------------------------------------------ records

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return a record of each pair."""
        images = self.data_prefix["img_path"]
        found: list[str] = []
        if self.ann_file:
            lines = (line.strip() for line in list_from_file(self.ann_file, backend_args=self.backend_args))
            names = [line.removesuffix(self.img_suffix) for line in lines if line]
        else:
            found = sorted(self._files(images, self.img_suffix))
            names = [name.removesuffix(self.img_suffix) for name in found]
        if not names:
            raise ValueError(self._explain_nothing(images))
        if "seg_map_path" in self.data_prefix:
            self._hold_maps(names)
        return [self._record(name) for name in names]

    def _record(self, name: str) -> dict[str, Any]:
        record: dict[str, Any] = {"img_path": join_path(self.data_prefix["img_path"], name + self.img_suffix)}
        if "seg_map_path" in self.data_prefix:
            record["seg_map_path"] = join_path(self.data_prefix["seg_map_path"], name + self.seg_map_suffix)
        return {
            **record,
            "label_map": self.label_map,
            "reduce_zero_label": self.reduce_zero_label,
            "seg_fields": [],
        }

    def _hold_maps(self, names: Sequence[str]) -> None:
        """Hold the names of pairs against the maps that there are."""
        folder = self.data_prefix["seg_map_path"]
        maps = {name.removesuffix(self.seg_map_suffix) for name in self._files(folder, self.seg_map_suffix)}
        missing = [name for name in names if name not in maps]
        if missing:
            few = ", ".join(name + self.seg_map_suffix for name in missing[:3])
            more = ", ..." if len(missing) > 3 else ""
            raise ValueError(f"{len(missing)} of {len(names)} images have no map below {folder}: {few}{more}")
        alone = maps.difference(names)
        if alone and not self.ann_file:
            first = min(alone) + self.seg_map_suffix
            said = f"{len(alone)} maps below {folder} have no image, the first: {first}"
            print_log(f"{type(self).__name__}: {said}", "current", level="WARNING")

    def _files(self, folder: str, suffix: str) -> Iterator[str]:
        return list_dir_or_file(folder, list_dir=False, suffix=suffix, recursive=True, backend_args=self.backend_args)

    def _explain_nothing(self, folder: str) -> str:
        if self.ann_file:
            return f"{self.ann_file} names no image"
        others = list(list_dir_or_file(folder, list_dir=False, recursive=True, backend_args=self.backend_args))
        there = f"; there are {len(others)} others, such as {others[0]}" if others else ""
        return f"no file below {folder} ends with img_suffix {self.img_suffix!r}{there}"

    # ------------------------------------------------------------------ maps

    @force_full_init
    def read_map(self, idx: int) -> np.ndarray:
        """Return the map (H, W) of record `idx`, with classes as they are learned.

        Raises:
            ValueError: the data set has no maps.
        """
        record = self.get_data_info(idx)
        if record.get("seg_map_path") is None:
            raise ValueError(f"{type(self).__name__} has no maps: its data_prefix has no seg_map_path")
        seg_map = read_class_map(record["seg_map_path"], backend="pillow", backend_args=self.backend_args)
        if self.reduce_zero_label:
            seg_map = without_class_zero(seg_map, self.ignore_index)
        return renamed(seg_map, self.label_map) if self.label_map else seg_map

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the classes in the map of record `idx`."""
        return [int(one) for one in np.unique(self.read_map(idx)) if one != self.ignore_index]


class SuffixDataset(BaseSegDataset):
    """The base of data sets that are known: a subclass says in `METAINFO` what classes it has, and how files are named.

    Args:
        ann_file: As of `BaseSegDataset`, like the next ones; by default as the data set is published.
        img_suffix: See there.
        seg_map_suffix: See there.
        reduce_zero_label: See there.
        **kwargs: See there.
    """

    IMG_SUFFIX: ClassVar[str] = ".png"
    SEG_MAP_SUFFIX: ClassVar[str] = ".png"
    REDUCE_ZERO_LABEL: ClassVar[bool] = False

    def __init__(
        self,
        ann_file: str = "",
        img_suffix: str | None = None,
        seg_map_suffix: str | None = None,
        *,
        reduce_zero_label: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            ann_file,
            self.IMG_SUFFIX if img_suffix is None else img_suffix,
            self.SEG_MAP_SUFFIX if seg_map_suffix is None else seg_map_suffix,
            reduce_zero_label=self.REDUCE_ZERO_LABEL if reduce_zero_label is None else reduce_zero_label,
            **kwargs,
        )
