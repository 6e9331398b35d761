"""Swin: torchvision's numbers, published names, depths."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.swin_transformer import SwinTransformer as Theirs

from visuite.cv.backbones import SwinTransformer

ARCH = {"embed_dims": 8, "depths": (2, 2), "num_heads": (2, 4)}


def published(name: str) -> str:
    """Torchvision's name to that of the paper's authors."""
    parts = name.split(".")
    if parts[:2] in (["features", "0"],):
        return ".".join(["patch_embed", {"0": "proj", "2": "norm"}[parts[2]], *parts[3:]])
    if parts[0] == "features":
        stage, inside = divmod(int(parts[1]) - 1, 2)
        rest = ["downsample", *parts[2:]] if inside else ["blocks", *parts[2:]]
        name = ".".join(["layers", str(stage), *rest])
    return name.replace("mlp.0.", "mlp.fc1.").replace("mlp.3.", "mlp.fc2.")


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_gives_what_torchvision_gives(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    theirs = Theirs([4, 4], 8, [2, 2], [2, 4], [4, 4]).eval()
    for parameter in theirs.parameters():
        parameter.normal_()
    state = {published(name): value for name, value in theirs.state_dict().items()}
    for name in [name for name in state if name.endswith("position_index")]:
        state[name] = state[name].view(16, 16)
    ours = SwinTransformer(ARCH, window_size=4, out_indices=1, pad_small_map=False, convert_weights=True).eval()
    norm = {name: state[f"norm.{name.removeprefix('norm1.')}"] for name in ("norm1.weight", "norm1.bias")}
    report = ours.load_state_dict({**state}, strict=False)
    assert report.missing_keys == list(norm)
    assert not report.unexpected_keys
    ours.norm1.load_state_dict({name.removeprefix("norm1."): value for name, value in norm.items()})
    images = torch.randn(2, 3, *size)
    want = theirs.permute(theirs.norm(theirs.features(images)))
    torch.testing.assert_close(ours(images)[0], want, rtol=1e-4, atol=1e-4)


def test_checkpoint_of_another_window() -> None:
    small, large = (SwinTransformer(ARCH, window_size=size, out_indices=(0, 1)) for size in (4, 7))
    state = small.state_dict()
    name = "stages.0.blocks.0.attn.w_msa.relative_position_bias_table"
    state[name].fill_(1.5)
    large.load_state_dict(state)
    torch.testing.assert_close(large.state_dict()[name], torch.full((169, 2), 1.5))
    assert large.state_dict()["stages.0.blocks.0.attn.w_msa.relative_position_index"].max() == 168


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("backbone.patch_embed.projection.weight", 0),
        ("backbone.stages.0.blocks.1.norm1.weight", 2),
        ("backbone.stages.0.downsample.reduction.weight", 3),
        ("backbone.stages.1.blocks.0.norm1.weight", 3),
        ("backbone.norm1.weight", 5),
        ("neck.x", 5),
    ],
)
def test_layer_depth(name: str, depth: int) -> None:
    assert SwinTransformer(ARCH, out_indices=-1).get_layer_depth(name, "backbone.") == (depth, 6)


def test_arguments_of_dense_tasks() -> None:
    part = SwinTransformer(
        out_indices=(0, 1),
        embed_dims=8,
        depths=(1, 1),
        num_heads=(1, 2),
        strides=(4, 4),
        pretrain_img_size=32,
        use_abs_pos_embed=True,
    )
    assert part.out_strides == (4, 16)
    assert part.absolute_pos_embed is not None
    assert part.absolute_pos_embed.shape == (1, 64, 8)
    assert [tuple(one.shape) for one in part(torch.zeros(1, 3, 64, 64))] == [(1, 8, 16, 16), (1, 16, 4, 4)]


def test_arguments_of_stages() -> None:
    part = SwinTransformer(ARCH, out_indices=1, stage_cfgs=[{"block_cfgs": {"window_size": 2}}, {}])
    assert [stage.blocks[0].attn.window_size for stage in part.stages] == [2, 7]
