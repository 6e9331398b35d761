"""Transforms made of transforms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.painted import objects
from visuite.det.preprocessor import DetDataPreprocessor, MultiBranchDataPreprocessor
from visuite.det.transforms import MultiBranch, PackDetInputs, RandomOrder
from visuite.engine.dataset import pseudo_collate


def note(letter: str) -> Any:
    return lambda results: {**results, "order": results.get("order", "") + letter}


def test_random_order() -> None:
    np.random.seed(0)
    order = RandomOrder([note("a"), [note("b"), note("c")]])
    done = [order({})["order"] for _ in range(200)]  # type: ignore[index]
    assert set(done) == {"abc", "bca"}
    assert done.count("abc") / 200 == pytest.approx(0.5, abs=0.12)
    assert RandomOrder([note("a"), lambda results: None])({}) is None


FIELD = ("sup", "weak", "strong")


def darken(results: dict[str, Any]) -> dict[str, Any]:
    results["img"] //= 2  # in place, as a user's transform may do
    return results


def test_branches_of_two_data_sets_make_one_batch() -> None:
    labelled = MultiBranch(FIELD, sup=PackDetInputs())
    unlabelled = MultiBranch(FIELD, weak=[darken, PackDetInputs()], strong=[PackDetInputs()])
    made = [branches(objects([(0, 0, 9, 9)])) for branches in (labelled, unlabelled, unlabelled)]
    assert made[0]["inputs"]["weak"] is None  # type: ignore[index]
    assert int(made[1]["inputs"]["weak"].max()) == 127  # type: ignore[index]
    assert int(made[1]["inputs"]["strong"].max()) == 255  # type: ignore[index]
    batch = MultiBranchDataPreprocessor(dict(type="DetDataPreprocessor", pad_size_divisor=32))(
        pseudo_collate(made), True
    )
    assert {name: tuple(images.shape) for name, images in batch["inputs"].items()} == {
        "sup": (1, 3, 64, 64), "weak": (2, 3, 64, 64), "strong": (2, 3, 64, 64)
    }  # fmt: skip
    assert {name: len(samples) for name, samples in batch["data_samples"].items()} == {"sup": 1, "weak": 2, "strong": 2}
    assert batch["data_samples"]["sup"][0].batch_input_shape == (64, 64)


def test_a_batch_of_one_branch_is_prepared_as_ever() -> None:
    inside = DetDataPreprocessor(mean=[1, 1, 1], std=[2, 2, 2])
    data = {"inputs": [torch.ones(3, 4, 5)], "data_samples": None}
    preprocessor = MultiBranchDataPreprocessor(inside)
    assert torch.equal(preprocessor(data)["inputs"], inside(data)["inputs"])
    assert preprocessor.device == inside.device


def test_branches_may_drop_a_sample_and_have_names() -> None:
    assert MultiBranch(FIELD, sup=[lambda results: None])(objects([])) is None
    with pytest.raises(ValueError, match="'soup' is no branch"):
        MultiBranch(FIELD, soup=PackDetInputs())
