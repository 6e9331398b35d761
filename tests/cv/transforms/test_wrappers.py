"""Transforms made of transforms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from visuite.cv.transforms import KeyMapper, RandomApply, RandomChoice, TransformBroadcaster
from visuite.engine.registry import TRANSFORMS


def add_one(results: dict[str, Any]) -> dict[str, Any]:
    return {**results, "img": results["img"] + 1, "new": 5}


def add_noise(results: dict[str, Any]) -> dict[str, Any]:
    return {**results, "img": results["img"] + np.random.random()}


def drop(results: dict[str, Any]) -> None:
    return None


def total(results: dict[str, Any]) -> dict[str, Any]:
    return {**results, "sum": sum(results["all"]), "all": [one * 10 for one in results["all"]]}


def test_mapping_there_and_back() -> None:
    assert KeyMapper([add_one], {"img": "gt"})({"gt": 1, "o": 2}) == {"gt": 2, "o": 2}
    assert KeyMapper(add_one, {"img": "gt"}, auto_remap=True)({"gt": 1, "img": 9}) == {"gt": 2, "img": 9}


def test_mapping_elsewhere() -> None:
    got = KeyMapper(add_one, {"img": "gt"}, remapping={"img": "out", "new": "five"})({"gt": 1, "img": 50})
    assert got == {"gt": 1, "img": 50, "out": 2, "five": 5}
    got = KeyMapper(add_one, {"img": "gt"}, auto_remap=False)({"gt": 1})
    assert got == {"gt": 1, "img": 2, "new": 5}
    assert KeyMapper(add_one)({"img": 1}) == {"img": 2, "new": 5}


def test_gathering_several_keys() -> None:
    got = KeyMapper(total, {"all": ["a", "b"]})({"a": 1, "b": 2})
    assert got == {"a": 10, "b": 20}
    seen = KeyMapper(mapping={"x": {"one": "a", "two": "b"}, "y": ...}, auto_remap=False)({"a": 1, "b": 2, "y": 3})
    assert seen == {"a": 1, "b": 2, "y": 3, "x": {"one": 1, "two": 2}}


def test_missing_keys() -> None:
    with pytest.raises(KeyError, match="'gt'"):
        KeyMapper(add_one, {"img": "gt"})({"img": 1})
    lenient = KeyMapper(total, {"all": ["a", "b"]}, allow_nonexist_keys=True)
    assert lenient({"b": 2}) == {"b": 20}
    with pytest.raises(ValueError, match="auto_remap"):
        KeyMapper(add_one, auto_remap=True)


def test_dropping_ends_the_pipeline() -> None:
    assert KeyMapper(drop, {"img": "gt"})({"gt": 1}) is None
    assert TransformBroadcaster(drop, {"img": ["a", "b"]})({"a": 1, "b": 1}) is None
    assert RandomApply(drop, 1.0)({}) is None


def test_broadcasting() -> None:
    assert TransformBroadcaster(add_one, {"img": ["a", "b"]})({"a": 1, "b": 10}) == {"a": 2, "b": 11}
    got = TransformBroadcaster(add_one, {"img": "images"}, auto_remap=True)({"images": [1, 2, 3]})
    assert got == {"images": [2, 3, 4]}
    for wrong in ({"images": [1], "more": [1, 2]}, {"images": 3, "more": [1]}):
        with pytest.raises(ValueError, match="lists"):
            TransformBroadcaster(add_one, {"img": "images", "x": "more"})(wrong)


def test_broadcasting_may_share_chance() -> None:
    def run(**options: Any) -> tuple[float, float, float]:
        np.random.seed(0)
        got = TransformBroadcaster(add_noise, {"img": ["a", "b"]}, **options)({"a": 0.0, "b": 0.0})
        assert got is not None
        return got["a"], got["b"], np.random.random()

    first, second, after = run()
    assert first != second
    assert run(share_random_params=True)[:2] == (first, first)
    assert run(share_random_params=True)[2] == second != after


def test_choice_and_application_have_their_chances() -> None:
    np.random.seed(0)
    choice = RandomChoice([add_one, [add_one, add_one], []], prob=[0.5, 0.3, 0.2])
    drawn = [choice.draw({}) for _ in range(4000)]
    np.testing.assert_allclose([drawn.count(i) / 4000 for i in range(3)], [0.5, 0.3, 0.2], atol=0.03)
    assert [choice.apply({"img": 0}, i)["img"] for i in range(3)] == [1, 2, 0]  # type: ignore[index]
    assert sum(RandomApply([add_one], 0.3).draw({}) for _ in range(4000)) / 4000 == pytest.approx(0.3, abs=0.03)
    for wrong in ([0.5, 0.5], [0.5, 0.6, 0.1], [1.5, -0.5, 0]):
        with pytest.raises(ValueError, match="one chance for each"):
            RandomChoice([add_one] * 3, wrong)
    with pytest.raises(ValueError, match="no chance"):
        RandomApply(add_one, 1.5)


def test_configs() -> None:
    built = TRANSFORMS.build({"type": "RandomApply", "transforms": [{"type": "RandomFlip", "prob": 1.0}], "prob": 1.0})
    assert built({"img": np.arange(6).reshape(2, 3)})["img"].tolist() == [[2, 1, 0], [5, 4, 3]]
