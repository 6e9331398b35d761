"""Parameter groups against a table made by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from visuite.engine.optim import (
    AmpOptimWrapper,
    DefaultOptimWrapperConstructor,
    OptimWrapper,
    OptimWrapperDict,
    build_optim_wrapper,
)
from visuite.engine.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS

SGD = dict(type="SGD", lr=1.0, weight_decay=1.0, momentum=0.9)


class Deformable(nn.Module):
    """Stands in for a deformable convolution: it has `deform_groups` and predicts offsets."""

    def __init__(self):
        super().__init__()
        self.deform_groups = 1
        self.weight, self.bias = nn.Parameter(torch.zeros(4, 4, 1, 1)), nn.Parameter(torch.zeros(4))
        self.conv_offset = nn.Conv2d(4, 18, 1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(3))
        self.conv = nn.Conv2d(3, 4, 1)
        self.dw = nn.Conv2d(4, 4, 3, groups=4)
        self.bn = nn.BatchNorm2d(4)
        self.dcn = Deformable()
        self.sub = nn.Sequential(nn.Conv2d(4, 4, 1, bias=False), nn.LayerNorm(4))
        self.frozen = nn.Linear(2, 2).requires_grad_(False)


def groups_of(paramwise, optimizer=SGD, model=None):
    """{name: (lr, weight decay)}, in the order of the groups."""
    model = model or Net()
    wrapper = build_optim_wrapper(model, dict(optimizer=optimizer, paramwise_cfg=paramwise))
    names = {id(p): n for n, p in model.named_parameters()}
    assert all(len(group["params"]) == 1 for group in wrapper.optimizer.param_groups)
    return {names[id(g["params"][0])]: (g["lr"], g["weight_decay"]) for g in wrapper.optimizer.param_groups}


def test_every_multiplier():
    found = groups_of(
        dict(
            bias_lr_mult=2,
            bias_decay_mult=3,
            norm_decay_mult=5,
            dwconv_decay_mult=7,
            flat_decay_mult=11,
            dcn_offset_lr_mult=0.5,
        )
    )
    assert found == {
        "scale": (1, 11),
        "conv.weight": (1, 1),
        "conv.bias": (2, 3),
        "dw.weight": (1, 7),
        "dw.bias": (2, 3),
        "bn.weight": (1, 5),
        "bn.bias": (1, 5),
        "dcn.weight": (1, 1),
        "dcn.bias": (2, 3),
        "dcn.conv_offset.weight": (0.5, 1),
        "dcn.conv_offset.bias": (0.5, 1),
        "sub.0.weight": (1, 1),
        "sub.1.weight": (1, 5),
        "sub.1.bias": (1, 5),
    }
    assert list(found) == [name for name, p in Net().named_parameters() if p.requires_grad]


@pytest.mark.parametrize("kind", ["DCN", "DCNv2"])
def test_real_deformable_convolutions_and_norms_are_known(kind):
    dcn = dict(type=kind, deform_groups=1, fallback_on_stride=False)
    cfg = dict(type="cv.ResNet", depth=50, base_channels=4, dcn=dcn, stage_with_dcn=(False, False, True, False))
    multipliers = dict(dcn_offset_lr_mult=0.5, norm_decay_mult=5, bias_lr_mult=2, bias_decay_mult=3)
    found = groups_of(multipliers, model=MODELS.build(cfg))
    offsets = {name for name in found if ".conv_offset." in name}
    assert len(offsets) == 2 * 6  # weight and bias of six blocks
    norms = {name for name in found if ".bn" in f".{name}" or "downsample.1" in name}
    for name, values in found.items():
        assert values == ((0.5, 1) if name in offsets else (1, 5) if name in norms else (1, 1)), name


def test_longest_custom_key_holds_and_then_nothing_else():
    custom = {"b": dict(lr_mult=9), "sub": dict(decay_mult=0.5), "sub.1": dict(lr_mult=0.25), "conv": dict(lr_mult=0.1)}
    found = groups_of(dict(custom_keys=custom, norm_decay_mult=0, bias_lr_mult=2))
    assert found["sub.0.weight"] == (1, 0.5)
    assert found["sub.1.weight"] == (0.25, 1)
    assert found["conv.bias"] == (0.1, 1)
    assert found["dw.bias"] == (9, 1)
    assert found["scale"] == (1, 1)


def test_equally_long_keys_go_by_the_alphabet():
    found = groups_of(dict(custom_keys={"weight": dict(lr_mult=3), "ub.0.w": dict(lr_mult=2)}))
    assert found["sub.0.weight"] == (2, 1)
    assert found["conv.weight"] == (3, 1)


def test_options_of_the_optimizer_and_marks_go_into_the_group():
    cfg = dict(
        optimizer=SGD, paramwise_cfg=dict(custom_keys={"conv": dict(momentum=0.1), "bn": dict(lars_exclude=True)})
    )
    groups = build_optim_wrapper(Net(), cfg).optimizer.param_groups
    assert groups[1]["momentum"] == 0.1
    assert groups[5]["lars_exclude"]


def test_keys_that_nobody_reads_are_told(capsys):
    groups_of(dict(custom_keys=dict(conv=dict(decay_mul=0.0))))
    assert "'decay_mul'" in "".join(capsys.readouterr())


def test_forced_defaults_apply_beside_custom_keys():
    cfg = dict(
        optimizer=SGD,
        constructor="ForceDefaultOptimWrapperConstructor",
        paramwise_cfg=dict(bias_decay_mult=0, force_default_settings=True, custom_keys={"conv": dict(lr_mult=0.1)}),
    )
    bias = build_optim_wrapper(Net(), cfg).optimizer.param_groups[2]
    assert (bias["lr"], bias["weight_decay"]) == (0.1, 0)


def test_multipliers_of_the_optimizers_own_defaults():
    found = groups_of(dict(norm_decay_mult=2, bias_lr_mult=3), dict(type="AdamW"))
    assert found["bn.weight"] == (1e-3, 2e-2)
    assert found["conv.bias"] == (3e-3, 1e-2)
    with pytest.raises(ValueError, match="decay_mult, and the optimizer has no 'weight_decay'"):
        groups_of(dict(norm_decay_mult=2), dict(type="Rprop"))


@pytest.mark.parametrize("paramwise", [None, {}])
def test_one_group_by_default(paramwise):
    model = Net()
    wrapper = build_optim_wrapper(model, dict(optimizer=SGD, paramwise_cfg=paramwise))
    assert [len(g["params"]) for g in wrapper.optimizer.param_groups] == [len(list(model.parameters()))]
    assert wrapper.base_param_settings is None


def test_parameters_in_two_places():
    model = nn.ModuleDict(dict(a=nn.Sequential(nn.Linear(2, 2)), b=nn.Sequential(nn.Linear(2, 2))))
    model["b"][0] = model["a"][0]
    with pytest.raises(ValueError, match=r"a\.0\.weight and b\.0\.weight are one parameter"):
        groups_of(dict(norm_decay_mult=0), model=model)
    assert list(groups_of(dict(bypass_duplicate=True), model=model)) == ["a.0.weight", "a.0.bias"]


@pytest.mark.parametrize(
    ("cfg", "error", "words"),
    [
        (dict(optimizer=SGD, paramwise_cfg=dict(norm_decay_mul=0)), ValueError, "'norm_decay_mult'"),
        (dict(optimizer=SGD, paramwise_cfg=dict(custom_keys=dict(a=3))), TypeError, "lr_mult=0.1"),
        (dict(type="OptimWrapper"), KeyError, "optimizer"),
        (dict(optimizer=dict(type="SDG", lr=1)), KeyError, "SGD"),
        (dict(optimizer=dict(type="SGD", lr=1, momentun=1)), TypeError, "'momentum'"),
        (dict(optimizer=SGD, acumulative_counts=2), TypeError, "'accumulative_counts'"),
        (dict(optimizer=SGD, constructor="DefaultOptimWrapperConstrutor"), KeyError, "DefaultOptimWrapperConstructor"),
        (3, TypeError, "a config"),
    ],
)
def test_bad_configs_are_told(cfg, error, words):
    with pytest.raises(error, match=words):
        build_optim_wrapper(Net(), cfg)


def test_keys_meant_for_merging_do_no_harm():
    assert groups_of(dict(_delete=True, norm_decay_mult=0.0))["bn.weight"] == (1, 0)


def test_what_is_built_already_is_kept():
    model = Net()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    assert build_optim_wrapper(model, wrapper) is wrapper
    assert isinstance(build_optim_wrapper(model, dict(a=wrapper, b=wrapper)), OptimWrapperDict)
    cfg = dict(type="AmpOptimWrapper", optimizer=wrapper.optimizer, accumulative_counts=2)
    amp = build_optim_wrapper(model, cfg)
    assert isinstance(amp, AmpOptimWrapper)
    assert amp.optimizer is wrapper.optimizer


def test_config_is_left_as_it_was():
    cfg = dict(optimizer=dict(SGD), paramwise_cfg=dict(norm_decay_mult=0.0), type="OptimWrapper")
    before = repr(cfg)
    build_optim_wrapper(Net(), cfg)
    assert repr(cfg) == before


def test_wrapped_models_are_unwrapped():
    model = Net()
    wrapper = build_optim_wrapper(nn.DataParallel(model), dict(optimizer=SGD, paramwise_cfg=dict(custom_keys={})))
    assert wrapper.optimizer.param_groups[0]["params"][0] is model.scale


def test_own_constructors_add_groups_and_read_keys_of_their_own():
    @OPTIM_WRAPPER_CONSTRUCTORS.register_module(name="HalvingConstructor", force=True)
    class Halving(DefaultOptimWrapperConstructor):
        def add_params(self, params, module, prefix="", lr=None):
            lr = self.base_lr if lr is None else lr
            for _, param in module.named_parameters(recurse=False):
                params.append(dict(params=[param], lr=lr))
            for name, child in module.named_children():
                self.add_params(params, child, f"{prefix}.{name}", lr=lr * self.paramwise_cfg["decay_factor"])

    model = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1)))
    cfg = dict(
        constructor="HalvingConstructor", paramwise_cfg=dict(decay_factor=0.5), optimizer=dict(type="SGD", lr=1.0)
    )
    assert build_optim_wrapper(model, cfg).get_lr()["lr"] == [0.5, 0.5, 0.25, 0.25]
