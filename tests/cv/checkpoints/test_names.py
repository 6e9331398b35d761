"""Names that the papers' authors gave, one by one, and what the rules of a key map can say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from visuite.cv.checkpoints.renaming import Renaming, less, moved, numbers, rename
from visuite.engine.model import CheckpointError, convert_state_dict, load_state_dict
from visuite.engine.registry import MODELS

REGNET = {"type": "RegNet", "arch": {"widths": (8, 16), "depths": (1, 2), "group_w": 4, "bot_mul": 1.0}}
REGNET.update({"strides": (2, 2), "out_indices": 1})
REPVGG: dict[str, Any] = {
    "type": "RepVGG",
    "arch": {"num_blocks": (1, 2, 1, 1), "width_factor": (1, 1, 1, 1), "se_cfg": {"ratio": 2, "divisor": 1}},
    "base_channels": 8,
}
PVT = {"embed_dims": 8, "num_layers": (1, 1), "num_stages": 2, "num_heads": (1, 2), "out_indices": (0, 1)}
POOL = {"layers": (1, 1), "embed_dims": (8, 8), "mlp_ratios": (2, 2), "layer_scale_init_value": 1.0}
VIT = {"embed_dims": 8, "num_layers": 1, "num_heads": 2, "feedforward_channels": 16}
SWIN = {"embed_dims": 8, "depths": (1, 1), "num_heads": (1, 2)}
XCIT = {"type": "XCiT", "embed_dims": 16, "depth": 1, "num_heads": 2}
NEXT = {"depths": (1, 1), "channels": (8, 8)}
DENSE = {"growth_rate": 4, "depths": (1, 1, 1, 1), "init_channels": 8}
RESNET = {"type": "ResNet", "depth": 18, "base_channels": 8}

#: A config, whose names they are, and some of them: theirs, and those here.
NAMES: list[tuple[dict[str, Any], str, dict[str, str]]] = [
    (
        REGNET,
        "pycls",
        {
            "stem.conv.weight": "conv1.weight",
            "stem.bn.running_mean": "bn1.running_mean",
            "s1.b1.proj.weight": "layer1.0.downsample.0.weight",
            "s1.b1.bn.bias": "layer1.0.downsample.1.bias",
            "s1.b1.f.a.weight": "layer1.0.conv1.weight",
            "s2.b2.f.b_bn.running_var": "layer2.1.bn2.running_var",
            "s2.b1.f.c.weight": "layer2.0.conv3.weight",
        },
    ),
    (
        REPVGG,
        "megvii",
        {
            "stage0.rbr_dense.conv.weight": "stem.branch_3x3.conv.weight",
            "stage2.1.rbr_identity.running_var": "stage_2.1.branch_norm.running_var",
            "stage1.0.rbr_1x1.bn.weight": "stage_1.0.branch_1x1.norm.weight",
            "stage4.0.se.down.weight": "stage_4.0.se_layer.conv1.conv.weight",
            "stage4.0.se.up.bias": "stage_4.0.se_layer.conv2.conv.bias",
        },
    ),
    (
        {**REPVGG, "deploy": True},
        "megvii",
        {"stage0.rbr_reparam.weight": "stem.branch_reparam.weight"},
    ),
    (
        {"type": "ConvNeXt", "arch": NEXT, "use_grn": True},
        "meta",
        {
            "stages.0.0.dwconv.weight": "stages.0.0.depthwise_conv.weight",
            "stages.1.0.pwconv2.bias": "stages.1.0.pointwise_conv2.bias",
            "stages.1.0.grn.gamma": "stages.1.0.grn.gamma",
            "downsample_layers.1.0.weight": "downsample_layers.1.0.weight",
            "norm.weight": "norm1.weight",
        },
    ),
    (
        {"type": "DenseNet", "arch": DENSE},
        "torchvision",  # its older files
        {
            "features.denseblock1.denselayer1.norm.1.weight": "stages.0.block.0.norm1.weight",
            "features.denseblock4.denselayer1.conv.2.weight": "stages.3.block.0.conv2.weight",
            "features.transition3.conv.weight": "transitions.2.conv.weight",
            "features.norm5.running_var": "transitions.3.0.running_var",
        },
    ),
    (
        {"type": "VisionTransformer", "arch": VIT, "img_size": 32},
        "torchvision",  # its older files
        {
            "encoder.layers.encoder_layer_0.mlp.linear_1.weight": "layers.0.ffn.layers.0.0.weight",
            "encoder.layers.encoder_layer_0.mlp.linear_2.bias": "layers.0.ffn.layers.1.bias",
        },
    ),
    (
        {"type": "VisionTransformer", "arch": VIT, "img_size": 32, "key_style": "dense"},
        "deit",
        {
            "blocks.0.norm1.weight": "layers.0.ln1.weight",
            "blocks.0.attn.qkv.weight": "layers.0.attn.attn.in_proj_weight",
            "blocks.0.attn.proj.bias": "layers.0.attn.attn.out_proj.bias",
            "norm.bias": "ln1.bias",
        },
    ),
    (
        {"type": "SwinTransformer", "arch": SWIN, "out_indices": (0, 1), "use_abs_pos_embed": True},
        "microsoft",
        {
            "absolute_pos_embed": "absolute_pos_embed",
            "layers.0.downsample.norm.weight": "stages.0.downsample.norm.weight",
            "layers.1.blocks.0.attn.qkv.weight": "stages.1.blocks.0.attn.w_msa.qkv.weight",
            "layers.1.blocks.0.mlp.fc2.weight": "stages.1.blocks.0.ffn.layers.1.weight",
            "norm.weight": "norm1.weight",
        },
    ),
    (
        {"type": "MixVisionTransformer", **PVT},
        "published",
        {
            "patch_embed1.norm.weight": "layers.0.0.norm.weight",
            "block2.0.mlp.dwconv.dwconv.weight": "layers.1.1.0.ffn.layers.1.weight",
            "block2.0.mlp.fc2.weight": "layers.1.1.0.ffn.layers.4.weight",
            "block1.0.attn.sr.weight": "layers.0.1.0.attn.sr.weight",
            "norm2.weight": "layers.1.2.weight",
        },
    ),
    (
        {"type": "PoolFormer", "arch": POOL},
        "sail",
        {"norm.weight": "norm2.weight", "network.2.0.mlp.fc1.weight": "network.2.0.mlp.fc1.weight"},
    ),
    (
        XCIT,
        "meta",
        {
            "pos_embeder.token_projection.weight": "pos_embed.token_projection.conv.weight",
            "patch_embed.proj.6.1.weight": "patch_embed.proj.3.bn.weight",
            "blocks.0.local_mp.bn.running_var": "xca_layers.0.local_mp.conv1.bn.running_var",
            "cls_attn_blocks.1.norm1.weight": "ca_layers.1.norm1.weight",
        },
    ),
    (RESNET, "moco", {"module.encoder_q.layer1.0.conv1.weight": "layer1.0.conv1.weight"}),
    (RESNET, "openmmlab", {"backbone.layer1.0.conv1.weight": "layer1.0.conv1.weight"}),
]


@pytest.mark.parametrize(
    ("config", "source", "names"), NAMES, ids=[f"{config['type']}-{source}" for config, source, _ in NAMES]
)
def test_names(config: dict[str, Any], source: str, names: dict[str, str]) -> None:
    module = MODELS.build(config)
    own = module.state_dict()
    for name, here in names.items():
        assert here in own
        # The first name alone might not show whose names they are.
        state = {one: torch.randn(own[names[one]].shape) for one in names}
        found = convert_state_dict(module, state, source)
        assert here in found.state_dict
        if "downsample." not in here:  # Swin's are reordered
            assert torch.equal(found.state_dict[here], state[name])
    # And nothing of a file with the names here is touched.
    assert convert_state_dict(module, own).sources == []


def test_keys_and_values_are_joined_to_queries_in_any_order() -> None:
    module = MODELS.build({"type": "MixVisionTransformer", **PVT})
    query, rest = torch.randn(8, 8), torch.randn(16, 8)
    state = {"block1.0.attn.kv.weight": rest, "block1.0.attn.q.weight": query, "patch_embed1.norm.bias": torch.ones(8)}
    found = convert_state_dict(module, state).state_dict
    assert torch.equal(found["layers.0.1.0.attn.attn.in_proj_weight"], torch.cat([query, rest]))


def test_class_attention_is_split() -> None:
    weight = torch.randn(48, 16)
    found = convert_state_dict(MODELS.build(XCIT), {"cls_attn_blocks.0.attn.qkv.weight": weight}).state_dict
    for index, name in enumerate("qkv"):
        assert torch.equal(found[f"ca_layers.0.attn.{name}.weight"], weight[16 * index : 16 * index + 16])


def test_distributed_encoders_of_moco() -> None:
    module = MODELS.build(RESNET)
    state = {f"encoder_q.{name}": torch.full_like(value, 2) for name, value in module.state_dict().items()}
    state |= {"encoder_q.fc.weight": torch.zeros(3), "encoder_k.conv1.weight": torch.zeros(3), "queue": torch.zeros(3)}
    report = load_state_dict(module, state, strict=True)
    assert report.sources == ["moco", "torchvision or timm"]
    assert report.left_out == ["encoder_k.conv1.weight", "queue", "fc.weight"]
    assert (module.conv1.weight == 2).all()


def test_models_of_libraries_take_their_own_weights() -> None:
    for config in (
        {"type": "TorchvisionBackbone", "model_name": "resnet18"},
        {"type": "TIMMBackbone", "model_name": "resnet10t"},
    ):
        if config["type"] == "TIMMBackbone":
            pytest.importorskip("timm")
        one, other = MODELS.build(config), MODELS.build(config)
        state = {name.partition(".")[2]: value for name, value in one.state_dict().items()}
        load_state_dict(other, state, strict=True)
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_names_can_be_left_as_they_are() -> None:
    state = {"layers.0.downsample.norm.weight": torch.ones(32)}
    for convert, sources in ((True, ["microsoft"]), (False, [])):
        module = MODELS.build({"type": "SwinTransformer", "arch": SWIN, "out_indices": 1, "convert_weights": convert})
        assert convert_state_dict(module, state).sources == sources
    with pytest.raises(CheckpointError, match=r"names also understood: those of openmmlab, moco, torchvision"):
        load_state_dict(module, state)


# ---------------------------------------------------------------------- rules


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 2), nn.Conv2d(4, 2, 1)


def test_rules() -> None:
    rules = [moved({"a": "one", "a.b": "two"})]
    renaming = Renaming(("them",), r"^a\.", rules, left_out=r"^(head|a)\.", values=[("bias", torch.neg)])
    state = {"a.weight": torch.ones(2, 4), "a.b.weight": torch.ones(2, 4), "a.bias": torch.ones(2)}
    found, left_out = renaming.convert(Pair(), {**state, "head.weight": torch.ones(1), "c": torch.ones(1)})
    assert left_out == ["head.weight"]
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "one.weight": (2, 4),
        "two.weight": (2, 4, 1, 1),  # as it stands in the module
        "one.bias": (2,),
        "c": (1,),  # for the loader to report
    }
    assert (found["one.bias"] == -1).all()
    assert renaming.fits(Pair(), ["a.weight"])
    assert not renaming.fits(Pair(), ["one.weight"])


def test_two_weights_of_one_name_are_an_error() -> None:
    with pytest.raises(CheckpointError, match=r"two weights the name 'one\.bias'"):
        Renaming(("them",), "a", [("^[ab]", "one")]).convert(Pair(), {"a.bias": torch.ones(2), "b.bias": torch.ones(2)})


def test_numbers_in_names() -> None:
    assert rename("s10.b3.x", [(r"^s(\d+)\.b(\d+)\.", less("layer{}.{}.")), (r"x$", "y")]) == "layer9.2.y"
    assert numbers(["a.10.1.x", "a.2.0.y", "a.2.0.z", "b.0.0"], r"^a\.(\d+)\.(\d+)\.") == [(2, 0), (10, 1)]
