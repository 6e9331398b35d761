"""Swin: torchvision's numbers, other windows, depths."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.swin_transformer import SwinTransformer as Theirs

from visuite.cv.backbones import SwinTransformer
from visuite.engine.model import load_state_dict

ARCH = {"embed_dims": 8, "depths": (2, 2), "num_heads": (2, 4)}


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_gives_what_torchvision_gives(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    theirs = Theirs([4, 4], 8, [2, 2], [2, 4], [4, 4]).eval()
    for parameter in theirs.parameters():
        parameter.normal_()
    ours = SwinTransformer(ARCH, window_size=4, out_indices=1, pad_small_map=False).eval()
    load_state_dict(ours, theirs.state_dict(), strict=True)
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
