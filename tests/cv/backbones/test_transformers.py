"""Transformers and their kin: what all backbones promise."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests import contracts
from visuite.cv.backbones import (
    DistilledVisionTransformer,
    MlpMixer,
    PoolFormer,
    PyramidVisionTransformer,
    SwinTransformer,
    VisionTransformer,
    XCiT,
)
from visuite.engine.registry import MODELS

VIT = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32}
SWIN = {"embed_dims": 8, "depths": (2, 2, 2), "num_heads": (1, 2, 4)}
PVT: dict[str, Any] = {"embed_dims": 8, "num_layers": (1, 1, 1, 1), "num_heads": (1, 1, 2, 2), "pretrain_img_size": 64}
MAPS: dict[str, tuple[Any, dict[str, Any]]] = {
    "vit": (VisionTransformer, {"arch": VIT, "img_size": 64, "out_type": "featmap", "out_indices": (0, 1)}),
    "vit-other": (
        VisionTransformer,
        {
            "arch": VIT,
            "img_size": (32, 64),
            "out_type": "featmap",
            "with_cls_token": False,
            "pre_norm": True,
            "layer_scale_init_value": 0.5,
            "layer_cfgs": {"ffn_type": "swiglu_fused"},
        },
    ),
    "vit-dense": (VisionTransformer, {"arch": VIT, "img_size": 64, "out_type": "featmap", "key_style": "dense"}),
    "deit": (DistilledVisionTransformer, {"arch": VIT, "img_size": 64, "out_type": "featmap"}),
    "swin": (SwinTransformer, {"arch": SWIN, "window_size": 4, "out_indices": (0, 1, 2)}),
    "swin-cls": (
        SwinTransformer,
        {
            "arch": SWIN,
            "window_size": 4,
            "pad_small_map": False,
            "use_abs_pos_embed": True,
            "img_size": 64,
            "out_after_downsample": True,
            "out_indices": (0, 1, 2),
        },
    ),
    "pvt": (PyramidVisionTransformer, {**PVT, "qkv_bias": False}),
    "pvt-v2": ("PyramidVisionTransformerV2", PVT),
    "mit": ("MixVisionTransformer", {**PVT, "out_indices": (1, 3)}),
    "xcit": (XCiT, {"embed_dims": 16, "depth": 2, "num_heads": 2, "out_type": "featmap", "tokens_norm": True}),
}
POOL: dict[str, Any] = {
    "arch": {
        "layers": (1, 1, 1),
        "embed_dims": (8, 8, 16),
        "mlp_ratios": (2, 2, 2),
        "layer_scale_init_value": 1.0,
    },
    "frozen_stages": -1,
    "out_indices": (0, 2, 3, 4),
}
MIXER: dict[str, Any] = {
    "arch": {"embed_dims": 16, "num_layers": 2, "tokens_mlp_dims": 8, "channels_mlp_dims": 32},
    "img_size": 64,
}
ALL = {**MAPS, "poolformer": (PoolFormer, POOL), "mixer": (MlpMixer, MIXER)}
#: What softmax, or the mean less the token itself, makes indifferent: their gradients are rounding alone.
INDIFFERENT = {
    "poolformer": tuple(f"network.{i}.0.norm1.bias" for i in (0, 2, 4)),
    "xcit": tuple(f"ca_layers.{i}.attn.k.bias" for i in (0, 1)),
}


def maker(name: str) -> Any:
    kind, arguments = ALL[name]

    def make(**more: Any) -> Any:
        if isinstance(kind, str):
            return MODELS.build({"type": kind, **arguments, **more})
        return kind(**{**arguments, **more})

    return make


@pytest.mark.parametrize("name", [*MAPS, "poolformer"])
def test_tells_its_maps(name: str) -> None:
    contracts.backbone_tells_its_maps(maker(name))


@pytest.mark.parametrize("name", MAPS)
def test_odd_sizes(name: str) -> None:
    contracts.takes_odd_sizes(maker(name))


@pytest.mark.parametrize("name", ALL)
def test_gradients(name: str) -> None:
    # Patches do not see XCiT's class token; all of its tokens together see everything.
    more = {"out_type": "raw"} if name == "xcit" else {}
    contracts.gradients_reach_every_parameter(lambda: maker(name)(**more), without=INDIFFERENT.get(name, ()))


@pytest.mark.parametrize("name", ALL)
def test_any_number_of_channels(name: str) -> None:
    contracts.takes_any_channels(maker(name), channels=(1, 5))


@pytest.mark.parametrize("name", ALL)
def test_half_precision(name: str) -> None:
    contracts.works_in_half_precision(maker(name))


@pytest.mark.parametrize("name", ALL)
def test_state_dict_round_trip(name: str) -> None:
    contracts.state_dict_round_trip(maker(name))


@pytest.mark.parametrize("name", ["vit", "vit-dense", "swin", "pvt-v2"])
def test_checkpointing(name: str) -> None:
    contracts.checkpointing_changes_nothing(lambda **more: maker(name)(drop_path_rate=0.0, **more))


@pytest.mark.parametrize(
    ("name", "frozen"),
    [
        ("vit", ("patch_embed", "pos_embed", "cls_token", "layers.0")),
        ("swin", ("patch_embed", "stages.0", "norm0")),
        ("swin-cls", ("patch_embed", "absolute_pos_embed", "stages.0", "norm0")),
        ("poolformer", ("patch_embed", "network.0", "norm0")),
        ("mixer", ("patch_embed", "layers.0")),
        ("xcit", ("patch_embed", "pos_embed", "xca_layers.0")),
    ],
)
def test_frozen_stages(name: str, frozen: tuple[str, ...]) -> None:
    contracts.frozen_stages_hold(lambda: maker(name)(frozen_stages=1), frozen)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_onnx(name: str, tmp_path: Any) -> None:
    runtime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    part, images = maker(name)().eval(), torch.randn(1, 3, 64, 64)
    torch.onnx.export(part, (images,), tmp_path / "part.onnx", dynamo=True, input_names=["images"], verbose=False)
    outs = runtime.InferenceSession(tmp_path / "part.onnx").run(None, {"images": images.numpy()})
    with torch.no_grad():
        for one, other in zip(part(images), outs, strict=True):
            torch.testing.assert_close(one, torch.from_numpy(other), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
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
def test_wrong_arguments(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        maker(name)(**arguments)


def test_mixer_has_one_size() -> None:
    mixer = maker("mixer")()
    assert mixer(torch.zeros(2, 3, 64, 64))[0].shape == (2, 16, 16)
    with pytest.raises(ValueError, match="64"):
        mixer(torch.zeros(1, 3, 32, 64))
