from __future__ import annotations

import pytest
import torch

from tests.cv.ops.checks import random_tensor
from visuite.cv.ops import psa_mask
from visuite.engine.registry import MODELS


def plain_psa_mask(masks, kind, height, width):
    batch, _, rows, columns = masks.shape
    out = torch.zeros(batch, rows * columns, rows, columns, dtype=masks.dtype)
    for y in range(rows):
        for x in range(columns):
            for i in range(height):
                for j in range(width):
                    seen_y, seen_x = y + i - (height - 1) // 2, x + j - (width - 1) // 2
                    if 0 <= seen_y < rows and 0 <= seen_x < columns:
                        value = masks[:, i * width + j, y, x]
                        if kind == "collect":
                            out[:, seen_y * columns + seen_x, y, x] = value
                        else:
                            out[:, y * columns + x, seen_y, seen_x] = value
    return out


@pytest.mark.parametrize("kind", ["collect", "distribute"])
@pytest.mark.parametrize("size", [(3, 3), (3, 5), (9, 1), (7, 9), (4, 2)])
def test_against_a_loop(kind, size):
    masks = random_tensor(2, size[0] * size[1], 4, 5)
    layer = MODELS.build(dict(type="PSAMask", psa_type=kind, mask_size=size))
    assert torch.equal(layer(masks), plain_psa_mask(masks, kind, *size))


@pytest.mark.parametrize("kind", ["collect", "distribute"])
def test_gradients(kind):
    masks = random_tensor(1, 9, 2, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: psa_mask(x, kind, 3), masks)


def test_no_images_and_half_precision():
    assert psa_mask(torch.zeros(0, 9, 2, 3), "collect", 3).shape == (0, 6, 2, 3)
    masks = random_tensor(2, 9, 2, 3).bfloat16()
    found = psa_mask(masks, "collect", 3)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found.float(), plain_psa_mask(masks.float(), "collect", 3, 3))


def test_what_lies_beyond_the_map_cannot_spoil_it():
    masks = torch.zeros(1, 9, 1, 4)
    masks[:, 0] = float("nan")  # looks above the only row
    assert psa_mask(masks, "collect", 3).isfinite().all()


def test_bad_input():
    with pytest.raises(ValueError, match="'gather' is none of"):
        MODELS.build(dict(type="PSAMask", psa_type="gather", mask_size=3))
    with pytest.raises(ValueError, match=r"\(B, 9, H, W\), not \(1, 8, 2, 2\)"):
        psa_mask(torch.zeros(1, 8, 2, 2), "collect", 3)
