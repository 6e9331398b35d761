"""What every backbone promises; the backbones are listed in variants.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import contracts
from tests.cv.backbones.variants import VARIANTS, Variant
from visuite.cv import backbones
from visuite.engine.registry import MODELS

BASES = (backbones.Backbone, backbones.CSPBackbone)
ALL = [
    name
    for name, kind in vars(backbones).items()
    if isinstance(kind, type) and issubclass(kind, backbones.Backbone) and kind not in BASES
]


#: One variant of each backbone, for what takes long.
FIRST = {variant.type: variant for variant in reversed(VARIANTS.values())}


def having(condition: Callable[[Variant], Any]) -> Any:
    """Run a test on the variants for which a condition holds."""
    return pytest.mark.parametrize("name", [name for name, variant in VARIANTS.items() if condition(variant)])


@pytest.fixture
def variant(name: str) -> Variant:
    return VARIANTS[name]


every = having(lambda variant: True)


def test_every_backbone_is_in_the_table() -> None:
    kinds = set()
    for variant in VARIANTS.values():
        # Small classes are derived from those that they stand for.
        kind = MODELS.get(variant.type) if isinstance(variant.type, str) else variant.type.__base__
        kinds.add(kind.__name__)
    missing = sorted(set(ALL) - kinds)
    assert not missing, f"rows in tests/cv/backbones/variants.py are missing: {missing}"


@having(lambda variant: variant.maps)
def test_tells_its_maps(variant: Variant) -> None:
    contracts.backbone_tells_its_maps(variant.make)


@having(lambda variant: variant.sizes)
def test_takes_odd_sizes(variant: Variant) -> None:
    contracts.takes_odd_sizes(variant.make, variant.sizes)


@every
def test_gradients_reach_every_parameter(variant: Variant) -> None:
    contracts.gradients_reach_every_parameter(lambda: variant.make(**variant.gradients), without=variant.indifferent)


@having(lambda variant: variant.any_channels)
def test_takes_any_channels(variant: Variant) -> None:
    contracts.takes_any_channels(variant.make, (1, 5))


@every
def test_works_in_half_precision(variant: Variant) -> None:
    contracts.works_in_half_precision(variant.make)


@every
def test_state_dict_round_trip(variant: Variant) -> None:
    contracts.state_dict_round_trip(variant.make)


@having(lambda variant: variant.frozen)
def test_frozen_stages_hold(variant: Variant) -> None:
    assert variant.frozen is not None
    count, names = variant.frozen
    contracts.frozen_stages_hold(lambda: variant.make(frozen_stages=count), names)


@having(lambda variant: variant.norm_eval)
def test_norm_eval_holds(variant: Variant) -> None:
    contracts.norm_eval_holds(lambda: variant.make(norm_eval=True))


@having(lambda variant: variant.checkpoints_by)
def test_checkpointing_changes_nothing(variant: Variant) -> None:
    contracts.checkpointing_changes_nothing(lambda with_cp: variant.make(**{variant.checkpoints_by: with_cp}))


@having(lambda variant: variant.traces)
def test_traced_model_gives_the_same(variant: Variant, tmp_path: Path) -> None:
    others = ((3, 75, 99),) if variant.traces_sizes else ()
    contracts.exports(variant.make, tmp_path / "traced.onnx", size=variant.size, others=others, dynamo=False)


@pytest.mark.slow
@having(lambda variant: variant is FIRST[variant.type] or not variant.traces)
def test_exported_program_takes_other_sizes(variant: Variant, tmp_path: Path) -> None:
    others = ((3, 75, 99),) if variant.sizes else ()
    contracts.exports(variant.make, tmp_path / "program.onnx", size=variant.size, others=others)
