from collections import namedtuple

import numpy as np
import pytest
import torch

from visuite.engine import dist


def test_one_process_is_rank_zero_of_one():
    assert dist.get_dist_info() == (0, 1)
    assert (dist.get_local_rank(), dist.get_local_size()) == (0, 1)
    assert dist.is_main_process()
    assert not dist.is_distributed()
    assert dist.get_backend() is None
    assert dist.get_default_group() is None
    assert dist.get_local_group() is None
    assert dist.get_comm_device() == torch.device("cpu")
    dist.barrier()


def test_data_stays_as_it_is():
    data = torch.arange(3)
    for op in ("sum", "mean", "max"):
        dist.all_reduce(data, op)
    dist.all_reduce_dict({"a": data})
    dist.all_reduce_params([data])
    dist.broadcast(data)
    assert data.tolist() == [0, 1, 2]
    assert dist.all_gather(data)[0] is data
    assert dist.gather(data)[0] is data
    assert dist.all_gather_object("x") == ["x"]
    assert dist.gather_object("x") == ["x"]
    objects = [1]
    dist.broadcast_object_list(objects)
    assert objects == [1]
    for device in ("cpu", "gpu"):
        assert dist.collect_results([1, 2, 3], 2, device) == [1, 2]


def test_mistakes_show_in_one_process_already():
    with pytest.raises(ValueError, match="did you mean 'mean'"):
        dist.all_reduce(torch.ones(1), "maen")
    with pytest.raises(ValueError, match="'cpu' or 'gpu'"):
        dist.collect_results([1], 1, "cuda")
    with pytest.raises(TypeError, match="tuple"):
        dist.broadcast_object_list((1,))
    with pytest.raises(ValueError, match="machines of 2"):
        dist.init_local_group(0, 2)


def test_master_only_keeps_name_and_result():
    @dist.master_only
    def answer(value: int) -> int:
        """Say it."""
        return value

    assert answer(3) == 3
    assert answer.__name__ == "answer"


def test_the_seed_follows_numpy():
    np.random.seed(3)
    first = dist.sync_random_seed()
    np.random.seed(3)
    assert dist.sync_random_seed() == first
    assert 0 <= first < 2**31
    assert dist.sync_random_seed() != first


Pair = namedtuple("Pair", "a b")


def test_nested_data_changes_device():
    data = {"a": [torch.ones(1), (torch.ones(2),)], "b": Pair(torch.ones(1), torch.ones(1))}
    assert dist.get_data_device(data) == torch.device("cpu")
    moved = dist.cast_data_device(data, torch.device("meta"))
    assert dist.get_data_device(moved) == torch.device("meta")
    assert type(moved["b"]) is Pair
    assert type(moved["a"][1]) is tuple
    target = {"a": [torch.zeros(1), (torch.zeros(2),)], "b": Pair(torch.zeros(1), torch.zeros(1))}
    written = dist.cast_data_device(data, torch.device("cpu"), out=target)
    assert written["a"][1][0] is target["a"][1][0]
    assert target["a"][1][0].tolist() == [1, 1]


def test_data_without_one_device():
    with pytest.raises(ValueError, match="no tensor"):
        dist.get_data_device({})
    with pytest.raises(ValueError, match="cpu, meta"):
        dist.get_data_device([torch.ones(1), torch.ones(1, device="meta")])
    with pytest.raises(TypeError, match="not int"):
        dist.get_data_device([3])
    with pytest.raises(TypeError, match="not str"):
        dist.cast_data_device("a", torch.device("cpu"))
    with pytest.raises(ValueError, match="another structure"):
        dist.cast_data_device([torch.ones(1)], torch.device("cpu"), out=[torch.ones(1)] * 2)
