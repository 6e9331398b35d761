"""The convolutional families: contracts, and the wrong arguments they refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests import contracts
from visuite.cv.backbones import (
    VGG,
    ConvNeXt,
    CSPDarknet,
    CSPNet,
    CSPNeXt,
    Darknet,
    DenseNet,
    EfficientNet,
    HRNet,
    MobileNetV2,
    MobileNetV3,
    RegNet,
    RepVGG,
    Res2Net,
    ResNeSt,
    ResNet,
    ShuffleNetV2,
)
from visuite.cv.backbones.cspnet import CSPArch

BN = {"type": "BN"}
THIN_REGNET = {"w0": 8, "wa": 8.0, "wm": 2.0, "depth": 5, "group_w": 4, "bot_mul": 1.0}
THIN_DENSENET = {"growth_rate": 4, "depths": (1, 2, 2, 1), "init_channels": 8}
THIN_REPVGG = {
    "num_blocks": (1, 2, 2, 1),
    "width_factor": (1, 1, 1, 1),
    "groups": 2,
    "se_cfg": {"ratio": 2, "divisor": 1},
}
THIN_CONVNEXT = {"depths": (1, 2, 1, 1), "channels": (8, 8, 16, 16)}


def thin_hrnet() -> dict[str, Any]:
    def stage(branches: int, block: str = "BASIC") -> dict[str, Any]:
        widths = tuple(4 * 2**branch for branch in range(branches))
        ones = (1,) * branches
        return {"num_modules": 1, "num_branches": branches, "block": block, "num_blocks": ones, "num_channels": widths}

    return {"stage1": stage(1, "BOTTLENECK"), **{f"stage{n}": stage(n) for n in (2, 3, 4)}}


class ThinCSPNet(CSPNet):
    arch_settings = {
        "darknet": {53: CSPArch((8, 16), (1, 2), (2, 1), (0.5, 1))},
        "resnet": {50: CSPArch((8, 16), (1, 2), (2, 2), (0.5, 0.5))},
    }


@dataclass
class Case:
    """A thin network, and what of the contracts is special about it."""

    make: Callable[..., nn.Module]
    frozen: tuple[int, tuple[str, ...]]  # a value of `frozen_stages`, and what it holds
    checkpoints_by: str = "with_cp"
    #: Patches and pooling without a rest drop what is over.
    sizes: tuple[tuple[int, int], ...] = ((97, 65),)
    has_norms_to_hold: bool = True


def _bind(kind: Callable[..., nn.Module], /, **arguments: Any) -> Callable[..., nn.Module]:
    return lambda **more: kind(**{**arguments, **more})


WHOLE = ((96, 64),)
ALL4, ALL5 = (0, 1, 2, 3), (0, 1, 2, 3, 4)
RESNET = {"depth": 50, "base_channels": 8, "zero_init_residual": False}
CONVNEXT = {"arch": THIN_CONVNEXT, "out_indices": ALL4, "gap_before_final_norm": False, "layer_scale_init_value": 0.5}
EFFICIENT = {"out_indices": (1, 2, 3, 4, 5, 6)}
CSP = {"deepen_factor": 0.1, "widen_factor": 0.125, "out_indices": ALL5}
CASES: dict[str, Case] = {
    "resnext": Case(_bind(ResNet, **RESNET, groups=4, width_per_group=4), (1, ("conv1", "bn1", "layer1"))),
    "seresnet": Case(_bind(ResNet, **RESNET, se_ratio=4), (1, ("conv1", "bn1", "layer1"))),
    "seresnet-basic": Case(_bind(ResNet, **{**RESNET, "depth": 18}, se_ratio=4), (0, ("conv1", "bn1"))),
    "wide-resnet": Case(_bind(ResNet, **{**RESNET, "base_channels": 16}, expansion=2), (0, ("conv1", "bn1"))),
    "resnest": Case(_bind(ResNeSt, **RESNET), (1, ("stem", "layer1"))),
    "resnest-groups": Case(
        _bind(ResNeSt, **RESNET, groups=2, base_width=4, radix=1, avg_down_stride=False), (0, ("stem",))
    ),
    "res2net": Case(_bind(Res2Net, **{**RESNET, "base_channels": 16}), (1, ("stem", "layer1"))),
    "cspdarknet": Case(_bind(CSPDarknet, **CSP), (1, ("stem", "stage1")), checkpoints_by=""),
    "cspdarknet-p6": Case(
        _bind(CSPDarknet, arch="P6", **{**CSP, "out_indices": (0, 5)}, use_depthwise=True), (0, ("stem",)), ""
    ),
    "csp-darknet-cls": Case(
        _bind(ThinCSPNet, kind="darknet", depth=53, out_indices=(0, 1)), (1, ("stem", "stages.0")), checkpoints_by=""
    ),
    "csp-resnet": Case(
        _bind(ThinCSPNet, kind="resnet", depth=50, out_indices=(0, 1)), (1, ("stem", "stages.0")), checkpoints_by=""
    ),
    "cspnext": Case(_bind(CSPNeXt, **CSP), (2, ("stem", "stage1", "stage2")), checkpoints_by=""),
    "cspnext-plain": Case(
        _bind(CSPNeXt, **CSP, channel_attention=False, use_depthwise=True, expand_ratio=0.25), (0, ("stem",)), ""
    ),
    "regnet": Case(
        _bind(RegNet, arch=THIN_REGNET, zero_init_residual=False, out_indices=(0, -1)), (1, ("conv1", "bn1", "layer1"))
    ),
    "vgg": Case(
        _bind(VGG, depth=11, norm_cfg=BN, ceil_mode=True, out_indices=ALL5),
        (2, ("features.0", "features.1.", "features.2")),
        checkpoints_by="",
    ),
    "mobilenet-v2": Case(_bind(MobileNetV2, widen_factor=0.25), (1, ("conv1", "layer1"))),
    "mobilenet-v3": Case(
        _bind(MobileNetV3, arch="small_050", out_indices=(0, 1, 3, 8, 12)), (1, ("layer0", "layer1."))
    ),
    "mobilenet-v3-seg": Case(
        _bind(
            MobileNetV3,
            arch="large_075",
            output_stride=8,
            adaptive_padding=True,
            reduction_factor=2,
            out_indices=(1, 3, 16),
        ),
        (0, ("layer0",)),
    ),
    "shufflenet-v2": Case(_bind(ShuffleNetV2, widen_factor=0.5, out_indices=ALL4), (1, ("conv1", "layers.0"))),
    "efficientnet": Case(_bind(EfficientNet, arch="b0", **EFFICIENT), (2, ("layers.0", "layers.1"))),
    "efficientnet-es": Case(_bind(EfficientNet, arch="es", act_cfg={"type": "ReLU"}, **EFFICIENT), (1, ("layers.0",))),
    "densenet": Case(
        _bind(DenseNet, arch=THIN_DENSENET, out_indices=ALL4),
        (1, ("stem", "stages.0", "transitions.0")),
        checkpoints_by="memory_efficient",
        sizes=WHOLE,
    ),
    "repvgg": Case(_bind(RepVGG, arch=THIN_REPVGG, base_channels=8, out_indices=ALL4), (1, ("stem", "stage_1"))),
    "hrnet": Case(_bind(HRNet, extra=thin_hrnet()), (2, ("conv1", "bn2", "layer1", "transition1", "stage2"))),
    "hrnet-bilinear": Case(
        _bind(HRNet, extra=thin_hrnet(), upsample="bilinear", multiscale_output=False), (0, ("conv1", "bn1"))
    ),
    "convnext": Case(
        _bind(ConvNeXt, **CONVNEXT), (1, ("downsample_layers.0", "stages.0")), sizes=WHOLE, has_norms_to_hold=False
    ),
    "convnext-v2": Case(
        _bind(ConvNeXt, **{**CONVNEXT, "layer_scale_init_value": 0.0}, use_grn=True, linear_pw_conv=False),
        (1, ("downsample_layers.0", "stages.0")),
        sizes=WHOLE,
        has_norms_to_hold=False,
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_tells_its_maps(case: Case) -> None:
    contracts.takes_odd_sizes(case.make, case.sizes)


def test_gradients(case: Case) -> None:
    contracts.gradients_reach_every_parameter(case.make)


def test_any_number_of_channels(case: Case) -> None:
    contracts.takes_any_channels(case.make, (5,))


def test_half_precision(case: Case) -> None:
    contracts.works_in_half_precision(case.make)


def test_state_dict_round_trip(case: Case) -> None:
    contracts.state_dict_round_trip(case.make)


def test_checkpointing(case: Case) -> None:
    if not case.checkpoints_by:
        pytest.skip("has no such argument")

    def make(with_cp: bool) -> nn.Module:
        return case.make(**{case.checkpoints_by: with_cp})

    contracts.checkpointing_changes_nothing(make)


def test_norm_eval_and_frozen_stages(case: Case) -> None:
    count, names = case.frozen
    contracts.frozen_stages_hold(lambda: case.make(frozen_stages=count), names)
    if case.has_norms_to_hold:
        contracts.norm_eval_holds(lambda: case.make(norm_eval=True))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_bind(ResNet, depth=18, groups=32, width_per_group=4), "bottleneck"),
        (_bind(RegNet, arch="regnetx_400fm"), "did you mean 'regnetx_400mf'"),
        (_bind(RegNet, arch={"w0": 8}), "wa, wm, depth"),
        (_bind(VGG, depth=12), "VGG has no 12"),
        (_bind(VGG, depth=11, out_indices=(5,)), "out_indices"),
        (_bind(MobileNetV2, out_indices=(8,)), "out_indices"),
        (_bind(MobileNetV2, last_conv=False, out_indices=(7,)), "out_indices"),
        (_bind(MobileNetV2, strides=(1, 2)), "7 entries"),
        (_bind(MobileNetV3, arch="tiny"), "small_075"),
        (_bind(MobileNetV3, output_stride=4), "output_stride"),
        (_bind(ShuffleNetV2, widen_factor=0.75), "0.75"),
        (_bind(EfficientNet, arch="b9"), "b9"),
        (_bind(EfficientNet, frozen_stages=9), "frozen_stages"),
        (_bind(DenseNet, arch={"depths": (1,)}), "growth_rate"),
        (_bind(RepVGG, arch="A4"), "A4"),
        (_bind(RepVGG, arch="A0", strides=(2, 2)), "length"),
        (_bind(CSPNet, kind="densenet", depth=50, out_indices=(3,)), "darknet, resnet, resnext"),
        (_bind(CSPNet, kind="resnet", depth=53, out_indices=(3,)), "CSPNet of resnets has no 53"),
        (_bind(CSPDarknet, arch="p5"), "did you mean 'P5'"),
        (_bind(CSPDarknet, out_indices=(5,)), "out_indices"),
        (_bind(CSPNeXt, frozen_stages=5), "frozen_stages"),
        (_bind(CSPNeXt, spp_kernel_sizes=(4, 8)), "odd and grow"),
        (_bind(Darknet, depth=19), "Darknet has no 19"),
        (_bind(Darknet, out_indices=(6,)), "out_indices"),
        (_bind(ResNeSt, depth=18), "ResNeSt has no depth 18"),
        (_bind(Res2Net, depth=50, scales=1), "2 scales"),
        (_bind(HRNet, arch="w19"), "w19"),
        (_bind(HRNet, extra={"stage1": thin_hrnet()["stage1"]}), "stage2"),
        (_bind(HRNet, upsample="cubic"), "upsample"),
        (_bind(ConvNeXt, arch="teeny"), "tiny"),
        (_bind(ConvNeXt, arch={"depths": (1,), "channels": (8, 8)}), "length"),
        (_bind(HRNet, pretrained="a.pth", init_cfg={"type": "Normal"}), "both"),
    ],
)
def test_bad_arguments(make: Callable[..., nn.Module], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_hands_out_only_what_is_asked_for(case: Case) -> None:
    net = case.make().eval()
    with torch.no_grad():
        shapes = [tuple(one.shape[1:2]) for one in net(torch.zeros(1, 3, 64, 64))]
    assert shapes == [(channels,) for channels in net.out_channels]


@pytest.mark.slow
def test_exported_model_takes_other_sizes(case: Case, tmp_path: Path) -> None:
    for needed in ("onnx", "onnxscript"):
        pytest.importorskip(needed)
    runtime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    net, path = case.make().eval(), str(tmp_path / "backbone.onnx")
    sizes = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
    torch.onnx.export(net, (torch.randn(2, 3, 64, 96),), path, dynamo=True, verbose=False, dynamic_shapes=(sizes,))
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for shape in ((2, 3, 64, 96), (3, 3, 75, 99)):
        images = torch.randn(shape)
        with torch.no_grad():
            expected = net(images)
        found = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(torch.from_numpy(one), other, rtol=1e-3, atol=1e-4)
