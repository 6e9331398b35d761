"""What two processes check about talking to each other; started by test_group.py, one process a rank."""

from __future__ import annotations

import sys

import pytest
import torch

from visuite.engine import dist


def check_who_is_who(rank: int, size: int) -> None:
    assert dist.get_dist_info() == (rank, size)
    assert dist.get_backend() == "gloo"
    assert dist.is_main_process() == (rank == 0)
    assert dist.get_comm_device().type == "cpu"
    assert dist.get_local_group() is None
    assert (dist.get_local_rank(), dist.get_local_size()) == (rank, size)
    assert dist.master_only(lambda: "ran")() == ("ran" if rank == 0 else None)
    dist.init_local_group(rank, 1)  # as if every process had a machine of its own
    assert (dist.get_local_rank(), dist.get_local_size()) == (0, 1)
    dist.barrier()


def check_reductions(rank: int, size: int) -> None:
    mine = torch.tensor([rank + 1.0, 10.0 * (rank + 1)])
    wanted = {"sum": [3, 30], "mean": [1.5, 15], "min": [1, 10], "max": [2, 20], "product": [2, 200]}
    for op, numbers in wanted.items():
        data = mine.clone()
        dist.all_reduce(data, op)
        assert data.tolist() == numbers, op
    across = torch.arange(6.0).view(2, 3)
    dist.all_reduce(across.t()[1:], "sum")  # a view that is not contiguous
    assert across.tolist() == [[0, 2, 4], [3, 8, 10]]
    grown = torch.ones(1, requires_grad=True)
    dist.all_reduce(grown, "sum")
    assert grown.item() == size
    assert grown.is_leaf
    many = {
        "b": torch.tensor([rank]),
        "a": torch.tensor(1.5 * rank),
        "c": torch.full((2, 2), rank, dtype=torch.float64),
    }
    dist.all_reduce_dict(dict(sorted(many.items(), reverse=rank == 1)), "sum")  # keys in any order
    assert {key: value.tolist() for key, value in many.items()} == {"b": [1], "a": 1.5, "c": [[1, 1], [1, 1]]}
    for options in ({}, {"coalesce": False}, {"bucket_size_mb": 1}):
        params = [torch.nn.Parameter(torch.full((1 << 18,), float(rank))) for _ in range(3)]
        dist.all_reduce_params((param for param in params), op="mean", **options)
        assert all((param == 0.5).all() for param in params)
    with pytest.raises(TypeError, match=r"mean of torch\.int64"):
        dist.all_reduce(torch.tensor([1]), "mean")


def check_exchange(rank: int, size: int) -> None:
    mine = torch.arange(6).view(2, 3).t() + 10 * rank
    parts = dist.all_gather(mine)
    assert [part.tolist() for part in parts] == [(mine + 10 * (one - rank)).tolist() for one in range(size)]
    gathered = dist.gather(mine, dst=1)
    assert len(gathered) == (size if rank == 1 else 0)
    data = torch.arange(4).view(2, 2).t() * (rank + 1)
    dist.broadcast(data, src=1)
    assert data.tolist() == [[0, 4], [2, 6]]
    seeds = dist.all_gather_object(dist.sync_random_seed())
    assert seeds[0] == seeds[1]


def check_objects(rank: int, size: int) -> None:
    assert dist.all_gather_object({"rank": rank}) == [{"rank": one} for one in range(size)]
    assert dist.gather_object("ab"[rank], dst=1) == (["a", "b"] if rank == 1 else None)
    data = [rank, "x" * rank]
    dist.broadcast_object_list(data, src=1)
    assert data == [1, "x"]


def check_results(rank: int, size: int, folder: str) -> None:
    for length in range(8):
        whole = [{"index": index} for index in range(length)]
        dealt = whole[rank::size]
        # A sampler that rounds up repeats the first samples; one that does not leaves the last rank with fewer.
        padded = (whole + whole[: -length % size])[rank::size]
        for part in (dealt, padded):
            for options in ({}, {"tmpdir": folder}, {"device": "gpu"}):
                found = dist.collect_results(part, length, **options)
                assert found == (whole if rank == 0 else None), (length, options)


def main() -> None:
    dist.init_dist("pytorch", backend="gloo", timeout=60)
    rank, size = dist.get_dist_info()
    for check in (check_who_is_who, check_reductions, check_exchange, check_objects):
        check(rank, size)
    check_results(rank, size, sys.argv[1])
    dist.barrier()
    torch.distributed.destroy_process_group()
    assert dist.get_dist_info() == (0, 1)
    print("all held", rank)


if __name__ == "__main__":
    main()
