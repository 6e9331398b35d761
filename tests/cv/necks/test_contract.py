"""Every neck keeps the contracts, under the name that configs have for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from tests import contracts
from visuite.engine.registry import MODELS

PYRAMID = {"in_channels": (4, 8, 12), "out_channels": 8}


@dataclass
class Case:
    """A thin neck, and the strides of the maps that it takes."""

    cfg: dict[str, Any]
    strides: tuple[int, ...] = (4, 8, 16)

    def make(self, **more: Any) -> nn.Module:
        return MODELS.build({**self.cfg, **more})

    def behind_images(self, **more: Any) -> nn.Module:
        return contracts.OnImages(self.make(**more), self.strides)


GN = {"type": "GN", "num_groups": 2}
CASES: dict[str, Case] = {
    "fpn": Case({"type": "FPN", **PYRAMID, "num_outs": 3}),
    "fpn-pooled": Case({"type": "FPN", **PYRAMID, "num_outs": 5, "norm_cfg": GN, "act_cfg": {"type": "ReLU"}}),
    "fpn-on-input": Case({"type": "FPN", **PYRAMID, "num_outs": 4, "start_level": 1, "add_extra_convs": True}),
    "fpn-on-lateral": Case({"type": "FPN", **PYRAMID, "num_outs": 4, "add_extra_convs": "on_lateral"}),
    "fpn-on-output": Case({"type": "FPN", **PYRAMID, "num_outs": 5, "add_extra_convs": "on_output"}),
    "fpn-bilinear": Case({"type": "FPN", **PYRAMID, "num_outs": 3, "upsample_cfg": {"mode": "bilinear"}}),
    "fpn-scale-factor": Case({"type": "FPN", **PYRAMID, "num_outs": 3, "upsample_cfg": {"scale_factor": 2}}),
    "pafpn": Case({"type": "PAFPN", **PYRAMID, "num_outs": 5, "add_extra_convs": "on_output"}),
    "hrfpn": Case({"type": "HRFPN", **PYRAMID}),
    "hrfpn-max": Case({"type": "HRFPN", **PYRAMID, "num_outs": 2, "pooling_type": "MAX", "stride": 2}),
    "channel-mapper": Case({"type": "ChannelMapper", **PYRAMID, "norm_cfg": GN, "act_cfg": None, "num_outs": 5}),
    "channel-mapper-plain": Case({"type": "ChannelMapper", **PYRAMID, "kernel_size": 1, "act_cfg": None}),
    "ssd": Case(
        {
            "type": "SSDNeck",
            "in_channels": (8, 16),
            "out_channels": (8, 16, 16, 8),
            "level_strides": (2, 2),
            "level_paddings": (1, 1),
            "act_cfg": {"type": "LeakyReLU"},
        },
        (8, 16),
    ),
    "ssdlite": Case(
        {
            "type": "SSDNeck",
            "in_channels": (8, 16),
            "out_channels": (8, 16, 16),
            "level_strides": (2,),
            "level_paddings": (1,),
            "l2_norm_scale": None,
            "use_depthwise": True,
            "norm_cfg": {"type": "BN"},
            "act_cfg": {"type": "LeakyReLU"},
        },
        (8, 16),
    ),
    "yolox": Case({"type": "YOLOXPAFPN", **PYRAMID, "num_csp_blocks": 2}),
    "yolox-depthwise": Case({"type": "YOLOXPAFPN", **PYRAMID, "num_csp_blocks": 1, "use_depthwise": True}),
    "rtmdet": Case({"type": "CSPNeXtPAFPN", **PYRAMID, "num_csp_blocks": 1}),
    "multilevel": Case(
        {"type": "MultiLevelNeck", "in_channels": (4, 8, 4), "out_channels": 8, "scales": (4, 1, 0.5)}, (16, 16, 16)
    ),
    "multilevel-of-one": Case(
        {"type": "MultiLevelNeck", "in_channels": (4,), "out_channels": 8, "norm_cfg": {"type": "BN"}}, (16,)
    ),
    "feature2pyramid": Case({"type": "Feature2Pyramid", "embed_dim": 8, "norm_cfg": {"type": "BN"}}, (16,) * 4),
    "feature2pyramid-coarse": Case(
        {"type": "Feature2Pyramid", "embed_dim": 8, "rescales": (2, 1, 0.5, 0.25)}, (16,) * 4
    ),
    "yolov3": Case({"type": "YOLOV3Neck", "num_scales": 3, "in_channels": (12, 8, 4), "out_channels": (8, 4, 4)}),
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_tells_its_maps(case: Case) -> None:
    contracts.neck_tells_its_maps(case.make, case.strides)


def test_gradients(case: Case) -> None:
    contracts.gradients_reach_every_parameter(case.behind_images)


def test_half_precision(case: Case) -> None:
    contracts.works_in_half_precision(case.behind_images)


def test_state_dict_round_trip(case: Case) -> None:
    contracts.state_dict_round_trip(case.behind_images)


def test_initialisation_draws_every_weight(case: Case) -> None:
    neck = case.make()
    with torch.no_grad():
        for parameter in neck.parameters():
            parameter.fill_(0.0)
    untouched = {name for name, p in neck.named_parameters() if p.ndim > 1}
    neck.init_weights()
    drawn = {name for name, p in neck.named_parameters() if p.ndim > 1 and p.abs().sum() > 0}
    own = {"type": None, **case.cfg}["type"]
    if own not in ("Feature2Pyramid", "YOLOV3Neck"):  # these start as their layers do
        assert drawn == untouched


def test_checkpointing_of_hrfpn() -> None:
    make: Callable[..., nn.Module] = CASES["hrfpn"].behind_images
    contracts.checkpointing_changes_nothing(make)
