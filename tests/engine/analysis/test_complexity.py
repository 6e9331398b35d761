"""Counts of parameters and operations, against formulas and published tables."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from visuite.engine.analysis import (
    ActivationAnalyzer,
    FlopAnalyzer,
    activation_count,
    flop_count,
    get_model_complexity_info,
    measure,
    parameter_count,
    parameter_count_table,
)
from visuite.engine.analysis.complexity import in_units


@settings(max_examples=8)
@given(
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    groups=st.integers(1, 2),
    kernel=st.sampled_from([1, 3]),
    stride=st.integers(1, 2),
    size=st.integers(4, 9),
)
def test_convolution_costs_its_kernel_at_every_output(channels, groups, kernel, stride, size):
    inside, outside = (groups * one for one in channels)
    conv = nn.Conv2d(inside, outside, kernel, stride=stride, padding=kernel // 2, groups=groups)
    image = torch.rand(2, inside, size, size)
    elements = conv(image).numel()
    found = measure(conv, image)
    assert found.total() == elements * kernel**2 * inside // groups
    assert found.total("activations") == elements
    assert found.total("parameters") == outside * (kernel**2 * inside // groups + 1)


def test_attention_counts_both_products_and_the_projections():
    length, width = 7, 16
    layer = nn.MultiheadAttention(width, num_heads=4, batch_first=True)
    tokens = torch.rand(1, length, width)
    projections = 4 * length * width * width
    products = 2 * length * length * width
    for training in (True, False):  # two ways through torch
        layer.train(training)
        assert measure(layer, (tokens, tokens, tokens)).total() == projections + products


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 8)
        self.blocks = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 8))
        self.head = nn.Linear(8, 8)
        self.head.weight = self.blocks[0].weight  # shared
        self.unused = nn.Linear(3, 3)

    def forward(self, x, scale=1.0):
        return self.head(self.blocks(self.stem(x))) * scale


def test_modules_add_up():
    analyzer = FlopAnalyzer(Tower(), torch.rand(5, 4))
    by_module = analyzer.by_module()
    assert by_module["stem"] == 5 * 4 * 8
    assert by_module["blocks"] == by_module["blocks.0"] + by_module["blocks.2"] == 5 * 2 * 64
    assert analyzer.total() == sum(by_module[name] for name in ("stem", "blocks", "head"))
    assert analyzer.total("unused") == 0
    assert set(analyzer.by_operator()) == {"addmm"}
    assert sum(analyzer.by_operator().values()) == analyzer.total()
    assert ActivationAnalyzer(Tower(), torch.rand(5, 4)).total("blocks") == 5 * 16


class OneByOne(nn.Module):
    """Calls members of containers, of one inside another too, and a part by another method than `forward`."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList([nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 8)]), nn.ModuleList()])
        self.row = nn.Sequential(nn.Linear(8, 2), nn.Linear(2, 1))
        self.idle = nn.Sequential(nn.Linear(1, 1))
        self.plain = nn.ReLU()

    def forward(self, x):
        for layer in self.branches[0]:
            x = layer(x)
        return self.row[0](x)


def test_containers_have_the_sum_of_their_members_and_idle_parts_are_named():
    found = measure(OneByOne(), torch.rand(1, 4))
    assert found.total() == 16 + 32 + 16
    counted = {name: found.total(module=name) for name in ("branches", "branches.0", "branches.1", "row", "idle")}
    assert counted == {"branches": 48, "branches.0": 48, "branches.1": 0, "row": 16, "idle": 0}
    assert found.total("activations", "branches") == 12
    assert found.idle == ["idle"]
    assert get_model_complexity_info(OneByOne(), (4,))["idle"] == ["idle"]


def test_inputs_may_be_named():
    assert measure(Tower(), {"x": torch.rand(5, 4), "scale": 2.0}).total() == measure(Tower(), torch.rand(5, 4)).total()


def test_shared_parameters_count_once_in_the_whole():
    counts = parameter_count(Tower())
    assert counts["head"] == counts["blocks.0"] == 72
    assert counts["head.bias"] == 8
    assert counts[""] == sum(one.numel() for one in Tower().parameters()) == 40 + 72 + 16 + 72 + 8 + 12


def test_model_is_as_before():
    model = Tower()
    model.blocks.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    measure(model, torch.rand(5, 4))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_modes_return_after_an_error():
    model = Tower()
    with pytest.raises(RuntimeError):
        measure(model, torch.rand(5, 3))
    assert model.training


@pytest.mark.parametrize(
    ("name", "flops", "parameters"), [("resnet18", 1.81e9, 11.69e6), ("mobilenet_v2", 0.30e9, 3.50e6)]
)
def test_known_models_cost_what_their_tables_say(name, flops, parameters):
    models = pytest.importorskip("torchvision").models
    info = get_model_complexity_info(getattr(models, name)(), (3, 224, 224), show_arch=False)
    assert info["flops"] == pytest.approx(flops, rel=0.01)
    assert info["params"] == pytest.approx(parameters, rel=0.002)


def test_operators_from_outside_are_named():
    ops = pytest.importorskip("torchvision").ops
    conv = ops.DeformConv2d(2, 2, 3, padding=1)
    found = measure(conv, (torch.rand(1, 2, 5, 5), torch.zeros(1, 18, 5, 5)))
    assert found.uncounted == {"torchvision.deform_conv2d": 1}


def test_report():
    info = get_model_complexity_info(Tower(), inputs=torch.rand(1, 4), max_depth=1)
    assert info["flops"] == 32 + 3 * 64
    assert info["flops_str"] == "224"
    assert [line.split()[0] for line in info["out_table"].splitlines()[2:]] == [
        "model",
        "stem",
        "blocks",
        "head",
        "unused",
    ]
    assert (
        "(stem): Linear(in_features=4, out_features=8, bias=True, 40 parameters, 32 flops, 8 activations)"
        in (info["out_arch"])
    )
    assert get_model_complexity_info(Tower(), (4,), show_table=False, show_arch=False)["out_table"] == ""
    with pytest.raises(ValueError, match="either input_shape or inputs"):
        get_model_complexity_info(Tower())


def test_arch_lists_every_module_once_in_order():
    arch = get_model_complexity_info(Tower(), (4,))["out_arch"]
    bare = str(Tower())
    assert [line.split("(", 2)[1] for line in arch.splitlines() if "): " in line] == [
        line.split("(", 2)[1] for line in bare.splitlines() if "): " in line
    ]


def test_parameter_table_goes_to_its_depth():
    lines = parameter_count_table(Tower(), max_depth=2).splitlines()
    assert [line.split()[0] for line in lines[2:8]] == ["model", "stem", "weight", "bias", "blocks", "0"]
    assert "(8, 4)" in lines[4]
    assert len(parameter_count_table(Tower(), max_depth=3).splitlines()) > len(lines)


def test_counts_in_thousand_millions_and_millions():
    flops, uncounted = flop_count(Tower(), torch.rand(5, 4))
    assert flops["addmm"] == pytest.approx(5 * 224e-9)
    assert not uncounted
    assert activation_count(Tower(), torch.rand(5, 4))[0]["addmm"] == pytest.approx(5 * 32e-6)


@pytest.mark.parametrize(
    ("number", "text"), [(999, "999"), (1000, "1.000K"), (4123456789, "4.123G"), (2 * 10**12, "2.000T")]
)
def test_units(number, text):
    assert in_units(number) == text
