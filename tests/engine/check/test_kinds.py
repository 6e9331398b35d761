from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pytest
from torch import Tensor, nn

from visuite.engine.check.kinds import wrong_kind
from visuite.engine.check.words import is_mentioned, like


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (int, [3, 2.0, True], ["3", [3], {}, None, 2.5]),
        (float, [3, 0.5], ["0.5", (1,), None]),
        (bool, [True, 0, 1], ["True", 2, [True]]),
        (str, ["a"], [3, ["a"], {}]),
        (int | None, [None, 3], ["3"]),
        (Sequence[int], [[1, 2], (1,), []], [3, ["a"], "abc"]),
        (Sequence[str], ["abc", ["a"]], [3, [1]]),
        (tuple[int, int], [(1, 2), [1, 2]], [(1,), (1, 2, 3), (1, "a"), 4]),
        (Mapping[str, float], [{"a": 1}], [{"a": "b"}, [1], 3]),
        (Literal["nearest", "bilinear"], ["nearest"], ["cubic", 3]),
        (nn.Module | None, [None, {"type": "ReLU"}, [{"type": "ReLU"}], nn.ReLU()], ["ReLU", 3, [1]]),
        (float | Tensor, [1e-3], ["1e-3"]),
        (Any, [3, "a", None, {}], []),
        (int | Sequence[int], [3, [3, 4]], ["3", ["3"]]),
    ],
)
def test_what_an_annotation_allows(kind, good, bad):
    assert [value for value in good if wrong_kind(value, kind) is not None] == []
    assert [value for value in bad if wrong_kind(value, kind) is None] == []


def test_a_fault_names_what_is_allowed_and_what_is_near():
    assert wrong_kind("bilinar", Literal["nearest", "bilinear"]) == (
        "is 'bilinar', not 'nearest' | 'bilinear'; did you mean 'bilinear'?"
    )
    assert wrong_kind("x" * 99, int | None).endswith("..., not int | None")


def test_words_of_sources():
    assert is_mentioned("max_keep_ckpts")
    assert not is_mentioned("max_keep_" + "ckpt")  # a part of a word is none
    assert like("max_keep_" + "ckps") == ["max_keep_ckpts"]
    assert like("quite_" + "otherwise") == []
