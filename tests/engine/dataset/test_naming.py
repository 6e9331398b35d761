"""A sample that cannot be made is named, whoever's data set it is, and whatever is raised."""

from __future__ import annotations

import pickle

import pytest
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset

from visuite.engine.dataset import KeyedBatchSampler, MultiImageMixDataset, RepeatDataset, SampleError, SeededDataset
from visuite.engine.dataset.feed import all_batches, restart_workers
from visuite.engine.registry import DATASETS


class OddError(Exception):
    """What its constructor takes cannot be guessed from its text."""

    def __init__(self, code: int, *, where: str) -> None:
        super().__init__(f"code {code} in {where}")


class MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


ERRORS = {
    "plain": lambda: ValueError("not a picture"),
    "odd": lambda: OddError(3, where="the header"),
    "mute": MuteError,
    "bytes": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    "stop": StopIteration,
}
SAID = {"plain": "ValueError: not a picture", "odd": "OddError: code 3 in the header", "mute": "MuteError"}
SAID.update(bytes="UnicodeDecodeError: 'utf-8' codec", stop="StopIteration")


class Files(Dataset):
    """As torchvision's folders keep their files; one of them is broken."""

    def __init__(self, error: str = "plain") -> None:
        self.error = error
        self.samples = [(f"images/{i}.jpg", 0) for i in range(8)]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> int:
        if index == 5:
            raise ERRORS[self.error]()
        return index


class Stream(IterableDataset):
    """Records in turn; the sixth cannot be read."""

    def __init__(self, error: str = "plain") -> None:
        self.error = error

    def __iter__(self):
        for i in range(8):
            if i == 5:
                raise ERRORS[self.error]()
            yield {"img_path": f"{i}.jpg", "value": i}


class AtOnce(Files):
    def __getitems__(self, indices: list[int]) -> list[int]:
        return [self[i] for i in indices]


def message_of(loader: DataLoader) -> str:
    try:
        with pytest.raises(SampleError) as caught:
            list(all_batches(loader))
        return str(caught.value)
    finally:
        restart_workers(loader)


@pytest.mark.parametrize("error", [name for name in ERRORS if name != "stop"])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_built_by_hand_names_the_sample(workers, error) -> None:
    data = Files(error)
    loader = DataLoader(data, batch_size=2, num_workers=workers, persistent_workers=workers > 0)
    message = message_of(loader)
    assert f"sample 5 of Files (path='images/5.jpg'): {SAID[error]}" in message
    assert loader.dataset is data  # which is the user's own


@pytest.mark.parametrize("error", ["plain", "odd", "mute"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_names_the_number_and_the_path_before(workers, error) -> None:
    message = message_of(DataLoader(Stream(error), batch_size=2, num_workers=workers))
    place = f" in worker 0 of {workers}" if workers else ""
    assert f"sample 5 of the stream Stream{place} (the one after img_path='4.jpg'): {SAID[error]}" in message


@pytest.mark.parametrize("error", list(ERRORS))
def test_a_data_set_in_a_config_is_named(error) -> None:
    """Also one that raises StopIteration, which would otherwise end the epoch early and say nothing."""
    data = SeededDataset(Files(error))
    loader = DataLoader(data, batch_sampler=KeyedBatchSampler([[4, 5]], seed=0))
    assert f"sample 5 of Files (path='images/5.jpg'): {SAID[error]}" in message_of(loader)
    assert [data[i] for i in range(5)] == list(range(5))
    with pytest.raises(IndexError, match="8 samples, there is no number 8"):
        data[8]


def test_subsets_and_batches_at_once() -> None:
    turned = Subset(Files(), list(range(7, -1, -1)))
    assert "sample 2 of Subset (path='images/5.jpg')" in message_of(DataLoader(turned, batch_size=3))
    assert "one of the samples [4, 5] of AtOnce: ValueError" in message_of(DataLoader(AtOnce(), batch_size=2))
    assert next(all_batches(DataLoader(AtOnce(), batch_size=2))).tolist() == [0, 1]


def test_a_wrapper_or_a_mixing_transform_is_named() -> None:
    class Mine(Files):  # not derived from BaseDataset
        metainfo: dict = {}

        def full_init(self) -> None:
            pass

    with pytest.raises(SampleError, match=r"sample 5 of Mine \(path='images/5.jpg'\): ValueError"):
        RepeatDataset(Mine(), times=2)[13]

    def mixes(sample):
        raise ZeroDivisionError("area")

    base = DATASETS.build(dict(type="BaseDataset", lazy_init=True, pipeline=[]))
    base.load_data_list = lambda: [dict(img_path="a.jpg")]
    with pytest.raises(SampleError, match=r"sample 0 of MultiImage.*a\.jpg.*ZeroDivisionError: area \(in .*mixes\)"):
        MultiImageMixDataset(base, [mixes])[0]


def test_what_a_worker_asks_of_a_stream_reaches_it() -> None:
    """As in torch's manual, `worker_init_fn` shares a stream out through `get_worker_info().dataset`."""
    seen = [batch["value"].tolist() for batch in all_batches(DataLoader(Shared(), num_workers=2, worker_init_fn=share))]
    assert sorted(value for values in seen for value in values) == [0, 1, 2, 3, 4, 5]
    assert pickle.loads(pickle.dumps(SeededDataset(Files())))[3] == 3


class Shared(IterableDataset):
    begin, step = 0, 1

    def __iter__(self):
        return iter([{"value": i} for i in range(self.begin, 6, self.step)])


def share(worker: int) -> None:
    from torch.utils.data import get_worker_info

    info = get_worker_info()
    info.dataset.begin, info.dataset.step = worker, info.num_workers
