"""Data sets: reading, filtering, choosing, sharing, drawing again."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from visuite.engine.dataset import BaseDataset, Compose, SampleError, SampleKey, pseudo_collate
from visuite.engine.dataset.records import read_record, select_records, serialize
from visuite.engine.registry import DATASETS, TRANSFORMS


class Numbers(BaseDataset):
    """`size` records, without a file."""

    METAINFO = {"classes": ("even", "odd"), "palette": [1, 2]}

    def __init__(self, size: int = 10, **kwargs) -> None:
        self.size = size
        super().__init__(**kwargs)

    def load_data_list(self):
        return [{"img_path": f"{i}.png", "value": i, "nested": {"list": [i]}} for i in range(self.size)]

    def filter_data(self):
        least = (self.filter_cfg or {}).get("least", 0)
        return [one for one in self.data_list if one["value"] >= least]

    def get_cat_ids(self, idx):
        return [self.get_data_info(idx)["value"] % 2]


def values(dataset) -> list[int]:
    return [dataset.get_data_info(i)["value"] for i in range(len(dataset))]


# ---------------------------------------------------------------------- annotation files


@pytest.fixture
def ann_file(tmp_path):
    path = tmp_path / "ann" / "train.json"
    path.parent.mkdir()
    content = {
        "metainfo": {"classes": ["file"], "task": "cls"},
        "data_list": [{"img_path": "a.png", "y": 0}, {"img_path": "b.png", "y": 1}],
    }
    path.write_text(json.dumps(content))
    return path


def test_files_and_prefixes_lie_below_the_root(tmp_path, ann_file) -> None:
    dataset = BaseDataset("ann/train.json", data_root=str(tmp_path), data_prefix={"img_path": "img"})
    assert len(dataset) == 2
    assert dataset.get_data_info(1) == {"img_path": str(tmp_path / "img" / "b.png"), "y": 1, "sample_idx": 1}
    absolute = BaseDataset(str(ann_file), data_root="elsewhere", data_prefix={"img_path": "/img"})
    assert absolute[0]["img_path"] == "/img/a.png"
    remote = BaseDataset(str(ann_file), data_root="s3://bucket", data_prefix={"img_path": "http://host/x"})
    assert remote[0]["img_path"] == "http://host/x/a.png"


def test_metainfo_argument_wins_over_file_over_class(tmp_path, ann_file) -> None:
    class Mine(BaseDataset):
        METAINFO = {"task": "class", "own": 1}

    dataset = Mine(str(ann_file), metainfo={"classes": ("given",)})
    assert dataset.metainfo == {"task": "class", "own": 1, "classes": ("given",)}
    assert Mine.METAINFO == {"task": "class", "own": 1}
    dataset.metainfo["own"] = 5
    assert dataset.metainfo["own"] == 1


def test_metainfo_from_files_and_configs(tmp_path, ann_file) -> None:
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "meta.json").write_text(json.dumps({"task": "seg"}))
    assert Numbers(metainfo={"classes": str(tmp_path / "classes.txt")}).metainfo["classes"] == ["cat", "dog"]
    assert Numbers(metainfo={"classes": "not_there.txt"}).metainfo["classes"] == "not_there.txt"
    assert Numbers(metainfo=str(tmp_path / "meta.json")).metainfo["task"] == "seg"

    class Config:
        def to_dict(self):
            return {"task": "det"}

    assert Numbers(metainfo=Config()).metainfo["task"] == "det"
    with pytest.raises(TypeError, match="metainfo"):
        Numbers(metainfo=3)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ([1], TypeError, "annotations are a dict, not a list"),
        ({"datalist": []}, ValueError, "did you mean 'datalist'"),
        ({"data_list": [{"path": "a"}]}, KeyError, "lacks 'img_path'"),
    ],
)
def test_bad_annotations_name_the_file(tmp_path, content, error, message) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(error, match=message) as caught:
        BaseDataset(str(path))
    assert str(path) in str(caught.value)


def test_one_entry_may_give_several_records(ann_file) -> None:
    class Video(BaseDataset):
        def parse_data_info(self, raw_data_info):
            return [{"frame": i} for i in range(3)]

    class Wrong(BaseDataset):
        def parse_data_info(self, raw_data_info):
            return "frame"

    assert len(Video(str(ann_file))) == 6
    with pytest.raises(TypeError, match="not str"):
        Wrong(str(ann_file))


# ---------------------------------------------------------------------- records


@pytest.mark.parametrize("serialize_data", [True, False])
def test_records_are_copies_with_their_index(serialize_data) -> None:
    dataset = Numbers(serialize_data=serialize_data)
    first = dataset.get_data_info(3)
    first["nested"]["list"].append("changed")
    assert dataset.get_data_info(3) == {"img_path": "3.png", "value": 3, "nested": {"list": [3]}, "sample_idx": 3}
    assert dataset.get_data_info(-1)["sample_idx"] == 9
    assert len(list(dataset)) == 10
    for outside in (10, -11):
        with pytest.raises(IndexError, match="10 samples"):
            dataset[outside]


@pytest.mark.parametrize("serialize_data", [True, False])
@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        (3, [0, 1, 2]),
        (-2, [8, 9]),
        (99, list(range(10))),
        (0, []),
        ([4, 0, -1], [4, 0, 9]),
        (np.array([2, 2]), [2, 2]),
        ([], []),
    ],
)
def test_choices_and_subsets(serialize_data, indices, expected) -> None:
    assert values(Numbers(indices=indices, serialize_data=serialize_data)) == expected
    dataset = Numbers(serialize_data=serialize_data)
    subset = dataset.get_subset(indices)
    assert values(subset) == expected
    assert len(dataset) == 10
    dataset.get_subset_(indices)
    assert values(dataset) == expected
    assert subset.metainfo == dataset.metainfo


def test_subsets_do_not_share_what_they_may_change() -> None:
    dataset = Numbers(serialize_data=False)
    subset = dataset.get_subset(2)
    subset.data_list[0]["value"] = 99
    subset._metainfo["classes"] = ()
    assert dataset.get_data_info(0)["value"] == 0
    assert dataset.metainfo["classes"] == ("even", "odd")


@pytest.mark.parametrize(
    ("indices", "error"), [([10], IndexError), ("ab", TypeError), (1.5, TypeError), ([0.5], TypeError)]
)
def test_bad_choices_are_refused(indices, error) -> None:
    with pytest.raises(error):
        Numbers(indices=indices)


def test_filter_comes_before_the_choice() -> None:
    assert values(Numbers(filter_cfg={"least": 6}, indices=2)) == [6, 7]


def test_lazy_sets_read_on_first_use_and_once(monkeypatch) -> None:
    reads = []
    monkeypatch.setattr(Numbers, "load_data_list", lambda self: reads.append(1) or [{"value": 1}])
    dataset = Numbers(lazy_init=True)
    assert not reads
    assert len(dataset) == 1
    dataset.full_init()
    assert reads == [1]
    assert dataset[0]["value"] == 1


def test_it_is_built_from_a_config(ann_file) -> None:
    assert len(DATASETS.build(dict(type="BaseDataset", ann_file=str(ann_file), indices=1))) == 1


# ---------------------------------------------------------------------- shared memory


@given(st.lists(st.dictionaries(st.text(), st.integers() | st.text() | st.none())), st.data())
def test_serialised_records_are_the_records(records, data) -> None:
    flat, ends = serialize(records)
    assert [read_record(flat, ends, i) for i in range(len(records))] == records
    chosen = data.draw(st.lists(st.integers(0, len(records) - 1))) if records else []
    flat, ends = select_records(flat, ends, chosen)
    assert [read_record(flat, ends, i) for i in range(len(ends))] == [records[i] for i in chosen]


def private_bytes() -> int:
    with open("/proc/self/smaps_rollup") as file:
        return sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Private_Dirty"))


def read_all(dataset, queue) -> None:
    before = private_bytes()
    total = sum(dataset.get_data_info(i)["value"] for i in range(len(dataset)))
    queue.put((total, private_bytes() - before))


def shared_by(size: int) -> tuple[int, list[int]]:
    dataset = Numbers(size)
    context, queue = multiprocessing.get_context("fork"), multiprocessing.get_context("fork").Queue()
    workers = [context.Process(target=read_all, args=(dataset, queue)) for _ in range(4)]
    for worker in workers:
        worker.start()
    answers = [queue.get() for _ in workers]
    for worker in workers:
        worker.join()
    assert {total for total, _ in answers} == {size * (size - 1) // 2}
    return dataset.data_bytes.numel() + 8 * dataset.data_address.numel(), [grown for _, grown in answers]


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="needs Linux' account of memory")
@pytest.mark.parametrize("size", [60_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_four_workers_share_one_copy_of_the_records(size) -> None:
    whole, grown = shared_by(size)
    assert whole > 50 * size
    assert max(grown) < 0.1 * whole


def test_spawned_workers_get_the_records_through_shared_memory() -> None:
    """What travels to a spawned worker is a handle, not the records."""
    dataset = Numbers(20_000)
    sent = multiprocessing.reduction.ForkingPickler.dumps(dataset)
    assert len(sent) < 10_000 < dataset.data_bytes.numel()
    copied = pickle.loads(pickle.dumps(dataset))
    assert copied.get_data_info(77) == dataset.get_data_info(77)


# ---------------------------------------------------------------------- samples


def draws(results):
    results["draws"] = (np.random.rand(), torch.rand(1).item())
    return results


def drops_low(results):
    return None if results["value"] < 8 else results


def fails_on_three(results):
    if results["value"] == 3:
        raise ValueError("no such thing")
    return results


def test_a_sample_is_a_function_of_its_key() -> None:
    dataset = Numbers(pipeline=[draws])
    key = SampleKey(4, seed=1, epoch=2)
    assert dataset[key]["draws"] == dataset[key]["draws"]
    others = [SampleKey(5, seed=1, epoch=2), SampleKey(4, seed=1, epoch=3), SampleKey(4, seed=2, epoch=2)]
    assert len({dataset[k]["draws"] for k in (key, *others)}) == 4
    state = np.random.get_state()[1].copy()
    dataset[key]
    assert (np.random.get_state()[1] == state).all()


def test_drawing_again_is_part_of_the_samples_randomness() -> None:
    dataset = Numbers(pipeline=[drops_low, draws])
    for index in range(10):
        key = SampleKey(index, seed=0, epoch=0)
        first = dataset[key]
        np.random.seed(index)  # whatever the generators were before
        assert first["value"] >= 8
        assert dataset[key] == first


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_make_the_same_samples(workers) -> None:
    dataset = Numbers(pipeline=[drops_low, draws])
    keys = [SampleKey(i, seed=3, epoch=1) for i in range(10)]
    loader = DataLoader(dataset, batch_sampler=[keys[:5], keys[5:]], num_workers=workers, collate_fn=pseudo_collate)
    expected = [dataset[k]["draws"] for k in keys]
    assert [tuple(d) for batch in loader for d in zip(*batch["draws"], strict=True)] == expected


def test_dropping_everything_ends_with_an_error() -> None:
    dataset = Numbers(5, pipeline=[drops_low], max_refetch=7)
    with pytest.raises(SampleError, match=r"None for 8 samples in a row"):
        dataset[0]


def test_a_test_set_drops_nothing() -> None:
    dataset = Numbers(pipeline=[drops_low], test_mode=True)
    assert dataset[8]["value"] == 8
    with pytest.raises(SampleError, match=r"sample 2 of Numbers \(img_path='2.png'\)"):
        dataset[2]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_failing_transform_names_the_sample(workers) -> None:
    dataset = Numbers(pipeline=[draws, fails_on_three])
    expected = (
        r"sample 3 of Numbers \(img_path='3.png'\): ValueError: no such thing \(in transform 1 .*fails_on_three\)"
    )
    batches = iter(DataLoader(dataset, num_workers=workers, collate_fn=pseudo_collate))
    with pytest.raises(SampleError, match=expected):
        list(batches)
    for worker in getattr(batches, "_workers", ()):
        worker.terminate()  # torch would wait five seconds for it


# ---------------------------------------------------------------------- pipelines


@TRANSFORMS.register_module()
class AddForTest:
    def __init__(self, amount: int) -> None:
        self.amount = amount

    def __call__(self, results):
        return {**results, "value": results["value"] + self.amount}


def test_pipelines_take_configs_and_callables_and_stop_at_none() -> None:
    seen = []
    pipeline = Compose(
        [dict(type="AddForTest", amount=2), lambda r: None if r["value"] > 5 else r, lambda r: seen.append(1) or r]
    )
    assert pipeline({"value": 1}) == {"value": 3}
    assert pipeline({"value": 9}) is None
    assert seen == [1]
    assert len(pipeline) == len(list(pipeline)) == 3
    assert Compose(None)({"a": 1}) == {"a": 1}
    assert Numbers(pipeline=pipeline)[0]["value"] == 2


def test_pipeline_errors_name_the_transform() -> None:
    with pytest.raises(TypeError, match="transform 1"):
        Compose([dict(type="AddForTest", amount=2), 3])
    with pytest.raises(TypeError, match="a list of transforms"):
        Compose(dict(type="AddForTest", amount=2))
    with pytest.raises(TypeError, match="a list of transforms"):
        Compose(draws)
    with pytest.raises(KeyError) as caught:
        Compose([dict(type="AddForTest", amount=1)])({})
    assert caught.value.__notes__ == ["in transform 0 of the pipeline, AddForTest"]
