"""The base of all data sets: a list of records read once, made into samples by a pipeline."""

from __future__ import annotations

import copy
import functools
import logging
import operator
import os.path as osp
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch.utils.data import Dataset

from visuite.engine.dataset.compose import Compose
from visuite.engine.dataset.naming import SampleError, describe, naming
from visuite.engine.dataset.records import read_record, select_records, serialize
from visuite.engine.dataset.seeding import fetch_samples, sample_randomness
from visuite.engine.fileio import exists, join_path, list_from_file, load
from visuite.engine.logging import print_log
from visuite.engine.registry import DATASETS
from visuite.engine.utils.garbage import collector_paused
from visuite.engine.utils.text import did_you_mean


def force_full_init(method: Callable[..., Any]) -> Callable[..., Any]:
    """Have a method of a lazily made data set read the annotations first, and say so."""

    @functools.wraps(method)
    def initialised(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._fully_initialized:
            print_log(
                f"{type(self).__name__} reads its annotations now, at the first {method.__name__}(); "
                "call full_init() where that should happen",
                logger="current",
                level=logging.WARNING,
            )
            self.full_init()
        return method(self, *args, **kwargs)

    return initialised


@DATASETS.register_module()
class BaseDataset(Dataset):
    """A data set of the OpenMMLab 2.x kind.

    A subclass says what its records are by overriding `parse_data_info`, or `load_data_list` for another
    annotation format, and which of them count by `filter_data`.

    Args:
        ann_file: The annotation file, below `data_root` unless absolute; empty where there is none.
        metainfo: Facts about the whole set such as `classes`; a dict, a `Config` or a file with a dict. A value
            that is the path of a text file stands for its lines. Wins over the annotation file and `METAINFO`.
        data_root: The folder or URL that `ann_file` and `data_prefix` are below.
        data_prefix: For each path key of a record, the folder that its files are in.
        filter_cfg: For `filter_data` of the subclass.
        indices: Keep the first n records (an int; the last n when negative) or a choice of them.
        serialize_data: Keep the records as bytes that all workers share, instead of a list each would copy.
        pipeline: Transforms, configs or callables.
        test_mode: Never swap a sample for another: a pipeline that returns None is then an error.
        lazy_init: Read the annotations on first use.
        max_refetch: How often another sample may be drawn for one whose pipeline returned None.
    """

    METAINFO: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        ann_file: str | None = "",
        metainfo: Mapping[str, Any] | str | None = None,
        data_root: str | None = "",
        data_prefix: Mapping[str, Any] = {"img_path": ""},
        filter_cfg: Mapping[str, Any] | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[Any] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        self.ann_file = ann_file or ""
        self._metainfo = self._load_metainfo(metainfo)
        self.data_root = data_root or ""
        self.data_prefix = dict(copy.deepcopy(data_prefix or {}))
        self.filter_cfg = copy.deepcopy(filter_cfg)
        self._indices = indices
        self.serialize_data = serialize_data
        self.test_mode = test_mode
        self.max_refetch = max_refetch
        self.data_list: list[dict[str, Any]] = []
        self.data_bytes, self.data_address = serialize([])
        self._fully_initialized = False
        self._join_prefix()
        self.pipeline = Compose(pipeline)
        if not lazy_init:
            self.full_init()

    # ------------------------------------------------------------------ what a subclass may override

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read `ann_file`, a dict with `data_list` and perhaps `metainfo`, into records.

        Raises:
            TypeError: the file does not hold a dict.
            ValueError: it has no `data_list`.
        """
        annotations = load(self.ann_file)
        if not isinstance(annotations, Mapping):
            raise TypeError(f"{self.ann_file}: annotations are a dict, not a {type(annotations).__name__}")
        if "data_list" not in annotations:
            hint = did_you_mean("data_list", annotations)
            found = hint or f", not only {list(annotations)}"
            raise ValueError(f"{self.ann_file}: annotations need the key 'data_list'{found}")
        for key, value in annotations.get("metainfo", {}).items():
            self._metainfo.setdefault(key, value)
        records: list[dict[str, Any]] = []
        for raw in annotations["data_list"]:
            records.extend(_as_records(self.parse_data_info(raw)))
        return records

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> dict[str, Any] | list[dict[str, Any]]:
        """Turn one entry of the annotation file into a record, or into several (the frames of a video).

        Raises:
            KeyError: the entry lacks a key of `data_prefix`.
        """
        for key, prefix in self.data_prefix.items():
            if key not in raw_data_info:
                found = list(raw_data_info)
                raise KeyError(f"an entry of {self.ann_file!r} lacks {key!r}, which data_prefix names: it has {found}")
            raw_data_info[key] = join_path(prefix, raw_data_info[key]) if prefix else raw_data_info[key]
        return raw_data_info

    def filter_data(self) -> list[dict[str, Any]]:
        """Return the records of `self.data_list` that count; all, unless a subclass uses `filter_cfg`."""
        return self.data_list

    def order_data(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the records that were chosen in the order of the samples; as they are, unless a subclass sorts."""
        return records

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the categories in sample `idx`, which class-balanced sampling needs."""
        raise NotImplementedError(f"{type(self).__name__} does not tell categories: give it a get_cat_ids(idx)")

    # ------------------------------------------------------------------ reading

    @property
    def metainfo(self) -> dict[str, Any]:
        """A copy of the facts about the whole set."""
        return copy.deepcopy(self._metainfo)

    def full_init(self) -> None:
        """Read, filter, choose and serialise the records; the second call does nothing."""
        if self._fully_initialized:
            return
        with collector_paused():
            self._read_records()
        self._fully_initialized = True

    def _read_records(self) -> None:
        self.data_list = self.load_data_list()
        read = len(self.data_list)
        self.data_list = self.filter_data()
        if len(self.data_list) < read:
            print_log(f"{type(self).__name__} keeps {len(self.data_list)} of {read} records", logger="current")
        if self._indices is not None:
            self.data_list = [self.data_list[i] for i in chosen_indices(self._indices, len(self.data_list))]
        self.data_list = self.order_data(self.data_list)
        if self.serialize_data:
            self.data_bytes, self.data_address = serialize(self.data_list)
            self.data_list = []

    @force_full_init
    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return a copy of record `idx`, with its index as `sample_idx`.

        Raises:
            IndexError: there is no such record.
        """
        index = self._checked(idx)
        if self.serialize_data:
            record = read_record(self.data_bytes, self.data_address, index)
        else:
            record = copy.deepcopy(self.data_list[index])
        record["sample_idx"] = index
        return record

    def prepare_data(self, idx: int) -> Any:
        """Run record `idx` through the pipeline."""
        return self.pipeline(self.get_data_info(idx))

    @force_full_init
    def __len__(self) -> int:
        return len(self.data_address) if self.serialize_data else len(self.data_list)

    @force_full_init
    def __getitem__(self, idx: int) -> Any:
        """Return sample `idx`; a `SampleKey` gives it its own randomness.

        Raises:
            IndexError: there is no such sample.
            SampleError: the pipeline failed; names the sample.
        """
        with sample_randomness(idx) as index:
            return self._fetch(self._checked(index))

    def __getitems__(self, keys: Sequence[int]) -> list[Any]:
        """Return the samples of a batch."""
        return fetch_samples(self, keys)

    def _fetch(self, index: int) -> Any:
        """Make a sample; in training, draw others (from the sample's own stream) while the pipeline returns None."""
        for _ in range(self.max_refetch + 1):
            with naming(self, index):
                sample = self.prepare_data(index)
            if sample is not None:
                return sample
            if self.test_mode:
                raise SampleError(f"{describe(self, index)}: the pipeline returned None, and a test drops no sample")
            index = self._rand_another()
        raise SampleError(
            f"{describe(self, index)}: the pipeline returned None for {self.max_refetch + 1} samples in a row; "
            "check the transforms that drop samples, or raise max_refetch"
        )

    def _rand_another(self) -> int:
        """Draw an index from the global numpy generator."""
        return int(np.random.randint(0, len(self)))

    # ------------------------------------------------------------------ subsets

    @force_full_init
    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keep the first n records (the last n when negative), or a choice of them, in place."""
        chosen = chosen_indices(indices, len(self))
        if self.serialize_data:
            self.data_bytes, self.data_address = select_records(self.data_bytes, self.data_address, chosen)
        else:
            self.data_list = [copy.deepcopy(self.data_list[i]) for i in chosen]

    @force_full_init
    def get_subset(self, indices: int | Sequence[int]) -> Self:
        """Return a data set of the first n records (the last n when negative), or of a choice of them."""
        shared = (self.data_list, self.data_bytes, self.data_address)
        subset = copy.deepcopy(self, {id(one): one for one in shared})
        subset.get_subset_(indices)
        return subset

    # ------------------------------------------------------------------ inside

    def _checked(self, idx: int) -> int:
        index, size = operator.index(idx), len(self)
        if not -size <= index < size:
            raise IndexError(f"{type(self).__name__} has {size} samples, there is no number {index}")
        return index % size

    @classmethod
    def _load_metainfo(cls, metainfo: Mapping[str, Any] | str | None = None) -> dict[str, Any]:
        """Lay the given facts over those of the class; paths of text files become lists of lines."""
        merged = copy.deepcopy(cls.METAINFO)
        given = load(metainfo) if isinstance(metainfo, str) else metainfo
        if given is not None and hasattr(given, "to_dict"):  # a Config
            given = given.to_dict()
        if given is None:
            return merged
        if not isinstance(given, Mapping):
            raise TypeError(f"metainfo is a dict, a Config or a file that holds one, not {type(given).__name__}")
        for key, value in given.items():
            names_file = isinstance(value, str) and osp.splitext(value)[1] == ".txt" and exists(value)
            merged[key] = list_from_file(value) if names_file else value
        return merged

    def _join_prefix(self) -> None:
        """Put `data_root` before the annotation file and the prefixes that are not absolute."""
        if self.ann_file:
            self.ann_file = below(self.data_root, self.ann_file)
        for key, prefix in self.data_prefix.items():
            if prefix is not None and not isinstance(prefix, str):
                raise TypeError(f"data_prefix[{key!r}] is a path, not {type(prefix).__name__}")
            self.data_prefix[key] = below(self.data_root, prefix or "")


def chosen_indices(indices: int | Sequence[int], size: int) -> list[int]:
    """Resolve `n` (first), `-n` (last) or a choice into plain indices.

    Raises:
        TypeError: neither an integer nor a sequence of integers.
        IndexError: an index that is not there.
    """
    if isinstance(indices, (int, np.integer)):
        return list(range(size))[: int(indices)] if indices >= 0 else list(range(size))[int(indices) :]
    if not isinstance(indices, (Sequence, np.ndarray, torch.Tensor)) or isinstance(indices, str):
        raise TypeError(f"indices are an int or a sequence of ints, not {type(indices).__name__}")
    chosen = [operator.index(one) for one in indices]
    if outside := [one for one in chosen if not -size <= one < size]:
        raise IndexError(f"indices name samples that are not there, such as {outside[0]} of {size}")
    return [one % size for one in chosen]


def _as_records(parsed: Any) -> list[dict[str, Any]]:
    """Return what `parse_data_info` gave as a list of records."""
    records = [parsed] if isinstance(parsed, Mapping) else parsed
    if not isinstance(records, list) or not all(isinstance(one, Mapping) for one in records):
        raise TypeError(f"parse_data_info returns a dict or a list of dicts, not {type(parsed).__name__}")
    return records


def below(root: str, path: str) -> str:
    """Return `path` below `root`, or as it stands when it is absolute or a URL."""
    if not root or osp.isabs(path) or "://" in path:
        return path
    return join_path(root, path) if path else root
