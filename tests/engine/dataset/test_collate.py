"""Samples to batches."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest
import torch

from visuite.engine.dataset import default_collate, pseudo_collate
from visuite.engine.dataset.collate import find_function
from visuite.engine.registry import FUNCTIONS, DefaultScope, Registry, UnknownTypeError
from visuite.engine.structures import BaseDataElement

Pair = namedtuple("Pair", "a b")


def samples() -> list[dict]:
    return [
        {
            "x": torch.full((2,), float(i)),
            "n": i,
            "s": str(i),
            "t": (i, [i]),
            "p": Pair(i, i),
            "e": BaseDataElement(),
            "a": np.ones(2),
        }
        for i in range(3)
    ]


def test_pseudo_collate_only_regroups() -> None:
    given = samples()
    batch = pseudo_collate(given)
    assert all(a is s["x"] for a, s in zip(batch["x"], given, strict=True))
    assert batch["n"] == [0, 1, 2]
    assert batch["s"] == ["0", "1", "2"]
    assert batch["t"] == [[0, 1, 2], [[0, 1, 2]]]
    assert batch["p"] == Pair([0, 1, 2], [0, 1, 2])
    assert all(a is s["e"] for a, s in zip(batch["e"], given, strict=True))
    assert isinstance(batch["a"][0], np.ndarray)


def test_default_collate_stacks_but_keeps_elements_and_strings() -> None:
    given = samples()
    batch = default_collate(given)
    assert batch["x"].shape == (3, 2)
    assert torch.equal(batch["n"], torch.tensor([0, 1, 2]))
    assert batch["s"] == ["0", "1", "2"]
    assert torch.equal(batch["t"][1][0], torch.tensor([0, 1, 2]))
    assert torch.equal(batch["p"].b, torch.tensor([0, 1, 2]))
    assert isinstance(batch["e"], list)
    assert batch["a"].shape == (3, 2)


@pytest.mark.parametrize("collate", [pseudo_collate, default_collate])
def test_samples_must_be_alike(collate) -> None:
    with pytest.raises(ValueError, match="sample 1 of the batch has no 'b'"):
        collate([{"a": 1, "b": 2}, {"a": 1}])
    with pytest.raises(ValueError, match=r"different lengths: \[1, 2\]"):
        collate([[1], [1, 2]])


def test_bare_samples_and_registration() -> None:
    assert pseudo_collate([torch.ones(1)] * 2) == [torch.ones(1)] * 2
    assert default_collate([1, 2]).tolist() == [1, 2]
    assert FUNCTIONS.get("pseudo_collate") is pseudo_collate
    assert FUNCTIONS.get("default_collate") is default_collate


def test_a_loader_finds_functions_of_the_default_scope_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FUNCTIONS, "_children", dict(FUNCTIONS.children))
    child = Registry("function", parent=FUNCTIONS, scope="some_task")
    own = child.register_module(name="pseudo_collate", module=lambda samples: samples[:1])
    with DefaultScope.overwrite_default_scope("some_task"):
        assert find_function("pseudo_collate", "collate_fn") is own
        assert find_function("default_collate", "collate_fn") is default_collate
        with pytest.raises(UnknownTypeError, match=r"collate_fn: .*did you mean 'pseudo_collate'"):
            find_function("psuedo_collate", "collate_fn")
    assert find_function("pseudo_collate", "collate_fn") is pseudo_collate
    assert find_function(len, "collate_fn") is len
