"""What is found before training: numbers of classes, and values of maps that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.seg.datasets.pairs import PREFIX, write_pairs
from visuite.engine.check import Findings, Subject, check_config
from visuite.engine.config import Config
from visuite.engine.registry import DATASETS, DefaultScope
from visuite.seg.check import check_maps

CONFIG = """\
default_scope = "seg"
model = dict(
    type="EncoderDecoder",
    backbone=dict(type="ResNetV1c", depth=18),
    decode_head=dict(type="FCNHead", in_channels=512, channels=8, num_classes=19),
    auxiliary_head=[dict(type="FCNHead", in_channels=256, channels=8, in_index=2, num_classes=19)])
train_dataloader = dict(dataset=dict(type="RepeatDataset", times=2, dataset=dict(type="CityscapesDataset")))
"""


def found(old: str = "", new: str = "") -> list[tuple[str, str]]:
    assert old in CONFIG
    checked = check_config(Config.fromstring(CONFIG.replace(old, new), ".py"))
    return [(one.severity, one.path) for one in checked if "num_classes" in one.message]


def test_heads_are_held_against_the_data() -> None:
    assert found() == []
    assert found("channels=8, num_classes=19", "channels=8, num_classes=5") == [
        ("error", "model.decode_head.num_classes")
    ]
    assert found("in_index=2, num_classes=19", "in_index=2, num_classes=21") == [
        ("warning", "model.auxiliary_head.0.num_classes")
    ]


def test_heads_of_edges_have_classes_of_their_own() -> None:
    fine = 'type="FCNHead", in_channels=256, channels=8, in_index=2, num_classes=19'
    assert fine in CONFIG
    assert found(fine, 'type="mmseg.STDCHead", in_channels=256, channels=8, in_index=2, num_classes=2') == []


def test_parts_that_a_model_fills_in() -> None:
    """The preprocessor's type and the sampler's head need not be said; wrong arguments of both are found."""

    def paths(preprocessor: str, sampler: str) -> list[str]:
        text = CONFIG.replace("    backbone", f"    data_preprocessor=dict({preprocessor}),\n    backbone")
        text = text.replace("channels=512", f'channels=512, sampler=dict(type="OHEMPixelSampler", {sampler})')
        return [one.path for one in check_config(Config.fromstring(text, ".py")) if one.path.startswith("model")]

    assert paths("mean=[1], std=[1], size=(8, 8)", "thresh=0.7") == []
    assert paths("sizes=(8, 8)", "threshold=0.7") == ["model.data_preprocessor", "model.decode_head.sampler"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_bad_values_are_named_with_their_file_and_counts(tmp_path: Path, wrapped: bool) -> None:
    write_pairs(tmp_path, {"a": np.array([[0, 10, 11]], np.uint8), "b": np.array([[12, 12, 77]], np.uint8)})
    cfg = {"type": "CamVidDataset", "data_root": str(tmp_path), "data_prefix": PREFIX}
    with DefaultScope.overwrite_default_scope("seg"):
        built = DATASETS.build({"type": "RepeatDataset", "times": 2, "dataset": cfg} if wrapped else cfg)
    config = Config({"default_scope": "seg"})
    subject = Subject(config, Findings(config), datasets={"train_dataloader": built})
    check_maps(subject)
    told = [(one.severity, one.message) for one in subject.findings]
    assert [severity for severity, _ in told] == ["error", "error", "warning"]
    assert told[0][1].startswith("2 pixels in 1 of 2 maps have the value 12, which is neither one of the 11 classes")
    assert told[0][1].endswith(f"ignored (255); the first: {tmp_path / 'ann/b.png'}")
    assert "the value 77" in told[1][1]
    assert told[2][1].startswith("no pixel of the 2 maps looked at is building, pole")
