"""Pixels, edges and packing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from visuite.seg.transforms import CLAHE, AdjustGamma, GenerateEdge, PackSegInputs, Rerange, RGB2Gray

IMG = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.2])
def test_gamma(gamma: float) -> None:
    got = AdjustGamma(gamma)({"img": IMG})["img"]
    assert np.abs(got - 255 * (IMG / 255) ** (1 / gamma)).max() <= 0.5
    assert got.dtype == np.uint8


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_clahe_works_on_each_channel(channels: int) -> None:
    img = np.random.default_rng(1).integers(0, 100, (32, 40, channels)).astype(np.uint8)
    got = CLAHE(4.0, (2, 2))({"img": img})["img"]
    for i in range(channels):
        assert (got[..., i] == cv2.createCLAHE(4.0, (2, 2)).apply(img[..., i].copy())).all()
    with pytest.raises(TypeError, match="float32"):
        CLAHE()({"img": img.astype(np.float32)})


def test_rerange() -> None:
    got = Rerange(-1, 1)({"img": IMG})["img"]
    assert np.allclose(got, (IMG - float(IMG.min())) / (float(IMG.max()) - float(IMG.min())) * 2 - 1, atol=1e-5)
    assert (Rerange(5, 9)({"img": np.full((2, 2), 3)})["img"] == 5).all()


def test_grey_is_the_weighted_sum() -> None:
    wanted = np.rint(IMG @ np.array([0.299, 0.587, 0.114]))
    got = RGB2Gray()({"img": IMG})["img"]
    assert got.shape == IMG.shape
    assert np.abs(got - wanted[..., None]).max() <= 1
    assert RGB2Gray(1, (0.25,) * 3)({"img": IMG})["img"].shape == (12, 16, 1)
    with pytest.raises(ValueError, match="weights of 3 channels"):
        RGB2Gray()({"img": IMG[..., :2]})


def test_edges_are_where_classes_meet_and_not_at_ignored_pixels() -> None:
    seg_map = np.zeros((9, 12), np.uint8)
    seg_map[:, 6:] = 1
    seg_map[:3] = 255
    results = GenerateEdge(edge_width=3)({"gt_seg_map": seg_map, "seg_fields": ["gt_seg_map"]})
    edges = results["gt_edge_map"]
    assert edges[5].tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0]  # the edge is at column 5, three pixels wide
    assert not edges[:2].any()
    assert results["seg_fields"] == ["gt_seg_map", "gt_edge_map"]


def test_edges_equal_plain_loops() -> None:
    seg_map = np.random.default_rng(2).choice([0, 1, 2, 255], (10, 11)).astype(np.uint8)
    wanted = np.zeros_like(seg_map)
    for y, x in np.ndindex(*seg_map.shape):
        for dy, dx in ((0, 1), (1, 0), (1, 1)):
            if y + dy < 10 and x + dx < 11:
                one, other = seg_map[y, x], seg_map[y + dy, x + dx]
                wanted[y, x] |= one != other and 255 not in (one, other)
    assert (GenerateEdge(edge_width=1)({"gt_seg_map": seg_map})["gt_edge_map"] == wanted).all()


def test_packs_maps_and_what_is_known() -> None:
    seg_map = np.full((12, 16), 255, np.uint8)
    results = {"img": IMG, "gt_seg_map": seg_map, "gt_edge_map": seg_map // 255, "img_path": "a.jpg", "flip": True}
    packed = PackSegInputs()({**results, "other": 1})
    sample = packed["data_samples"]
    assert packed["inputs"].shape == (3, 12, 16)
    assert sample.gt_sem_seg.data.dtype == torch.int64
    assert sample.gt_sem_seg.data.shape == (1, 12, 16)
    assert int(sample.gt_sem_seg.data.max()) == 255
    assert sample.gt_edge_map.data.unique().tolist() == [1]
    assert sample.metainfo == {"img_path": "a.jpg", "flip": True}
    with pytest.raises(ValueError, match=r"gt_seg_map of a\.jpg is of shape \(12, 16, 3\)"):
        PackSegInputs()({**results, "gt_seg_map": IMG})
