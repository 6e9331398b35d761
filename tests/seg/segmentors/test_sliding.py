"""Crops that slide over images."""

from __future__ import annotations

import pytest
import torch

from visuite.seg.segmentors.sliding import slide, windows


@pytest.mark.parametrize(
    ("size", "crop", "stride"), [(10, 4, 3), (10, 4, 4), (12, 4, 4), (3, 4, 2), (4, 4, 1), (17, 5, 1)]
)
def test_windows_cover_all_and_stay_inside(size: int, crop: int, stride: int) -> None:
    bounds = list(windows(size, crop, stride))
    seen = torch.zeros(size)
    for start, end in bounds:
        assert 0 <= start < end <= size
        assert end - start == min(crop, size)
        seen[start:end] += 1
    assert seen.all()
    assert len(bounds) == max(-(-(size - crop) // stride), 0) + 1
    assert [start for start, _ in bounds[:-1]] == list(range(0, stride * (len(bounds) - 1), stride))


def test_bad_strides() -> None:
    for stride in (0, 5):
        with pytest.raises(ValueError, match=f"stride of sliding crops is 1 to crop_size 4, not {stride}"):
            list(windows(10, 4, stride))


def test_each_pixel_gets_the_mean_of_its_crops() -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 1, 7, 9)
    counter = iter(range(100))

    def score(crop: torch.Tensor) -> torch.Tensor:
        return torch.cat([crop, torch.full_like(crop, next(counter))], dim=1)

    found = slide(images, score, crop_size=(4, 5), stride=(3, 2))
    total, count = torch.zeros(7, 9), torch.zeros(7, 9)
    for number, (top, left) in enumerate((top, left) for top in (0, 3) for left in (0, 2, 4)):
        total[top : top + 4, left : left + 5] += number
        count[top : top + 4, left : left + 5] += 1
    assert next(counter) == 6
    torch.testing.assert_close(found[:, 0], images[:, 0])
    torch.testing.assert_close(found[1, 1], total / count)


def test_sums_are_not_rounded_to_half_precision() -> None:
    images = torch.zeros(1, 1, 6, 6)
    values = iter((1.0, 1.0 + 2**-7))  # both are numbers of bfloat16, and their mean is none
    found = slide(images, lambda x: x.to(torch.bfloat16) + next(values), crop_size=(6, 4), stride=(6, 2))
    assert found.dtype == torch.float32
    assert found[0, 0, 0, 2] == 1.0 + 2**-8


def test_crops_are_views() -> None:
    images = torch.randn(1, 2, 8, 8)
    storages = set()

    def score(crop: torch.Tensor) -> torch.Tensor:
        storages.add(crop.untyped_storage().data_ptr())
        return crop

    slide(images, score, crop_size=(4, 4), stride=(2, 2))
    assert storages == {images.untyped_storage().data_ptr()}
