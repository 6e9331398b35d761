"""Global average pooling."""

from __future__ import annotations

import pytest
import torch

from visuite.cv.necks import GlobalAveragePooling


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_mean_over_positions(dim: int) -> None:
    x = torch.randn(2, 4, *(3, 5, 7)[:dim])
    pool = GlobalAveragePooling(dim)
    want = torch.stack([torch.stack([channel.mean() for channel in image]) for image in x])
    torch.testing.assert_close(pool(x), want)
    assert isinstance(pool((x, x)), tuple)


def test_bad_dim() -> None:
    with pytest.raises(ValueError, match="4"):
        GlobalAveragePooling(4)
