"""Mixing samples: which images meet is a function of (seed, epoch, index)."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests.det.datasets.annotated import annotation, write_coco
from visuite.det.datasets import CocoDataset
from visuite.det.registry import TRANSFORMS
from visuite.engine.dataset import BaseTransform, MultiImageMixDataset, SampleError, epoch_batches
from visuite.engine.registry import init_default_scope
from visuite.engine.runner.build import build_dataloader

SIZE = 12


class Draw(BaseTransform):
    """Give a sample a random number of its own, as an augmentation before mixing would."""

    def transform(self, results):
        return {"ids": [results["img_id"]], "drawn": [int(np.random.randint(1000))]}


class MixWith:
    """Append some partners."""

    def __init__(self, count: int = 2, refuse: int = 0) -> None:
        self.count = count
        self.refuse = refuse

    def get_indexes(self, dataset):
        picked = [int(np.random.randint(len(dataset))) for _ in range(self.count)]
        return picked if self.count > 1 else picked[0]

    def __call__(self, results):
        assert len(results["mix_results"]) == self.count
        if self.refuse:
            self.refuse -= 1
            results["ids"].clear()  # a retry starts from the sample as it was
            return None
        parts = [results, *results["mix_results"]]
        return {**results, **{key: [value for one in parts for value in one[key]] for key in ("ids", "drawn")}}


class Sign:
    def __call__(self, results):
        assert "mix_results" not in results
        return {**results, "signed": True}


for one in (MixWith, Sign):
    TRANSFORMS.register_module(f"Test{one.__name__}", module=one)


@pytest.fixture
def config(tmp_path: Path) -> dict:
    init_default_scope("det")
    write_coco(
        tmp_path,
        [annotation(index, index, 7, (1, 1, 9, 9)) for index in range(SIZE)],
        images=[(index, 20, 20) for index in range(SIZE)],
        categories=[{"id": 7, "name": "cat"}],
    )
    inner = dict(
        type="CocoDataset", ann_file="ann.json", data_root=str(tmp_path), data_prefix=dict(img="img"),
        metainfo=dict(classes=("cat",)), pipeline=[Draw()],
    )  # fmt: skip
    return dict(type="MultiImageMixDataset", dataset=inner, pipeline=[dict(type="TestMixWith"), dict(type="TestSign")])


def loader(config: dict, workers: int = 0):
    sampler = dict(type="DefaultSampler", shuffle=True)
    return build_dataloader(dict(dataset=config, batch_size=3, num_workers=workers, sampler=sampler), seed=7)


def test_what_meets_depends_on_neither_workers_nor_where_one_begins(config):
    whole = list(epoch_batches(loader(config), epoch=2))
    assert len({str(batch["ids"]) for batch in whole}) == SIZE // 3
    assert list(epoch_batches(loader(config, workers=2), epoch=2)) == whole
    assert list(epoch_batches(loader(config), epoch=2, start=2)) == whole[2:]
    other = list(epoch_batches(loader(config), epoch=3))
    meetings = [{tuple(ids) for batch in batches for ids in batch["ids"]} for batches in (whole, other)]
    assert not meetings[0] & meetings[1]


def test_partners_are_samples_of_their_own(config):
    [batch] = islice(epoch_batches(loader(config), epoch=0), 1)
    assert all(len(ids) == len(drawn) == 3 for ids, drawn in zip(batch["ids"], batch["drawn"], strict=True))
    assert len({number for drawn in batch["drawn"] for number in drawn}) == 9
    assert batch["signed"] == [True] * 3
    assert "mix_results" not in batch


@pytest.mark.parametrize("keys", [("TestMixWith",), ("MixWith",), ("det.TestMixWith",)])
def test_transforms_can_be_left_out(config, keys):
    mixed = MultiImageMixDataset(config["dataset"], config["pipeline"], skip_type_keys=keys)
    assert (len(mixed[0]["ids"]), mixed[0]["signed"]) == (1, True)
    mixed.update_skip_type_keys(["TestSign"])
    assert (len(mixed[0]["ids"]), "signed" in mixed[0]) == (3, False)
    mixed.update_skip_type_keys(None)
    assert (len(mixed[0]["ids"]), mixed[0]["signed"]) == (3, True)
    with pytest.raises(TypeError, match="names of transforms"):
        mixed.update_skip_type_keys("Mosaic")


def test_one_partner_may_be_told_alone(config):
    mixed = MultiImageMixDataset(config["dataset"], [MixWith(1)])
    assert len(mixed[3]["ids"]) == 2


def test_a_refusal_draws_other_partners(config):
    mixed = MultiImageMixDataset(config["dataset"], [MixWith(refuse=3)], max_refetch=4)
    assert mixed[5]["ids"][0] == 5
    with pytest.raises(SampleError, match="MixWith returned None 4 times"):
        MultiImageMixDataset(config["dataset"], [MixWith(refuse=9)], max_refetch=4)[5]


class Refuse:
    """Change what a sample holds, and refuse it the first times; note whose arrays it is given."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.seen: list[dict] = []

    def __call__(self, results):
        self.seen.append({**results, "instances": [dict(one) for one in results["instances"]]})
        results["img"] = results["img"] + 1
        results["instances"][0]["bbox_label"] = 9
        results["instances"].clear()
        del results["img_id"]
        return results if len(self.seen) > self.times else None


def test_a_refused_sample_is_as_it_was_and_no_array_is_copied(config):
    image = np.zeros((4, 4, 3), np.uint8)
    config["dataset"]["pipeline"] = [lambda results: {**results, "img": image}]
    refuse = Refuse(3)
    mixed = MultiImageMixDataset(config["dataset"], [refuse], max_refetch=4)[5]
    assert len(refuse.seen) == 4
    for seen in refuse.seen:
        assert seen["img"] is image
        assert seen["img_id"] == 5
        assert [one["bbox_label"] for one in seen["instances"]] == [0]
    assert "img_id" not in mixed
    assert mixed["img"].max() == 1


def test_it_tells_what_the_data_is(config):
    mixed = MultiImageMixDataset(config["dataset"], config["pipeline"])
    assert isinstance(mixed.dataset, CocoDataset)
    assert mixed.metainfo["classes"] == ("cat",)
    assert (len(mixed), mixed.get_data_info(4)["img_id"], mixed.get_cat_ids(4)) == (SIZE, 4, [0])
    with pytest.raises(IndexError):
        mixed[SIZE]
