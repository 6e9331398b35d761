import numpy as np
import pytest
import torch

from visuite.engine.structures import PixelData


@pytest.fixture
def maps():
    return PixelData(metainfo=dict(a=1), image=torch.arange(60).view(3, 4, 5), sem_seg=np.arange(20).reshape(4, 5))


def test_a_map_without_channels_gets_one(maps):
    assert maps.sem_seg.shape == (1, 4, 5)
    assert maps.shape == (4, 5)
    assert PixelData().shape is None


def test_regions_are_cut_from_all_maps_and_keep_their_dimensions(maps):
    part = maps[1:3, -2]
    assert part.shape == (2, 1)
    assert torch.equal(part.image, maps.image[:, 1:3, 3:4])
    assert np.array_equal(part.sem_seg, maps.sem_seg[:, 1:3, 3:4])
    assert part.a == 1
    assert maps[:, np.int64(0)].shape == (4, 1)
    assert maps[9:, :].shape == (0, 5)


@pytest.mark.parametrize("index", [1, slice(2), (1, 2, 3), (1, torch.tensor([1])), [0, 1], (True, 1)])
def test_another_index_is_a_type_error(maps, index):
    with pytest.raises(TypeError):
        _ = maps[index]


def test_outside_is_an_index_error(maps):
    with pytest.raises(IndexError, match="4 among 4"):
        _ = maps[4, 0]


def test_what_is_no_map_of_this_size_is_refused(maps):
    with pytest.raises(ValueError, match=r"\(4, 6\) high and wide, but 'image' is \(4, 5\)"):
        maps.other = torch.ones(4, 6)
    with pytest.raises(ValueError, match=r"\(C, H, W\)"):
        maps.other = torch.ones(1, 3, 4, 5)
    with pytest.raises(ValueError, match=r"\(C, H, W\)"):
        maps.other = torch.ones(5)
    with pytest.raises(TypeError, match="list"):
        maps.other = [[1]]
    with pytest.raises(AttributeError):
        maps.shape = (1, 2)
