"""Which sample of which data set stands where."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visuite.engine.dataset import BaseDataset, ClassBalancedDataset, ConcatDataset, RepeatDataset, SampleKey
from visuite.engine.dataset.wrappers import repeat_factors
from visuite.engine.registry import DATASETS


@DATASETS.register_module()
class LettersForTest(BaseDataset):
    def __init__(self, letters: str, categories=None, **kwargs) -> None:
        self.letters, self.categories = letters, categories
        super().__init__(**kwargs)

    def load_data_list(self):
        return [{"letter": letter} for letter in self.letters]

    def get_cat_ids(self, idx):
        return self.categories[idx]


def draw(results):
    results["draw"] = np.random.rand()
    return results


def letters(dataset) -> str:
    return "".join(dataset[i]["letter"] for i in range(len(dataset)))


def test_concatenation_keeps_the_order() -> None:
    parts = [LettersForTest("abc"), dict(type="LettersForTest", letters=""), dict(type="LettersForTest", letters="de")]
    dataset = ConcatDataset(parts)
    assert letters(dataset) == "abcde"
    assert dataset[-1]["letter"] == "e"
    assert dataset.get_data_info(3) == {"letter": "d", "sample_idx": 0}
    assert dataset.cumulative_sizes == [3, 3, 5]
    for outside in (5, -6):
        with pytest.raises(IndexError, match="5 samples"):
            dataset[outside]


def test_repetition() -> None:
    dataset = DATASETS.build(dict(type="RepeatDataset", dataset=dict(type="LettersForTest", letters="ab"), times=3))
    assert letters(dataset) == "ababab"
    with pytest.raises(ValueError, match="times"):
        RepeatDataset(LettersForTest("a"), 0)


def test_rare_categories_come_more_often() -> None:
    categories = [[0], [0], [0], [0, 1], [], [0]]
    dataset = ClassBalancedDataset(LettersForTest("abcdef", categories), oversample_thr=0.5)
    expected = math.ceil(math.sqrt(0.5 / (1 / 6)))
    assert letters(dataset) == "abc" + "d" * expected + "ef"
    assert dataset.get_cat_ids(3) == [0, 1]
    nested = ClassBalancedDataset(RepeatDataset(LettersForTest("abcdef", categories), 2), oversample_thr=0.5)
    assert len(nested) == 2 * len(dataset)


@given(st.lists(st.lists(st.integers(0, 4)), min_size=1, max_size=20), st.floats(0.001, 1))
def test_repeat_factors_are_the_papers(categories, threshold) -> None:
    for sample, factor in zip(categories, repeat_factors(categories, threshold), strict=True):
        expected = 1.0
        for category in sample:
            share = sum(category in other for other in categories) / len(categories)
            expected = max(expected, math.sqrt(threshold / share))
        assert factor == pytest.approx(expected)


def test_nested_sets_draw_from_the_outermost_samples_stream() -> None:
    inner = LettersForTest("ab", pipeline=[draw])
    dataset = RepeatDataset(ConcatDataset([inner, LettersForTest("cd", pipeline=[draw])]), 2)
    first = [dataset[SampleKey(i, seed=0, epoch=0)]["draw"] for i in range(8)]
    assert len(set(first)) == 8  # the same image, met twice in an epoch, is augmented differently
    assert first == [dataset[SampleKey(i, seed=0, epoch=0)]["draw"] for i in range(8)]


def test_metainfo_must_agree() -> None:
    one, other = (
        LettersForTest("a", metainfo={"classes": ("x",), "v": 1}),
        LettersForTest("b", metainfo={"classes": ("y",)}),
    )
    with pytest.raises(ValueError, match=r"metainfo\['classes'\].*ignore_keys"):
        ConcatDataset([one, other])
    with pytest.raises(ValueError, match=r"metainfo\['v'\]"):
        ConcatDataset([one, other], ignore_keys="classes")
    merged = ConcatDataset([one, other], ignore_keys=["classes", "v"])
    assert merged.metainfo == {"classes": ("x",), "v": 1}
    array = {"palette": np.arange(3)}
    assert len(ConcatDataset([LettersForTest("a", metainfo=array), LettersForTest("b", metainfo=array)])) == 2


@pytest.mark.parametrize(
    "wrap",
    [
        lambda d, **kw: ConcatDataset([d], **kw),
        lambda d, **kw: RepeatDataset(d, 1, **kw),
        lambda d, **kw: ClassBalancedDataset(d, 0.1, **kw),
    ],
)
def test_wrappers_can_be_lazy_and_refuse_subsets(wrap) -> None:
    inner = LettersForTest("ab", [[0], [1]], lazy_init=True)
    dataset = wrap(inner, lazy_init=True)
    assert not inner._fully_initialized
    assert len(dataset) == 2
    with pytest.raises(TypeError, match="subset of the data set inside"):
        dataset.get_subset(1)
    with pytest.raises(TypeError, match="data set to wrap"):
        wrap([1, 2])
    with pytest.raises(ValueError, match="at least one"):
        ConcatDataset([])
