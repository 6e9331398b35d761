import numpy as np
import pytest
import torch

from visuite.engine.utils import tensor2imgs

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def test_normalised_images_come_back():
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    batch = torch.from_numpy((images.astype(np.float32) - MEAN) / STD).permute(0, 3, 1, 2)
    back = tensor2imgs(batch, MEAN, STD, to_bgr=False)
    assert np.array_equal(np.stack(back), images)
    assert back[0].dtype == np.uint8
    turned = tensor2imgs(batch, MEAN, STD)
    assert np.array_equal(turned[1], images[1, :, :, ::-1])
    assert turned[1].flags.c_contiguous


def test_values_outside_are_cut_off_and_any_channels_are_shown():
    batch = torch.tensor([-5.0, 300.0, 1.6, 0.4]).view(1, 4, 1, 1)
    assert tensor2imgs(batch, to_bgr=False)[0].ravel().tolist() == [0, 255, 2, 0]


def test_wrong_shapes():
    with pytest.raises(ValueError, match=r"\(B, C, H, W\)"):
        tensor2imgs(torch.ones(3, 4, 5))
    with pytest.raises(ValueError, match="to_bgr=False"):
        tensor2imgs(torch.ones(1, 1, 2, 2))
    with pytest.raises(ValueError, match="2 numbers were given for 3"):
        tensor2imgs(torch.ones(1, 3, 2, 2), mean=(1, 2))
