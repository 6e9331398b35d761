"""What every backbone promises; the backbones are listed in variants.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import contracts
from tests.cv.backbones.variants import Variant
from tests.yolo.backbones.variants import VARIANTS
from visuite.engine.registry import MODELS
from visuite.yolo import backbones

ALL = [
    name
    for name, kind in vars(backbones).items()
    if isinstance(kind, type) and issubclass(kind, backbones.YOLOBackbone) and kind is not backbones.YOLOBackbone
]
#: One variant of each backbone, for what takes long.
FIRST = {variant.type: name for name, variant in reversed(VARIANTS.items())}


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> Variant:
    return VARIANTS[request.param]


def test_every_backbone_is_in_the_table() -> None:
    missing = sorted(set(ALL) - {MODELS.get(variant.type).__name__ for variant in VARIANTS.values()})
    assert not missing, f"rows in tests/yolo/backbones/variants.py are missing: {missing}"


def test_tells_its_maps(variant: Variant) -> None:
    contracts.backbone_tells_its_maps(variant.make)


def test_takes_odd_sizes(variant: Variant) -> None:
    contracts.takes_odd_sizes(variant.make, variant.sizes)


def test_gradients_reach_every_parameter(variant: Variant) -> None:
    contracts.gradients_reach_every_parameter(variant.make, without=variant.indifferent)


def test_takes_any_channels(variant: Variant) -> None:
    def make(in_channels: int) -> Any:
        return variant.make(input_channels=in_channels)

    contracts.takes_any_channels(make, (1, 5))


def test_works_in_half_precision(variant: Variant) -> None:
    contracts.works_in_half_precision(variant.make)


def test_state_dict_round_trip(variant: Variant) -> None:
    contracts.state_dict_round_trip(variant.make)


def test_frozen_stages_hold(variant: Variant) -> None:
    assert variant.frozen is not None
    count, names = variant.frozen
    contracts.frozen_stages_hold(lambda: variant.make(frozen_stages=count), names)


def test_norm_eval_holds(variant: Variant) -> None:
    contracts.norm_eval_holds(lambda: variant.make(norm_eval=True))


def test_traced_model_gives_the_same(variant: Variant, tmp_path: Path) -> None:
    contracts.exports(variant.make, tmp_path / "traced.onnx", others=((3, 76, 100),), dynamo=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", FIRST.values())
def test_exported_program_takes_other_sizes(name: str, tmp_path: Path) -> None:
    contracts.exports(VARIANTS[name].make, tmp_path / "program.onnx", others=((3, 76, 100),))
