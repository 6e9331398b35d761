from collections import namedtuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from visuite.engine import utils


def test_what_sequences_hold():
    assert utils.is_list_of([1, "a"], (int, str))
    assert utils.is_list_of([], int)
    assert not utils.is_list_of((1,), int)
    assert not utils.is_list_of([1, 2.0], int)
    assert utils.is_tuple_of((1,), int)
    assert utils.is_seq_of("ab", str)
    assert not utils.is_seq_of({1}, int)
    assert not utils.is_seq_of([1], int, tuple)
    assert utils.is_str("a")
    assert not utils.is_str(b"a")


def test_one_value_or_several():
    assert utils.to_2tuple(3) == (3, 3)
    assert utils.to_2tuple((3, 4)) == (3, 4)
    assert utils.to_1tuple(None) == (None,)
    assert utils.to_3tuple("ab") == "ab"
    assert utils.to_4tuple(1.5) == (1.5,) * 4
    assert utils.to_ntuple(6)(0) == (0,) * 6


def test_casts():
    assert utils.list_cast("123", int) == [1, 2, 3]
    assert utils.tuple_cast([1], str) == ("1",)
    assert next(utils.iter_cast([1], str)) == "1"
    with pytest.raises(TypeError, match="int cannot be cast"):
        utils.list_cast(3, str)
    with pytest.raises(TypeError, match="dst_type"):
        utils.list_cast([3], 3)


@given(st.lists(st.integers(0, 4), max_size=6))
def test_cut_and_joined_is_the_same(lens):
    whole = list(range(sum(lens)))
    pieces = utils.slice_list(whole, lens)
    assert [len(piece) for piece in pieces] == lens
    assert utils.concat_list(pieces) == whole


def test_pieces_of_one_length():
    assert utils.slice_list([1, 2, 3, 4], 2) == [[1, 2], [3, 4]]
    for wrong in (3, 0, [1, 1], [5]):
        with pytest.raises(ValueError, match="list"):
            utils.slice_list([1, 2, 3, 4], wrong)


Pair = namedtuple("Pair", "a b")


def test_apply_to_reaches_every_leaf_and_keeps_the_containers():
    data = {"a": [1, (2, "x")], "b": Pair(3, None), "c": {4}}
    changed = utils.apply_to(data, lambda value: isinstance(value, int), lambda value: value * 10)
    assert changed == {"a": [10, (20, "x")], "b": Pair(30, None), "c": {4}}
    assert type(changed["b"]) is Pair
    assert data["a"][0] == 1
    tensors = utils.apply_to([torch.ones(1)], lambda value: hasattr(value, "to"), lambda value: value.to("meta"))
    assert tensors[0].device.type == "meta"
