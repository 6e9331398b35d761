"""What all priors on grids promise: places, flags, single priors, and grids that are kept."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from visuite.det.boxes import AnchorGenerator, MlvlPointGenerator
from visuite.det.boxes.grid import KEPT_GRIDS

SIZES = [(5, 7), (3, 4)]


def anchors():
    return AnchorGenerator([8, 16], [0.5, 2.0], scales=[2, 3])


def points():
    return MlvlPointGenerator([8, (16, 32)], offset=0.5)


def test_points_by_plain_loops():
    first, second = points().grid_priors(SIZES, with_stride=True)
    assert first.tolist() == [[(x + 0.5) * 8, (y + 0.5) * 8, 8, 8] for y in range(5) for x in range(7)]
    assert second.tolist() == [[(x + 0.5) * 16, (y + 0.5) * 32, 16, 32] for y in range(3) for x in range(4)]
    assert points().grid_priors(SIZES)[0].shape == (35, 2)
    assert points().num_base_priors == [1, 1]
    assert MlvlPointGenerator([4], 0).grid_priors([(1, 2)])[0].tolist() == [[0, 0], [4, 0]]


@pytest.mark.parametrize("make", [anchors, points])
@given(seed=st.integers(0, 1000))
def test_some_priors_are_those_of_the_grid(make, seed):
    generator = make()
    for level, grid in enumerate(generator.grid_priors(SIZES)):
        some = torch.randint(len(grid), (6,), generator=torch.Generator().manual_seed(seed))
        found = generator.sparse_priors(some, SIZES[level], level)
        torch.testing.assert_close(found, grid[some], rtol=0, atol=0)


@pytest.mark.parametrize("make", [anchors, points])
def test_flags_by_plain_loops(make):
    generator = make()
    shape = (25, 33, 3)
    for flags, (rows, columns), (wide, high), count in zip(
        generator.valid_flags(SIZES, shape), SIZES, generator.strides, generator.num_base_priors, strict=True
    ):
        want = [x * wide < 33 and y * high < 25 for y in range(rows) for x in range(columns) for _ in range(count)]
        assert flags.tolist() == want
    assert all(flags.all() for flags in generator.valid_flags(SIZES, (1000, 1000)))


def test_grids_are_kept_but_not_without_end():
    generator = anchors()
    first = generator.grid_priors(SIZES)
    assert all(a is b for a, b in zip(first, generator.grid_priors([list(size) for size in SIZES]), strict=True))
    assert generator.grid_priors(SIZES, dtype=torch.float64)[0].dtype == torch.float64
    for rows in range(1, 3 * KEPT_GRIDS):
        assert len(generator.grid_priors([(rows, 2), (1, 1)])[0]) == rows * 2 * 4
    assert len(generator._kept) == KEPT_GRIDS
    assert generator.grid_priors(SIZES)[0] is not first[0]
    assert torch.equal(generator.grid_priors(SIZES)[0], first[0])


def test_what_evaluation_made_serves_training():
    generator = points()
    with torch.inference_mode():
        generator.grid_priors(SIZES)
    weight = torch.ones((), requires_grad=True)
    (generator.grid_priors(SIZES)[0] * weight).sum().backward()
    assert weight.grad > 0


def test_copies_go_without_grids():
    generator = anchors()
    generator.grid_priors(SIZES)
    for twin in (copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))):
        assert not twin._kept
        assert torch.equal(twin.grid_priors(SIZES)[0], generator.grid_priors(SIZES)[0])


class Head(torch.nn.Module):
    def __init__(self, generator):
        super().__init__()
        self.generator = generator

    def forward(self, x):
        small = x[..., ::2, ::2]
        return torch.cat(self.generator.grid_priors([x.shape[-2:], small.shape[-2:]], device=x.device))


@pytest.mark.parametrize("make", [anchors, points])
@pytest.mark.parametrize("strict", [pytest.param(True, marks=pytest.mark.slow), False])
def test_export_leaves_the_size_open(make, strict):
    head = Head(make())
    free = {2: torch.export.Dim("h", min=4, max=64), 3: torch.export.Dim("w", min=4, max=64)}
    exported = torch.export.export(head, (torch.zeros(1, 1, 8, 12),), dynamic_shapes=(free,), strict=strict).module()
    for size in ((8, 12), (10, 6), (16, 20)):
        x = torch.zeros(1, 1, *size)
        assert torch.equal(exported(x), head(x))


def test_compile_makes_one_graph():
    head = Head(anchors())
    compiled = torch.compile(head, backend="eager", fullgraph=True, dynamic=True)
    for size in ((8, 12), (10, 6)):
        x = torch.zeros(1, 1, *size)
        assert torch.equal(compiled(x), head(x))


def test_no_place():
    assert points().grid_priors([(0, 3), (2, 0)], with_stride=True)[0].shape == (0, 4)
    assert anchors().grid_priors([(0, 3), (2, 0)])[1].shape == (0, 4)
