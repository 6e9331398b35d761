import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visuite.engine.structures import InstanceData


def instances(size, **metainfo):
    return InstanceData(
        metainfo=metainfo,
        bboxes=torch.arange(size * 4.0).view(size, 4),
        labels=torch.arange(size),
        names=[f"n{one}" for one in range(size)],
        pairs=tuple((one, one) for one in range(size)),
        areas=np.arange(size),
        letters="abcdefghij"[:size],
    )


def as_numbers(found):
    """Which instances were chosen, by every field; all fields have to agree."""
    rows = found.labels.tolist()
    assert [int(box[0]) // 4 for box in found.bboxes] == rows
    assert found.names == [f"n{one}" for one in rows]
    assert found.pairs == tuple((one, one) for one in rows)
    assert found.areas.tolist() == rows
    assert found.letters == "".join("abcdefghij"[one] for one in rows)
    return rows


class Boxes:
    """A structure of somebody else's: it has len, indexing and cat."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __len__(self):
        return len(self.tensor)

    def __getitem__(self, item):
        return Boxes(self.tensor[item])

    @classmethod
    def cat(cls, parts):
        return cls(torch.cat([part.tensor for part in parts]))


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(0, 8))
def test_every_kind_of_index_chooses_as_a_list_does(data, size):
    rows = list(range(size))
    it = instances(size, img_shape=(2, 3))
    cut = slice(*data.draw(st.tuples(*[st.none() | st.integers(-9, 9)] * 2)))
    assert as_numbers(it[cut]) == rows[cut]
    chosen = data.draw(st.lists(st.integers(-size, size - 1), max_size=9)) if size else []
    wanted = [rows[one] for one in chosen]
    mask = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    kept = [row for row, keep in zip(rows, mask, strict=True) if keep]
    for index in (chosen, torch.tensor(chosen, dtype=torch.long), np.array(chosen, dtype=np.int32)):
        assert as_numbers(it[index]) == wanted
    for index in (mask, torch.tensor(mask, dtype=torch.bool), np.array(mask, dtype=bool)):
        assert as_numbers(it[index]) == kept
    for one in range(-size, size):
        assert as_numbers(it[one]) == [rows[one]]
        assert as_numbers(it[np.int64(one)]) == [rows[one]]
    assert it[mask].img_shape == (2, 3)


def test_a_name_gives_the_field():
    assert instances(3)["labels"].tolist() == [0, 1, 2]
    with pytest.raises(KeyError, match="labels"):
        _ = instances(3)["label"]


@pytest.mark.parametrize("index", [3, -4, [3], [True], torch.tensor([True]), torch.tensor([[0, 1]]), torch.tensor(1)])
def test_an_index_that_does_not_fit_is_an_index_error(index):
    with pytest.raises(IndexError):
        _ = instances(3)[index]


@pytest.mark.parametrize("index", [1.5, (1, 2), torch.tensor([1.0]), None, {0}])
def test_an_index_of_another_type_is_a_type_error(index):
    with pytest.raises(TypeError, match="indexed by"):
        _ = instances(3)[index]


def test_lengths_have_to_agree():
    it = instances(3)
    with pytest.raises(ValueError, match="'scores' has 2 entries, but 'bboxes' has 3"):
        it.scores = torch.ones(2)
    with pytest.raises(TypeError, match="one entry per instance"):
        it.scores = 3
    with pytest.raises(TypeError, match="one entry per instance"):
        it.scores = torch.tensor(3)
    it["scores"] = torch.ones(3)
    assert len(it) == 3
    empty = InstanceData(bboxes=torch.zeros(0, 4))
    with pytest.raises(ValueError, match="entries"):
        empty.labels = torch.ones(2)
    single = InstanceData(bboxes=torch.zeros(2, 4))
    single.bboxes = torch.zeros(3, 4)
    assert len(single) == 3


def test_nothing_inside():
    empty = InstanceData(metainfo=dict(a=1))
    assert len(empty) == 0
    assert len(empty[torch.zeros(0, dtype=torch.bool)]) == 0
    assert empty[[]].a == 1
    with pytest.raises(IndexError):
        _ = empty[0]


def test_other_structures_are_indexed_and_joined():
    it = InstanceData(boxes=Boxes(torch.arange(3)))
    assert it[[True, False, True]].boxes.tensor.tolist() == [0, 2]
    assert InstanceData.cat([it, it[1:]]).boxes.tensor.tolist() == [0, 1, 2, 1, 2]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 8), st.integers(0, 8))
def test_cut_pieces_join_to_the_whole(size, at):
    it = instances(size, a=1)
    joined = InstanceData.cat([it[:at], it[at:]])
    assert as_numbers(joined) == list(range(size))
    assert joined.a == 1


def test_cat_refuses_what_does_not_fit():
    it = instances(2)
    assert InstanceData.cat([it]) is it
    with pytest.raises(ValueError, match="nothing to cat"):
        InstanceData.cat([])
    with pytest.raises(TypeError, match="dict"):
        InstanceData.cat([it, {}])
    with pytest.raises(ValueError, match="same fields"):
        InstanceData.cat([it, InstanceData(labels=torch.ones(1))])
    with pytest.raises(TypeError, match="range has no cat"):
        InstanceData.cat([InstanceData(a=range(2)), InstanceData(a=range(1))])


def test_gradients_flow_through_indexing_and_cat():
    scores = torch.ones(3, requires_grad=True)
    it = InstanceData(scores=scores)
    InstanceData.cat([it[[0, 2]], it[torch.tensor([True, False, False])]]).scores.sum().backward()
    assert scores.grad.tolist() == [2, 0, 1]
