"""Layer-wise decay of real backbones: depths against the order in which a forward pass meets their layers."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import nn

from visuite.engine.optim import build_optim_wrapper
from visuite.engine.registry import MODELS

VIT = dict(embed_dims=8, num_layers=5, num_heads=1, feedforward_channels=8)
BEIT = dict(embed_dims=8, num_layers=4, num_heads=1, qv_bias=True, init_values=0.1, out_indices=(1, 3))
SWIN = dict(embed_dims=8, depths=[2, 1, 3, 2], num_heads=[1, 1, 1, 1])
SHORT, LONG = (dict(depths=[3, 3, depth, 3], channels=[4, 4, 8, 8]) for depth in (9, 27))
EVERY = dict(out_indices=(0, 1, 2, 3))
#: A backbone for images of 64 x 64, and how many layers it has for the sake of the decay.
BACKBONES = {
    "ViT": (dict(type="cv.VisionTransformer", arch=VIT, img_size=64, patch_size=16), 5),
    "BEiT": (dict(type="seg.BEiT", img_size=(64, 64), patch_size=16, **BEIT), 4),
    "Swin": (
        dict(type="cv.SwinTransformer", arch=SWIN, img_size=64, use_abs_pos_embed=True, window_size=2, **EVERY),
        8,
    ),
    "ConvNeXt, short": (dict(type="cv.ConvNeXt", arch=SHORT, **EVERY), 6),
    "ConvNeXt, long": (dict(type="cv.ConvNeXt", arch=LONG, **EVERY), 12),
}
CONSTRUCTORS = {
    "LearningRateDecayOptimizerConstructor": "decay_rate",
    "LearningRateDecayOptimWrapperConstructor": "layer_decay_rate",
}


class Net(nn.Module):
    def __init__(self, backbone) -> None:
        super().__init__()
        self.backbone, self.decode_head = MODELS.build(backbone), nn.Linear(2, 2)


def groups_of(model, constructor, **paramwise):
    """{name: its group}."""
    cfg = dict(optimizer=dict(type="AdamW", lr=1.0, weight_decay=0.5), constructor=constructor, paramwise_cfg=paramwise)
    names = {id(p): n for n, p in model.named_parameters()}
    optimizer = build_optim_wrapper(model, cfg).optimizer
    return {names[id(p)]: group for group in optimizer.param_groups for p in group["params"]}


def depths_of(model, constructor, **paramwise):
    """{name: layers below the head's}, from learning rates alone."""
    found = groups_of(model, constructor, **{CONSTRUCTORS[constructor]: 0.5, **paramwise})
    return {name: round(-math.log2(group["lr"])) for name, group in found.items()}


def met_in_order(model):
    """The names of weights of layers, as a forward pass meets them."""
    names = []
    for path, module in model.named_modules():
        if not list(module.children()) and list(module.parameters()):
            module.register_forward_hook(lambda module, args, out, path=path: names.append(f"{path}.weight"))
    model.backbone.eval()(torch.zeros(1, 3, 64, 64))
    return names


def unit_of(name):
    """What of a backbone shares a depth, written out by names."""
    if re.search(r"backbone\.(norm\d|ln\d)\.", name):
        return "out"
    if found := re.search(r"backbone\.(layers\.\d+|stages\.\d+\.blocks\.\d+|stages\.\d+\.downsample)\.", name):
        return found[1]
    if found := re.search(r"backbone\.stages\.(\d+)\.(\d+)\.", name):  # of ConvNeXt: three blocks of the third stage
        return f"stage {found[1]}, {int(found[2]) // 3 if found[1] == '2' else 0}"
    return "stem"


@pytest.mark.parametrize("constructor", CONSTRUCTORS)
@pytest.mark.parametrize("name", BACKBONES)
def test_rates_rise_with_the_layers_of_a_forward_pass(name, constructor):
    cfg, layers = BACKBONES[name]
    model = Net(cfg)
    below = depths_of(model, constructor)
    assert below["decode_head.weight"] == 0
    order = [one for one in met_in_order(model) if one in below]
    assert len(order) > 10
    inside = [one for one in order if unit_of(one) != "out"]
    assert {below[one] for one in order if unit_of(one) == "out"} <= {0}  # what the head reads is trained as it is
    along = [below[one] for one in inside]
    assert along == sorted(along, reverse=True)
    assert along[0] == layers + 1
    assert set(below.values()) == set(range(layers + 2))
    units: dict[str, set[int]] = {}
    for one in inside:
        if not re.search(r"downsample\.|downsample_layers\.[1-9]", one):  # what halves is between two units
            units.setdefault(unit_of(one), set()).add(below[one])
    assert all(len(depths) == 1 for depths in units.values())
    assert len(units) == layers + 1  # and no two share one
    assert len({min(depths) for depths in units.values()}) == layers + 1


@pytest.mark.parametrize("name", BACKBONES)
def test_tokens_and_positions_are_stem_and_not_decayed(name):
    cfg, layers = BACKBONES[name]
    found = groups_of(Net(cfg), "LearningRateDecayOptimizerConstructor", decay_rate=0.5)
    free = {one for one, group in found.items() if group["weight_decay"] == 0}
    flat = {one for one, parameter in Net(cfg).named_parameters() if parameter.ndim == 1}
    tokens = {one for one in found if one.rpartition(".")[2] in ("cls_token", "pos_embed", "absolute_pos_embed")}
    assert free == flat | tokens
    assert {found[one]["lr"] for one in tokens} <= {0.5 ** (layers + 1)}
    assert bool(tokens) == ("ConvNeXt" not in name)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_number_of_layers_is_checked_against_what_the_model_tells(name):
    cfg, layers = BACKBONES[name]
    told = depths_of(Net(cfg), "LearningRateDecayOptimizerConstructor")
    assert depths_of(Net(cfg), "LearningRateDecayOptimizerConstructor", num_layers=layers) == told
    if "ConvNeXt" not in name:  # whose blocks are grouped to a number that is given
        with pytest.raises(ValueError, match=f"num_layers={layers + 7}, and .* tells that it has {layers}"):
            depths_of(Net(cfg), "LearningRateDecayOptimizerConstructor", num_layers=layers + 7)


@pytest.mark.parametrize("name", ["Swin", "ConvNeXt, short"])
def test_stages_share_a_rate(name):
    below = depths_of(
        Net(BACKBONES[name][0]), "LearningRateDecayOptimizerConstructor", decay_type="stage_wise", num_layers=4
    )
    for one, depth in below.items():
        stage = re.search(r"backbone\.stages\.(\d)", one)
        stem = "embed" in one or "backbone.downsample_layers" in one
        assert depth == (4 - int(stage[1]) if stage else 5 if stem else 0), one


def test_stages_are_needed_for_stages():
    with pytest.raises(ValueError, match=r"backbone\.stages, which VisionTransformer has not"):
        depths_of(
            Net(BACKBONES["ViT"][0]), "LearningRateDecayOptimizerConstructor", decay_type="stage_wise", num_layers=4
        )
