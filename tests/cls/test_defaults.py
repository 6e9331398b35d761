"""Backbones of other tasks, with classification's defaults and names of parameters."""

from __future__ import annotations

import pytest
import torch

from visuite.cls.registry import MODELS


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("ResNeSt", {"stem.0.conv.weight", "layer1.0.downsample.0.weight", "layer2.0.downsample.1.weight"}),
        ("Res2Net", {"conv1.weight", "layer1.0.downsample.0.weight", "layer2.0.downsample.0.weight"}),
    ],
)
def test_residual_kin_hand_out_the_last_map_under_their_names(kind: str, names: set[str]) -> None:
    with torch.device("meta"):
        net = MODELS.build({"type": kind, "depth": 50})
    state = net.state_dict()
    assert names <= state.keys()
    assert all(state[name].ndim == 4 for name in names)
    assert (net.out_channels, net.out_strides) == ((2048,), (32,))
    assert not net.norm_eval
