"""Every neck keeps the contracts, under the name that configs have for it; a new one gets its row in `CASES`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests import contracts
from tests.cv.necks.test_contract import Case
from visuite.engine.registry import MODELS
from visuite.yolo import necks

THIN: dict[str, Any] = {"in_channels": (64, 128, 192), "widen_factor": 0.125, "deepen_factor": 0.33}
SAME: dict[str, Any] = {**THIN, "out_channels": THIN["in_channels"]}
ONE: dict[str, Any] = {**THIN, "out_channels": 128}
FINER: dict[str, Any] = {**SAME, "in_channels": (32, 64, 128, 192)}
ELAN: dict[str, Any] = {"middle_ratio": 0.5, "block_ratio": 0.25, "num_blocks": 2}
DROP: dict[str, Any] = {"type": "DropBlock", "drop_prob": 0.1, "block_size": 3, "warmup_iters": 0}
#: A bias before a norm learns nothing.
PLAIN: dict[str, Any] = {"type": "ConvWrapper", "bias": False}
STRIDES = (8, 16, 32)

CASES: dict[str, Case] = {
    "yolov5": Case({"type": "yolo.YOLOv5PAFPN", **SAME, "num_csp_blocks": 6}, STRIDES),
    "yolov5-p6": Case(
        {"type": "yolo.YOLOv5PAFPN", "in_channels": (8, 16, 24, 32), "out_channels": (8, 16, 24, 32)}, (*STRIDES, 64)
    ),
    "yolov6": Case({"type": "yolo.YOLOv6RepPAFPN", **SAME, "num_csp_blocks": 6}, STRIDES),
    "yolov6-large": Case({"type": "yolo.YOLOv6CSPRepPAFPN", **SAME, "block_cfg": PLAIN}, STRIDES),
    "yolov6-v3": Case({"type": "yolo.YOLOv6RepBiPAFPN", **FINER, "num_csp_blocks": 3}, (4, *STRIDES)),
    "yolov6-v3-large": Case({"type": "yolo.YOLOv6CSPRepBiPAFPN", **FINER, "block_cfg": PLAIN}, (4, *STRIDES)),
    "yolov7-tiny": Case(
        {"type": "yolo.YOLOv7PAFPN", **SAME, "block_cfg": {"type": "TinyDownSampleBlock"}, "is_tiny_version": True},
        STRIDES,
    ),
    "yolov7": Case({"type": "yolo.YOLOv7PAFPN", **SAME}, STRIDES),
    "yolov7-x": Case({"type": "yolo.YOLOv7PAFPN", **SAME, "use_repconv_outs": False}, STRIDES),
    "yolov7-e6e": Case(
        {
            "type": "yolo.YOLOv7PAFPN",
            "in_channels": (8, 16, 24, 32),
            "out_channels": (16, 24, 32, 16),
            "block_cfg": {**ELAN, "type": "EELANBlock", "num_elan_block": 2},
            "use_in_channels_in_downsample": True,
        },
        (*STRIDES, 64),
    ),
    "yolox": Case({"type": "yolo.YOLOXPAFPN", **ONE}, STRIDES),
    "yolox-depthwise": Case({"type": "yolo.YOLOXPAFPN", **ONE, "use_depthwise": True}, STRIDES),
    "ppyoloe": Case({"type": "yolo.PPYOLOECSPPAFPN", **SAME, "use_spp": True}, STRIDES),
    "ppyoloe-deep": Case(
        {"type": "yolo.PPYOLOECSPPAFPN", **SAME, "num_csplayer": 2, "num_blocks_per_layer": 6, "drop_block_cfg": DROP},
        STRIDES,
    ),
    "rtmdet": Case({"type": "yolo.CSPNeXtPAFPN", **ONE, "expand_ratio": 0.25}, STRIDES),
    "rtmdet-depthwise": Case({"type": "yolo.CSPNeXtPAFPN", **ONE, "use_depthwise": True}, STRIDES),
    "yolov8": Case({"type": "yolo.YOLOv8PAFPN", **THIN, "out_channels": (128, 64, 256)}, STRIDES),
    "yolov8-fine-first": Case({"type": "yolo.YOLOv8PAFPN", **SAME, "upsample_feats_cat_first": False}, STRIDES),
}
ALL = [
    name
    for name, kind in vars(necks).items()
    if isinstance(kind, type) and issubclass(kind, necks.YOLONeck) and kind is not necks.YOLONeck
]
#: One variant of each neck, for what takes long.
FIRST = {case.cfg["type"]: name for name, case in reversed(CASES.items())}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_every_neck_is_in_the_table() -> None:
    missing = sorted(set(ALL) - {MODELS.get(case.cfg["type"]).__name__ for case in CASES.values()})
    assert not missing, f"rows in CASES are missing: {missing}"


def test_tells_its_maps(case: Case) -> None:
    contracts.neck_tells_its_maps(case.make, case.strides)


def test_takes_odd_sizes(case: Case) -> None:
    contracts.takes_odd_sizes(lambda: case.behind_images(), ((75, 99), (33, 65)))


def test_gradients(case: Case) -> None:
    contracts.gradients_reach_every_parameter(case.behind_images, size=(128, 128))


def test_half_precision(case: Case) -> None:
    contracts.works_in_half_precision(case.behind_images)


def test_state_dict_round_trip(case: Case) -> None:
    contracts.state_dict_round_trip(case.behind_images)


def test_initialisation_draws_every_weight(case: Case) -> None:
    neck = case.make()
    with torch.no_grad():
        for parameter in neck.parameters():
            parameter.fill_(0.0)
    neck.init_weights()
    left = [name for name, parameter in neck.named_parameters() if parameter.ndim > 1 and not parameter.any()]
    assert not left


def test_frozen_neck_stays_as_it_is(case: Case) -> None:
    part = contracts.OnImages(case.make(freeze_all=True), case.strides).train()
    assert not any(parameter.requires_grad for parameter in part.parameters())
    before = {name: value.clone() for name, value in part.state_dict().items()}
    part(torch.randn(2, 3, 64, 64))
    assert all(torch.equal(value, before[name]) for name, value in part.state_dict().items())


class Strided(nn.Module):
    """Convolutions in place of a backbone: map i is (B, C_i, H / s_i, W / s_i), its sides rounded up."""

    def __init__(self, channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        pairs = zip(channels, strides, strict=True)
        self.convs = nn.ModuleList(nn.Conv2d(3, width, 3, stride=stride, padding=1) for width, stride in pairs)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [conv(x) for conv in self.convs]


def behind_convolutions(case: Case) -> nn.Module:
    neck: Any = case.make()
    return nn.Sequential(Strided(neck.in_channels, case.strides), neck)


def test_traced_neck_takes_other_sizes(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "traced.onnx"
    contracts.exports(lambda: behind_convolutions(case), path, others=((3, 75, 99),), dynamo=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", FIRST.values())
def test_exported_program_takes_other_sizes(name: str, tmp_path: Path) -> None:
    contracts.exports(lambda: behind_convolutions(CASES[name]), tmp_path / "program.onnx", others=((3, 75, 99),))
