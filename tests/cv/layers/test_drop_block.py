"""Squares dropped from maps."""

from __future__ import annotations

import pytest
import torch

from visuite.cv.layers import DropBlock
from visuite.engine.logging import MessageHub


def test_squares_are_dropped_and_the_mean_stays() -> None:
    torch.manual_seed(0)
    layer, x = DropBlock(0.1, 5, warmup_iters=0).train(), torch.ones(20, 10, 40, 30)
    out = layer(x)
    dropped = out == 0
    assert abs(float(dropped.float().mean()) - 0.1) < 0.01  # squares that meet make it a little less
    torch.testing.assert_close(out.mean(), torch.tensor(1.0))
    assert len(out.unique()) == 2
    # What is dropped is covered by whole squares inside the map: no pixel of it goes when these are taken out.
    padded = torch.nn.functional.pad(dropped.float(), (5, 5, 5, 5))
    whole = -torch.nn.functional.max_pool2d(-padded, 5, stride=1, padding=2)
    covered = torch.nn.functional.max_pool2d(whole, 5, stride=1, padding=2)[..., 5:-5, 5:-5]
    assert torch.equal(covered > 0, dropped)


def test_nothing_is_dropped_where_nothing_shall_be() -> None:
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(DropBlock(0.5, 3, warmup_iters=0).eval()(x), x)
    assert torch.equal(DropBlock(0.0, 3, warmup_iters=0).train()(x), x)


def test_the_part_grows_with_the_iterations_of_the_run() -> None:
    hub = MessageHub.get_current_instance()
    before = hub.get_info("iter")
    try:
        parts = []
        for iteration in (0, 50, 100, 200):
            hub.update_info("iter", iteration)
            torch.manual_seed(0)
            layer = DropBlock(0.2, 1, warmup_iters=100).train()
            parts.append(float((layer(torch.ones(10, 10, 50, 50)) == 0).float().mean()))
        assert parts == pytest.approx([0, 0.1, 0.2, 0.2], abs=0.01)
    finally:
        hub.update_info("iter", before)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 7), (4, 4)])
def test_small_maps_lose_smaller_squares(rows: int, columns: int) -> None:
    torch.manual_seed(0)
    out = DropBlock(0.5, 7, warmup_iters=0).train()(torch.ones(50, 4, rows, columns))
    assert out.shape == (50, 4, rows, columns)
    assert out.isfinite().all()
    assert (out == 0).any()


@pytest.mark.parametrize(("arguments", "message"), [((0.1, 4), "odd, not 4"), ((1.0, 3), "0 to 1, not 1.0")])
def test_wrong_arguments_are_told(arguments: tuple[float, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DropBlock(*arguments)
