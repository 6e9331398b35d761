"""Layer-wise decay against depths written out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from visuite.engine.optim import build_optim_wrapper

ADAMW = dict(type="AdamW", lr=1.0, weight_decay=0.5)


def nested(names: list[str], **attributes) -> nn.Module:
    """A module with a parameter of two dimensions at each dotted name."""
    root = nn.Module()
    for name in names:
        *path, last = name.split(".")
        node = root
        for part in path:
            if not hasattr(node, part):
                node.add_module(part, nn.Module())
            node = getattr(node, part)
        node.register_parameter(last, nn.Parameter(torch.ones(2) if last == "bias" else torch.ones(2, 2)))
    for key, value in attributes.items():
        setattr(root, key, value)
    return root


def rates(model: nn.Module, constructor: str, **paramwise) -> dict[str, tuple[float, float]]:
    """{name: (lr, weight decay)}."""
    wrapper = build_optim_wrapper(model, dict(optimizer=ADAMW, constructor=constructor, paramwise_cfg=paramwise))
    names = {id(p): n for n, p in model.named_parameters()}
    return {names[id(p)]: (g["lr"], g["weight_decay"]) for g in wrapper.optimizer.param_groups for p in g["params"]}


class Backbone(nn.Module):
    """Tells its depths: stem, two layers, and the head above."""

    def __init__(self):
        super().__init__()
        self.stem, self.layers, self.norm = (
            nn.Linear(2, 2),
            nn.ModuleList([nn.Linear(2, 2) for _ in range(2)]),
            nn.LayerNorm(2),
        )

    def get_layer_depth(self, param_name, prefix=""):
        name = param_name.removeprefix(prefix)
        depth = 0 if name.startswith("stem") else int(name.split(".")[1]) + 1 if name.startswith("layers") else 3
        return depth, 4


def told() -> nn.Module:
    model = nn.Module()
    model.backbone, model.head = Backbone(), nn.Linear(2, 2)
    return model


def test_models_tell_their_depths():
    found = rates(
        told(),
        "LearningRateDecayOptimWrapperConstructor",
        layer_decay_rate=0.5,
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
    )
    assert found["backbone.stem.weight"] == (0.125, 0.5)
    assert found["backbone.layers.0.weight"] == (0.25, 0.5)
    assert found["backbone.layers.1.bias"] == (0.5, 0.0)
    assert found["backbone.norm.weight"] == (1.0, 0.0)
    assert found["head.weight"] == (1.0, 0.5)


def test_custom_keys_multiply_on_top():
    custom = {"stem": dict(lr_mult=2.0, decay_mult=0.0)}
    found = rates(told(), "LearningRateDecayOptimWrapperConstructor", layer_decay_rate=0.5, custom_keys=custom)
    assert found["backbone.stem.weight"] == (0.25, 0.0)


def test_whole_models_may_tell_too():
    model = told()
    model.get_layer_depth = lambda name: (0 if name.startswith("backbone") else 1, 2)
    found = rates(model, "LearningRateDecayOptimWrapperConstructor", layer_decay_rate=0.5)
    assert {rate for name, (rate, _) in found.items() if name.startswith("backbone")} == {0.5}
    assert found["head.weight"][0] == 1.0


def test_without_depths_the_rate_stays_and_it_is_said(capsys):
    found = rates(nn.Linear(2, 2), "LearningRateDecayOptimWrapperConstructor", layer_decay_rate=0.5)
    assert {rate for rate, _ in found.values()} == {1.0}
    assert "get_layer_depth" in "".join(capsys.readouterr())


class ConvNeXtLike(nn.Module):
    """Its class name makes it a ConvNeXt."""


CONVNEXT = {  # name of a parameter: its depth among 12 layers, stem and head; its depth by stage among 4
    "backbone.downsample_layers.0.w": (0, 0),
    "backbone.downsample_layers.1.w": (2, 0),
    "backbone.downsample_layers.2.w": (3, 0),
    "backbone.downsample_layers.3.w": (12, 0),
    "backbone.stages.0.2.w": (1, 1),
    "backbone.stages.1.0.w": (2, 2),
    "backbone.stages.2.2.w": (3, 3),
    "backbone.stages.2.3.w": (4, 3),
    "backbone.stages.2.26.w": (11, 3),
    "backbone.stages.3.0.w": (12, 4),
    "backbone.norm3.w": (13, 5),
    "decode_head.w": (13, 5),
}


@pytest.mark.parametrize(("kind", "layers"), [("layer_wise", 12), ("stage_wise", 4)])
def test_convnext(kind, layers):
    model = nested(list(CONVNEXT))
    model.backbone.__class__ = ConvNeXtLike
    found = rates(model, "LearningRateDecayOptimizerConstructor", decay_rate=0.5, decay_type=kind, num_layers=layers)
    expected = {name: 0.5 ** (layers + 1 - depths[kind == "stage_wise"]) for name, depths in CONVNEXT.items()}
    assert {name: rate for name, (rate, _) in found.items()} == expected


@pytest.mark.parametrize(
    ("constructor", "key"),
    [("LearningRateDecayOptimizerConstructor", "decay_rate"), ("LayerDecayOptimizerConstructor", "layer_decay_rate")],
)
def test_transformers(constructor, key):
    depths = {
        "backbone.cls_token": 0,
        "backbone.pos_embed": 0,
        "backbone.patch_embed.w": 0,
        "backbone.layers.0.w": 1,
        "backbone.layers.0.bias": 1,
        "backbone.layers.11.w": 12,
        "decode_head.w": 13,
    }
    found = rates(nested(list(depths)), constructor, **{key: 0.9, "num_layers": 12})
    assert {name: rate for name, (rate, _) in found.items()} == {n: 0.9 ** (13 - d) for n, d in depths.items()}
    undecayed = {name for name, (_, decay) in found.items() if decay == 0}
    assert undecayed == {"backbone.cls_token", "backbone.pos_embed", "backbone.layers.0.bias"}


def test_groups_are_shared_and_named():
    model = nested(["backbone.layers.0.a", "backbone.layers.0.bias", "backbone.layers.0.b", "head.w"])
    cfg = dict(
        optimizer=ADAMW,
        constructor="LearningRateDecayOptimizerConstructor",
        paramwise_cfg=dict(decay_rate=0.5, num_layers=1),
    )
    groups = build_optim_wrapper(model, cfg).optimizer.param_groups
    assert [group["group_name"] for group in groups] == ["layer_1_decay", "layer_1_no_decay", "layer_2_decay"]
    assert groups[0]["param_names"] == ["backbone.layers.0.a", "backbone.layers.0.b"]
    assert [group["lr_scale"] for group in groups] == [0.5, 0.5, 1.0]


def test_the_decay_that_a_config_inherits_may_stay_where_it_changes_nothing():
    model, kind = nested(["backbone.layers.0.w"]), "LearningRateDecayOptimizerConstructor"
    plain = dict(decay_rate=0.9, num_layers=12)
    assert rates(model, kind, **plain, norm_decay_mult=0, bias_decay_mult=0.0) == rates(model, kind, **plain)


def test_models_that_tell_need_no_number_of_layers():
    found = rates(told(), "LearningRateDecayOptimizerConstructor", decay_rate=0.5)
    assert found["backbone.stem.weight"] == (0.125, 0.5)
    assert found["head.bias"] == (1.0, 0.0)


@pytest.mark.parametrize(
    ("paramwise", "error", "words"),
    [
        (dict(num_layers=12), KeyError, "decay_rate"),
        (dict(decay_rate=0.9), KeyError, "num_layers"),
        (dict(decay_rate=0.9, num_layers=12, decay_type="layerwise"), ValueError, "'layer_wise'"),
        (dict(decay_rate=0.9, num_layer=12), ValueError, "'num_layers'"),
        (dict(decay_rate=0.9, num_layers=12, norm_decay_mult=1.0), ValueError, "norm_decay_mult is 0 with"),
    ],
)
def test_bad_settings_are_told(paramwise, error, words):
    with pytest.raises(error, match=words):
        rates(nested(["backbone.layers.0.w"]), "LearningRateDecayOptimizerConstructor", **paramwise)


def test_unknown_backbones_are_told_with_their_place():
    with pytest.raises(ValueError, match="get_layer_depth") as caught:
        rates(nested(["backbone.w"]), "LearningRateDecayOptimizerConstructor", decay_rate=0.5, num_layers=2)
    assert "optim_wrapper (LearningRateDecayOptimizerConstructor)" in caught.value.__notes__[0]
