"""Anchors: measures against loops, and clusters that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from visuite.yolo.boxes.anchors import (
    ALGORITHMS,
    anchor_quality,
    anchors_by_level,
    differential_evolution_anchors,
    object_sizes,
    shape_ious,
    shape_ratios,
)

KNOWN = np.array([[10.0, 14.0], [38.0, 30.0], [60.0, 120.0], [200.0, 160.0]])


def drawn(seed: int, each: int = 200, spread: float = 0.05) -> np.ndarray:
    """Objects around the known shapes, whose edges deviate by a share."""
    rng = np.random.default_rng(seed)
    return np.concatenate([shape * np.exp(rng.normal(0, spread, (each, 2))) for shape in KNOWN])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("seed", [0, 1])
def test_known_clusters_are_recovered(algorithm: str, seed: int) -> None:
    found = ALGORITHMS[algorithm](drawn(seed), 4, rng=np.random.default_rng(seed))
    np.testing.assert_allclose(found, KNOWN, rtol=0.05)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_seed_finds_the_same(algorithm: str) -> None:
    one, same = (ALGORITHMS[algorithm](drawn(0), 3, rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, same)


def test_clusters_of_unequal_numbers_are_recovered() -> None:
    objects = np.concatenate([drawn(0, 1000)[:1000], drawn(1, 50)[50:]])
    found = ALGORITHMS["k-means"](objects, 4, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found, KNOWN, rtol=0.05)


def iou(one: Any, other: Any) -> float:
    """The IoU of two boxes around the origin, from their corners."""
    width = min(one[0] / 2, other[0] / 2) - max(-one[0] / 2, -other[0] / 2)
    height = min(one[1] / 2, other[1] / 2) - max(-one[1] / 2, -other[1] / 2)
    return width * height / (one[0] * one[1] + other[0] * other[1] - width * height)


def ratio(one: Any, other: Any) -> float:
    """The least share that an edge has of its counterpart."""
    return min(one[0] / other[0], other[0] / one[0], one[1] / other[1], other[1] / one[1])


def test_measures_are_those_of_loops() -> None:
    rng = np.random.default_rng(3)
    sizes, anchors = rng.uniform(2, 100, (40, 2)), rng.uniform(2, 100, (5, 2))
    ious = [[iou(one, anchor) for anchor in anchors] for one in sizes]
    ratios = [[ratio(one, anchor) for anchor in anchors] for one in sizes]
    np.testing.assert_allclose(shape_ious(sizes, anchors), ious, rtol=1e-12)
    np.testing.assert_allclose(shape_ratios(sizes, anchors), ratios, rtol=1e-12)
    quality = anchor_quality(sizes, anchors, match_thr=3.0)
    matching = [[edge > 1 / 3 for edge in row] for row in ratios]
    assert quality.mean_iou == pytest.approx(sum(map(max, ious)) / 40)
    assert quality.recall == pytest.approx(sum(map(any, matching)) / 40)
    assert quality.matches == pytest.approx(sum(map(sum, matching)) / 40)
    assert 0 < quality.recall < 1


def test_evolution_ends_no_lower_than_what_a_search_by_hand_finds() -> None:
    sizes = np.random.default_rng(1).lognormal(3, 0.7, (400, 2))
    found = {
        name: anchor_quality(sizes, find(sizes, 3, rng=np.random.default_rng(0))) for name, find in ALGORITHMS.items()
    }
    edges = np.quantile(sizes.prod(axis=1) ** 0.5, [1 / 6, 1 / 2, 5 / 6])
    by_hand = anchor_quality(sizes, np.stack([edges, edges], axis=1))
    assert found["differential_evolution"].mean_iou > found["k-means"].mean_iou - 1e-3
    assert all(one.mean_iou > by_hand.mean_iou for one in found.values())


def test_refinement_ends_highest_by_its_own_measure() -> None:
    sizes = np.random.default_rng(2).lognormal(3, 0.8, (300, 2))

    def fitness(anchors: np.ndarray) -> float:
        best = [max(ratio(one, anchor) for anchor in anchors) for one in sizes]
        return sum(share for share in best if share > 1 / 4) / len(sizes)

    found = {name: fitness(find(sizes, 4, rng=np.random.default_rng(0))) for name, find in ALGORITHMS.items()}
    assert max(found, key=lambda name: found[name]) == "v5-k-means"


def test_of_very_many_objects_some_are_drawn() -> None:
    objects = np.tile(drawn(0), (200, 1))
    found = ALGORITHMS["k-means"](objects, 4, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found, KNOWN, rtol=0.05)


def test_levels_are_dealt_by_area_in_whole_pixels() -> None:
    anchors = np.array([[30.4, 30.0], [0.2, 9.6], [5.0, 5.0], [100.0, 2.0]])
    assert anchors_by_level(anchors, 2) == [[(1, 10), (5, 5)], [(100, 2), (30, 30)]]
    with pytest.raises(ValueError, match="4 anchors cannot be dealt to 3 levels"):
        anchors_by_level(anchors, 3)


class Records:
    """Three images in memory."""

    rows = (
        (640, 480, [([0, 0, 64, 48], 0), ([10, 10, 20, 90], 0), ([0, 0, 600, 400], 1)]),
        (100, 400, [([5, 5, 25, 45], 0), ([7, 7, 7, 9], 0)]),
        (50, 50, []),
    )

    def __len__(self) -> int:
        return 3

    def get_data_info(self, index: int) -> dict[str, Any]:
        width, height, boxes = self.rows[index]
        return {"width": width, "height": height, "instances": [{"bbox": b, "ignore_flag": f} for b, f in boxes]}


def test_sizes_are_those_in_the_input() -> None:
    sizes = object_sizes([Records(), Records()], (320, 320))
    once = [[32, 24], [5, 40], [16, 32]]  # half of 640x480; 0.8 of 100x400
    np.testing.assert_allclose(sizes, once + once)
    empty = Records()
    empty.rows = ((50, 50, []),) * 3
    with pytest.raises(ValueError, match="the data has none"):
        object_sizes([empty], (320, 320))


def test_too_few_objects_and_objects_of_one_width() -> None:
    with pytest.raises(ValueError, match="3 anchors need as many different objects, and there are 2"):
        ALGORITHMS["k-means"](np.array([[1.0, 2.0], [3.0, 4.0], [3.0, 4.0]]), 3, rng=np.random.default_rng(0))
    lines = np.stack([np.full(30, 8.0), np.linspace(4, 40, 30)], axis=1)
    for find in ALGORITHMS.values():
        assert np.isfinite(find(lines, 2, rng=np.random.default_rng(0))).all()
    assert differential_evolution_anchors(lines, 1, rng=np.random.default_rng(0))[0, 0] == pytest.approx(8.0)
