"""Which sample it was that could not be made: data sets of others say it too."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch.utils.data import Dataset, IterableDataset, Subset, get_worker_info

#: Keys of a record that tell a person which sample it is, best first.
PATH_KEYS = ("img_path", "file_name", "filename", "path", "seg_map_path", "img_id")
#: Attributes in which data sets such as torchvision's keep a path, or a tuple that begins with one, for each sample.
PATH_LISTS = ("samples", "imgs", "images")


class SampleError(RuntimeError):
    """A sample that could not be made; names the data set, the index and the file."""


class naming:
    """Turn an error inside a `with` block into a `SampleError` that names a sample; one that names it already passes.

    Errors of any class arrive whole: what a worker raises travels as text, and only a plain message survives that. A
    class, for a generator would be taken in by a `StopIteration`, which would end the epoch without a word.

    Args:
        dataset: Whose sample it is.
        index: Its index, not negative.
    """

    def __init__(self, dataset: Any, index: int) -> None:
        self.dataset, self.index = dataset, index

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, SampleError):
            raise SampleError(f"{describe(self.dataset, self.index)}: {say(error)}") from error


def describe(dataset: Any, index: int) -> str:
    """Return `sample 7 of Shapes (img_path='a.png')`."""
    place = f"sample {index} of {type(dataset).__name__}"
    try:
        found = _path_in(_record(dataset, index))
    except Exception:  # the record itself may be what is broken
        return place
    return place if found is None else f"{place} ({found})"


def say(error: Exception) -> str:
    """Return an error in one line, with the notes that transforms left on it."""
    try:
        text = str(error)
    except Exception:  # an error that cannot be put into words is told by its class
        text = "(it cannot be shown as text)"
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return f"{type(error).__name__}: {text}{notes}"


def _record(dataset: Any, index: int) -> Any:
    """Return what a data set keeps of a sample without making it, or None."""
    if isinstance(dataset, Subset):
        return _record(dataset.dataset, dataset.indices[index])
    if hasattr(dataset, "get_data_info"):
        return dataset.get_data_info(index)
    listed = next((one for name in PATH_LISTS if isinstance(one := getattr(dataset, name, None), Sequence)), None)
    return None if listed is None else listed[index]


def _path_in(record: Any) -> str | None:
    """Return `img_path='a.png'` of a record, a path, or a tuple that begins with one."""
    if isinstance(record, Mapping):
        key = next((key for key in PATH_KEYS if record.get(key) is not None), None)
        return None if key is None else f"{key}={record[key]!r}"
    first = record[0] if isinstance(record, tuple) and record else record
    return f"path={os.fspath(first)!r}" if isinstance(first, (str, os.PathLike)) else None


class _Proxy:
    """Be the wrapped data set in everything that a subclass does not do itself."""

    def __init__(self, dataset: Any) -> None:
        self.__dict__["dataset"] = dataset

    def __getattr__(self, name: str) -> Any:
        if name == "dataset":  # while unpickling, before there is one
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.dataset, name, value)


class NamedSamples(_Proxy, Dataset):
    """A data set whose failing samples are named."""

    def __getitem__(self, index: Any) -> Any:
        with naming(self.dataset, index):
            return self.dataset[index]

    def __getitems__(self, indices: Sequence[Any]) -> list[Any]:
        """Fetch a batch at once where the data set can; only one that consists of other samples is told then."""
        fetch = getattr(self.dataset, "__getitems__", None)
        if fetch is None or (isinstance(self.dataset, Subset) and not hasattr(self.dataset.dataset, "__getitems__")):
            return [self[index] for index in indices]
        try:
            return list(fetch(indices))
        except SampleError:
            raise
        except Exception as error:
            name = type(self.dataset).__name__
            raise SampleError(f"one of the samples {list(indices)} of {name}: {say(error)}") from error

    def __len__(self) -> int:
        return len(self.dataset)


class NamedStream(_Proxy, IterableDataset):
    """A stream whose failing samples are named: by their number in this worker, and by the path that came before."""

    def __iter__(self) -> Iterator[Any]:
        stream, before = iter(self.dataset), None
        for number in itertools.count():
            try:
                sample = next(stream)
            except StopIteration:
                return
            except SampleError:
                raise
            except Exception as error:
                raise SampleError(f"{self._place(number, before)}: {say(error)}") from error
            yield sample
            before = sample

    def _place(self, number: int, before: Any) -> str:
        worker, path = get_worker_info(), _path_in(before)
        place = f"sample {number} of the stream {type(self.dataset).__name__}"
        place += "" if worker is None else f" in worker {worker.id} of {worker.num_workers}"
        return place if path is None else f"{place} (the one after {path})"


def named(dataset: Any) -> Any:
    """Return a data set of somebody else's whose failing samples are named."""
    return NamedStream(dataset) if isinstance(dataset, IterableDataset) else NamedSamples(dataset)
