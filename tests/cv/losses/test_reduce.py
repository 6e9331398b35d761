from __future__ import annotations

import pytest
import torch

from visuite.cv.losses import reduce_loss, weight_reduce_loss


def test_reduction() -> None:
    loss = torch.arange(6.0).reshape(2, 3)
    assert weight_reduce_loss(loss, torch.tensor([1.0, 0.0])).item() == 0.5
    assert weight_reduce_loss(loss, avg_factor=5).item() == pytest.approx(3)
    assert weight_reduce_loss(loss, avg_factor=0).isfinite()
    with pytest.raises(ValueError, match="avg_factor"):
        weight_reduce_loss(loss, reduction="sum", avg_factor=5)
    with pytest.raises(ValueError, match="average"):
        reduce_loss(loss, "average")


def test_weights_are_counted_from_the_left() -> None:
    """A square of losses and a vector of weights: each row has a weight, not each column."""
    found = weight_reduce_loss(torch.ones(2, 2), torch.tensor([1.0, 0.0]), reduction="none")
    torch.testing.assert_close(found, torch.tensor([[1.0, 1], [0, 0]]))


def test_more_weights_than_losses_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"\(4, 4\).*\(4,\)"):
        weight_reduce_loss(torch.ones(4), torch.ones(4, 4))
