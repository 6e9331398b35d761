"""What every segmentor promises: each head on a small backbone, and each backbone below a small head."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.seg import contracts
from tests.seg.variants import BACKBONES, HEADS, VARIANTS, Variant
from visuite.seg import backbones, heads, necks

each = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())


def test_every_part_has_a_row() -> None:
    bases = {"BaseDecodeHead", "BaseCascadeDecodeHead"}
    named = str([variant.config() for variant in VARIANTS.values()])
    missing = {name for part in (backbones, heads, necks) for name in part.__all__ if f"'{name}'" not in named}
    assert missing == bases


@each
def test_learns(variant: Variant) -> None:
    contracts.learns(variant.make, without=variant.indifferent)


@each
def test_survives_ignored_maps(variant: Variant) -> None:
    contracts.survives_ignored_maps(variant.make)


@each
def test_predicts_any_size(variant: Variant) -> None:
    contracts.predicts_any_size(variant.make)


@each
def test_predicts_the_same_twice(variant: Variant) -> None:
    contracts.predicts_the_same_twice(variant.make)


@each
def test_one_slide_is_the_whole(variant: Variant) -> None:
    contracts.one_slide_is_the_whole(variant.make)


@each
def test_works_in_half_precision(variant: Variant) -> None:
    contracts.works_in_half_precision(variant.make, tolerance=variant.tolerance)


@each
def test_begins_as_its_configs_say(variant: Variant) -> None:
    contracts.begins_as_its_configs_say(variant.make)


@each
def test_state_dict_round_trip(variant: Variant) -> None:
    contracts.state_dict_round_trip(variant.make)


@each
def test_tells_one_class_from_the_rest(variant: Variant) -> None:
    contracts.tells_one_class_from_the_rest(variant.binary)


@pytest.mark.parametrize("variant", [HEADS["fcn"], *BACKBONES.values()], ids=["fcn", *BACKBONES])
def test_takes_any_channels(variant: Variant) -> None:
    contracts.takes_any_channels(variant.make)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "variant"), VARIANTS.items(), ids=VARIANTS.keys())
def test_exports(name: str, variant: Variant, tmp_path: Path) -> None:
    sizes = [(96, 160)] if variant.any_size else []
    contracts.exports(variant.make, tmp_path / f"{name}.onnx", dynamo=not variant.traces, sizes=sizes)
