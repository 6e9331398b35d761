"""The numbers of CrowdHuman, against plain loops over their definitions."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visuite.det.metrics import CrowdHumanMetric
from visuite.det.metrics.crowdhuman import log_average_miss_rate
from visuite.det.registry import METRICS

SIZE = (60, 80)


def sample(found: list[list[float]], people: list[list[float]], rest: list[list[float]] = (), **more: Any) -> dict:
    """Detections x1, y1, x2, y2, score; people, and what is to be ignored."""
    rows = np.array(found, float).reshape(-1, 5)
    flags = [0] * len(people) + [1] * len(rest)
    instances = [
        {"bbox": box, "bbox_label": 0, "ignore_flag": flag} for box, flag in zip([*people, *rest], flags, strict=True)
    ]
    pred = {"bboxes": rows[:, :4], "scores": rows[:, 4], "labels": np.zeros(len(rows), int)}
    return {"pred_instances": pred, "instances": instances, "ori_shape": SIZE, **more}


def evaluate(samples: list[dict], **options: Any) -> dict[str, float]:
    metric = CrowdHumanMetric(**options)
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def common(one: Any, other: Any) -> float:
    return max(0, min(one[2], other[2]) - max(one[0], other[0])) * max(0, min(one[3], other[3]) - max(one[1], other[1]))


def iou(one: Any, other: Any) -> float:
    inner = common(one, other)
    area = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return inner / (sum(area) - inner)


def random_samples(seed: int, count: int = 4) -> list[dict]:
    rng = np.random.RandomState(seed)

    def boxes(most: int) -> list[list[float]]:
        corners = rng.randint(0, 40, (rng.randint(most + 1), 2))
        return [[*corner, *(corner + rng.randint(8, 20, 2))] for corner in corners.tolist()]

    made = []
    for _ in range(count):
        people, rest = boxes(5), boxes(2)
        near = [np.array(box) + rng.randint(-2, 3, 4) for box in [*people, *rest, *boxes(3)]]
        found = [[*box.clip(0, 59), rng.rand()] for box in near]
        made.append(sample(found, people, rest))
    return made


def in_rest(box: Any, regions: list[Any]) -> bool:
    area = (box[2] - box[0]) * (box[3] - box[1])
    return any(common(box, one) / area >= 0.5 for one in regions)


def split(one: dict) -> tuple[list[Any], list[Any], list[Any]]:
    pred = one["pred_instances"]
    found = sorted(zip(pred["bboxes"].tolist(), pred["scores"].tolist(), strict=True), key=lambda pair: -pair[1])
    people = [i["bbox"] for i in one["instances"] if not i["ignore_flag"]]
    return found, people, [i["bbox"] for i in one["instances"] if i["ignore_flag"]]


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_precision_and_misses_by_hand(seed: int) -> None:
    samples = random_samples(seed)
    outcomes, total = [], 0
    for found, people, rest in map(split, samples):
        total += len(people)
        free = list(people)
        for box, score in found:
            best = max(free, key=lambda one: iou(one, box), default=None)
            if best is not None and iou(best, box) >= 0.5:
                free.remove(best)
                outcomes.append((score, True))
            elif not in_rest(box, rest):
                outcomes.append((score, False))
    outcomes.sort(reverse=True)
    hits = false = 0
    recalls, precisions, curve = [0.0], [], [(0.0, 1.0)]
    for _, hit in outcomes:
        hits, false = hits + hit, false + (not hit)
        recalls.append(hits / max(total, 1))
        precisions.append(hits / (hits + false))
        curve.append((false / len(samples), 1 - hits / max(total, 1)))
    area = 0.0
    for i, precision in enumerate(precisions):
        area += (recalls[i + 1] - recalls[i]) * (precision + precisions[max(i - 1, 0)]) / 2
    misses = [min(miss for fppi, miss in curve if fppi <= 10 ** (-2 + i / 4) + 1e-12) for i in range(9)]
    got = evaluate(samples)
    assert got["crowd_human/mAP"] == pytest.approx(area)
    assert got["crowd_human/mMR"] == pytest.approx(np.exp(np.mean(np.log(np.maximum(misses, 1e-10)))))


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_the_jaccard_index_by_trying_all_pairings(seed: int) -> None:
    samples = random_samples(seed, 2)
    best = 0.0
    for least in np.arange(10) / 10:
        indexes = []
        for found, people, rest in map(split, samples):
            boxes = [box for box, score in found if score >= least]
            fits = [{i for i, one in enumerate(people) if iou(box, one) >= 0.5} for box in boxes]
            sets = {(frozenset(), frozenset())}  # which people and which detections can be paired at once
            for number, options in enumerate(fits):
                sets |= {(taken | {i}, used | {number}) for taken, used in sets for i in options - taken}
            pairs = max(len(taken) for taken, _ in sets)
            # Of the largest pairings, those differ that pair a detection inside of what is ignored.
            inside = {i for i, box in enumerate(boxes) if in_rest(box, rest)}
            outside = set(range(len(boxes))) - inside
            unions = {len(outside | used) + len(people) - pairs for taken, used in sets if len(taken) == pairs}
            indexes.append({pairs / union if union else 1.0 for union in unions})
        choices = [np.mean(one) for one in itertools.product(*indexes)]
        best = max(best, max(choices))
    got = evaluate(samples, metric="JI")
    assert set(got) == {"crowd_human/JI"}
    assert got["crowd_human/JI"] <= best + 1e-9
    if not any(len(one["instances"]) != sum(not i["ignore_flag"] for i in one["instances"]) for one in samples):
        assert got["crowd_human/JI"] == pytest.approx(best)


def test_known_numbers() -> None:
    people = [[0, 0, 10, 10], [20, 0, 30, 10]]
    perfect = evaluate([sample([[*box, 0.9] for box in people], people)])
    assert perfect == pytest.approx({"crowd_human/mAP": 1, "crowd_human/mMR": 0, "crowd_human/JI": 1}, abs=1e-9)
    assert evaluate([sample([], people)]) == {"crowd_human/mAP": 0, "crowd_human/mMR": 1, "crowd_human/JI": 0}
    ignored = evaluate([sample([[*people[0], 0.9], [50, 0, 60, 10, 0.99]], people[:1], [[45, 0, 70, 40]])])
    assert ignored["crowd_human/mAP"] == ignored["crowd_human/JI"] == 1
    twice = evaluate([sample([[*people[0], 0.9], [*people[0], 0.8]], people[:1])])
    assert twice["crowd_human/JI"] == 1  # at the score that only the first reaches
    over = evaluate([sample([[60, 0, 80, 10, 0.9]], [[60, -20, 200, 10]])])
    assert over["crowd_human/mAP"] == 1  # both are cut at the edges
    assert METRICS.get("CrowdHumanMetric") is CrowdHumanMetric


def test_miss_rates_of_known_curves() -> None:
    half_then_false = np.array([True, False])
    assert log_average_miss_rate(half_then_false, 2, 1) == pytest.approx(0.5)
    # One false detection in ten images comes first: at 0.01, 0.0178, 0.0316 and 0.0562 per image all are missed.
    late = log_average_miss_rate(np.array([False, True]), 2, 10)
    assert late == pytest.approx(0.5 ** (5 / 9))
    assert log_average_miss_rate(np.array([False, True]), 2, 10, -4) == pytest.approx(0.5 ** (3 / 9))
    assert log_average_miss_rate(np.zeros(0, bool), 3, 2) == 1


def test_people_of_a_file(tmp_path: Path) -> None:
    line = {"ID": "a", "gtboxes": [{"tag": "person", "fbox": [0, 0, 10, 10]}, {"tag": "mask", "fbox": [50, 0, 10, 10]}]}
    (tmp_path / "val.odgt").write_text(json.dumps(line))
    one = sample([[0, 0, 10, 10, 0.9], [50, 0, 60, 10, 0.8]], [], img_id="a")
    assert evaluate([one], ann_file=str(tmp_path / "val.odgt"), metric=["AP", "MR", "JI"])["crowd_human/mAP"] == 1
    with pytest.raises(KeyError, match="no image 'b'"):
        evaluate([{**one, "img_id": "b"}], ann_file=str(tmp_path / "val.odgt"))
    for bad in ({"metric": "mAP"}, {"mr_ref": "CALTECH_-3"}, {"eval_mode": 1}):
        with pytest.raises(ValueError, match="not know"):
            CrowdHumanMetric(**bad)
