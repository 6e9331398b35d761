from __future__ import annotations

import functools

import pytest
from torch import nn

from tests.engine.check.parts import FillsIn, FillsInByName, Forwards, Keeps, Plain, Unwritten
from visuite.engine.check.signatures import signature_of, unknown_arguments
from visuite.engine.registry import PARAM_SCHEDULERS


@pytest.mark.parametrize(
    ("target", "names", "needed"),
    [
        (Plain, {"depth", "width"}, {"depth"}),
        (Forwards, {"extra", "depth", "width"}, {"depth"}),
        (FillsIn, {"size", "old", "width"}, {"size"}),
        (FillsInByName, {"extra", "depth"}, {"depth"}),
        (Unwritten, set(), set()),
        (object, set(), set()),
        (functools.partial(Plain, 3), {"width"}, set()),
    ],
)
def test_arguments_of_all_constructors_in_a_chain(target, names, needed):
    signature = signature_of(target)
    assert set(signature.names) == names
    assert signature.needed == needed
    assert not signature.anything


@pytest.mark.parametrize("target", [Keeps, dict])
def test_who_keeps_what_it_is_given_takes_anything(target):
    assert signature_of(target).anything
    assert not unknown_arguments(target, ["whatever"])


def test_a_signature_agrees_with_calling(recwarn):
    """What a signature says is refused raises TypeError when called, and what it accepts does not."""
    for kind in (Plain, Forwards, FillsIn, FillsInByName):
        signature = signature_of(kind)
        given = dict.fromkeys(signature.needed, 1)
        kind(**given)
        for name in {"depth", "width", "extra", "size", "old", "none"} - given.keys():
            if name in signature.names:
                kind(**given, **{name: 2})
            else:
                with pytest.raises(TypeError):
                    kind(**given, **{name: 2})


def test_the_nearest_argument_is_named():
    assert unknown_arguments(Forwards, ["dept", "extra"]) == {
        "dept": "Forwards has no argument 'dept'; did you mean 'depth'?"
    }


def test_declared_signatures_count():
    scheduler = PARAM_SCHEDULERS.get("MultiStepLR")
    assert {"milestones", "gamma", "begin", "end", "by_epoch"} <= set(signature_of(scheduler).names)
    assert signature_of(scheduler).needed == {"optimizer", "milestones"}
    assert "bias" in signature_of(nn.Linear).names
