"""Wrong arguments of backbones, and what is said of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.cv.backbones.variants import HRNET_STAGES, VARIANTS
from visuite.cv.backbones import CSPNet


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("resnet-18", {"groups": 32, "width_per_group": 4}, "bottleneck"),
        ("regnet", {"arch": "regnetx_400fm"}, "did you mean 'regnetx_400mf'"),
        ("regnet", {"arch": {"w0": 8}}, "wa, wm, depth"),
        ("vgg", {"depth": 12}, "VGG has no 12"),
        ("vgg", {"out_indices": (5,)}, "out_indices"),
        ("ssd-vgg", {"depth": 12}, "SSDVGG has no 12"),
        ("mobilenet-v2", {"out_indices": (8,)}, "out_indices"),
        ("mobilenet-v2", {"last_conv": False, "out_indices": (7,)}, "out_indices"),
        ("mobilenet-v2", {"strides": (1, 2)}, "7 entries"),
        ("mobilenet-v3", {"arch": "tiny"}, "small_075"),
        ("mobilenet-v3", {"output_stride": 4}, "output_stride"),
        ("shufflenet-v2", {"widen_factor": 0.75}, "0.75"),
        ("efficientnet", {"arch": "b9"}, "b9"),
        ("efficientnet", {"frozen_stages": 9}, "frozen_stages"),
        ("densenet", {"arch": {"depths": (1,)}}, "growth_rate"),
        ("repvgg", {"arch": "A4"}, "A4"),
        ("repvgg", {"arch": "A0", "strides": (2, 2)}, "length"),
        ("cspdarknet", {"arch": "p5"}, "did you mean 'P5'"),
        ("cspdarknet", {"out_indices": (5,)}, "out_indices"),
        ("cspnext", {"frozen_stages": 5}, "frozen_stages"),
        ("cspnext", {"spp_kernel_sizes": (4, 8)}, "odd and grow"),
        ("darknet", {"depth": 19}, "has no 19"),
        ("darknet", {"out_indices": (6,)}, "out_indices"),
        ("resnest", {"depth": 18}, "ResNeSt has no depth 18"),
        ("res2net", {"scales": 1}, "2 scales"),
        ("hrnet", {"arch": "w19", "extra": None}, "w19"),
        ("hrnet", {"extra": {"stage1": HRNET_STAGES["stage1"]}}, "stage2"),
        ("hrnet", {"upsample": "cubic"}, "upsample"),
        ("hrnet", {"pretrained": "a.pth", "init_cfg": {"type": "Normal"}}, "both"),
        ("convnext", {"arch": "teeny"}, "tiny"),
        ("convnext", {"arch": {"depths": (1,), "channels": (8, 8)}}, "length"),
        ("vit", {"arch": "bsae"}, "base"),
        ("vit", {"arch": {"embed_dims": 8}}, "num_layers"),
        ("vit", {"out_indices": 5}, "out_indices"),
        ("vit", {"out_type": "tokens"}, "out_type"),
        ("vit", {"out_type": "cls_token", "with_cls_token": False}, "with_cls_token"),
        ("vit", {"key_style": "torch"}, "key_style"),
        ("vit", {"layer_cfgs": [{}]}, "layer_cfgs"),
        ("vit", {"frozen_stages": 9}, "frozen_stages"),
        ("vit", {"num_heads": 3}, "heads"),
        ("deit", {"with_cls_token": False}, "class token"),
        ("swin", {"strides": (4, 2)}, "strides"),
        ("swin", {"depths": (1, 1)}, "unequal"),
        ("swin", {"stage_cfgs": {"blocks": 3}}, "block_cfgs"),
        ("pvt", {"num_layers": (1, 1)}, "num_layers"),
        ("xcit", {"patch_size": 12}, "patch_size"),
        ("xcit", {"out_type": "cls_token", "out_indices": 0}, "class token"),
        ("mixer", {"layer_cfgs": [{}]}, "layer_cfgs"),
    ],
)
def test_wrong_arguments(name: str, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        VARIANTS[name].make(**arguments)


@pytest.mark.parametrize(
    ("kind", "depth", "words"),
    [("densenet", 50, "darknet, resnet, resnext"), ("resnet", 53, "CSPNet of resnets has no 53")],
)
def test_networks_that_are_not_made_of_cross_stages(kind: str, depth: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CSPNet(kind=kind, depth=depth, out_indices=(3,))


def test_mixer_has_one_size() -> None:
    mixer = VARIANTS["mixer"].make()
    assert mixer(torch.zeros(2, 3, 64, 64))[0].shape == (2, 16, 16)
    with pytest.raises(ValueError, match="64"):
        mixer(torch.zeros(1, 3, 32, 64))
