from __future__ import annotations

import pytest
import torch

from tests.cv.ops.checks import bilinear, random_boxes, random_tensor
from tests.cv.ops.test_roi_align import rois_of
from visuite.cv import ops


def plain_point_sample(features, points, align_corners):
    height, width = features.shape[2:]
    out = torch.zeros(*features.shape[:2], points.shape[1], dtype=features.dtype)
    for b in range(features.shape[0]):
        for p, (x, y) in enumerate(points[b].tolist()):
            at = (y * (height - 1), x * (width - 1)) if align_corners else (y * height - 0.5, x * width - 0.5)
            for c in range(features.shape[1]):
                out[b, c, p] = bilinear(features[b, c], *at)
    return out


@pytest.mark.parametrize("align_corners", [True, False])
def test_against_a_loop(align_corners):
    features = random_tensor(2, 3, 5, 7, dtype=torch.float64)
    points = torch.rand(2, 6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 1.4 - 0.2
    found = ops.point_sample(features, points, align_corners)
    torch.testing.assert_close(found, plain_point_sample(features, points, align_corners))
    grid = ops.point_sample(features, points.reshape(2, 2, 3, 2), align_corners)
    assert torch.equal(grid, found.reshape(2, 3, 2, 3))


def test_pixel_centres_give_the_pixels_back():
    features = random_tensor(2, 3, 4, 5)
    torch.testing.assert_close(ops.point_sample(features, ops.generate_grid(2, (4, 5))), features.flatten(2))


def test_points_of_regions():
    rois = torch.tensor([[0.0, 10, 20, 30, 60]])
    points = torch.tensor([[[0.0, 0.0], [1.0, 0.5]]])
    told = [[[10, 20], [30, 40]]]
    assert ops.rel_roi_point_to_abs_img_point(rois, points).tolist() == told
    assert ops.rel_roi_point_to_abs_img_point(rois[:, 1:], points).tolist() == told
    relative = ops.rel_roi_point_to_rel_img_point(rois, points, (50, 100), 0.5)
    torch.testing.assert_close(relative, torch.tensor([[[0.05, 0.2], [0.15, 0.4]]]))
    assert torch.equal(relative, ops.rel_roi_point_to_rel_img_point(rois, points, torch.zeros(1, 2, 50, 100), 0.5))
    assert torch.equal(relative, ops.abs_img_point_to_rel_img_point(torch.tensor(told), (50, 100), 0.5))


def test_grid():
    assert ops.generate_grid(3, 4).shape == (3, 16, 2)
    assert ops.generate_grid(1, (1, 2)).tolist() == [[[0.25, 0.5], [0.75, 0.5]]]


def test_simple_roi_align_reads_one_point_a_bin():
    features, rois = random_tensor(2, 3, 12, 14, dtype=torch.float64), rois_of(5, size=20, dtype=torch.float64)
    found = ops.SimpleRoIAlign((2, 3), 0.5)(features, rois)
    assert found.shape == (5, 3, 2, 3)
    torch.testing.assert_close(found, ops.roi_align(features, rois, (2, 3), 0.5, 1))
    # corners aligned: the map's last pixel is read where the image ends
    corner = ops.SimpleRoIAlign(1, 0.5, aligned=False)(features, torch.tensor([[1.0, 26, 22, 30, 26]]))
    torch.testing.assert_close(corner[0, :, 0, 0], features[1, :, -1, -1])


def test_gradients():
    features = random_tensor(2, 2, 4, 5, dtype=torch.float64).requires_grad_()
    points = (torch.rand(2, 3, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(ops.point_sample, (features, points))
    rois = torch.cat((torch.tensor([[0.0], [1.0]]), random_boxes(2, size=4)), dim=1).double()
    assert torch.autograd.gradcheck(lambda x: ops.SimpleRoIAlign(2, 1.0)(x, rois), features)


def test_empty():
    features = random_tensor(2, 3, 4, 5)
    assert ops.point_sample(features, torch.zeros(2, 0, 2)).shape == (2, 3, 0)
    assert ops.SimpleRoIAlign(2, 1.0)(features, torch.zeros(0, 5)).shape == (0, 3, 2, 2)


def test_half_precision_keeps_the_coordinates():
    features = random_tensor(1, 2, 300, 300).bfloat16()
    points = torch.tensor([[[0.501, 0.772]]])
    found = ops.point_sample(features, points)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, ops.point_sample(features.float(), points).bfloat16())
    assert ops.SimpleRoIAlign(2, 1.0)(features, rois_of(2, images=1)).dtype == torch.bfloat16


def test_bad_input():
    with pytest.raises(ValueError, match=r"not \(2, 3\)"):
        ops.point_sample(torch.zeros(1, 1, 2, 2), torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"not \(1, 6\)"):
        ops.rel_roi_point_to_abs_img_point(torch.zeros(1, 6), torch.zeros(1, 1, 2))
