"""HRNet: the exchange between branches, and the forms of its architecture."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from visuite.cv.backbones import BasicBlock, BlockOptions, HRNet
from visuite.cv.backbones.hrnet import HRModule


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_exchange_is_a_sum_of_all_branches(mode: str) -> None:
    torch.manual_seed(0)
    module = HRModule(
        BasicBlock, (1, 1), (4, 8), in_channels=(4, 8), options=BlockOptions(), upsample=mode
    ).eval()  # fmt: skip
    fine, coarse = torch.randn(2, 4, 9, 7), torch.randn(2, 8, 5, 4)
    x, y = (branch(one) for branch, one in zip(module.branches, (fine, coarse), strict=True))
    align = None if mode == "nearest" else False
    up = F.interpolate(module.fuse_layers[0][1](y), size=(9, 7), mode=mode, align_corners=align)
    got = module((fine, coarse))
    torch.testing.assert_close(got[0], F.relu(x + up))
    torch.testing.assert_close(got[1], F.relu(y + module.fuse_layers[1][0](x)))


def test_forms_of_the_architecture() -> None:
    with torch.device("meta"):
        named, table = HRNet("w18"), HRNet(HRNet.arch_settings["w18"])
        extra = HRNet("w32", extra=HRNet.arch_settings["w18"], multiscale_output=False)
    assert named.out_channels == table.out_channels == (18, 36, 72, 144)
    assert named.out_strides == (4, 8, 16, 32)
    assert named.state_dict().keys() == table.state_dict().keys()
    assert (extra.out_channels, extra.out_strides) == ((18,), (4,))
    gone = named.state_dict().keys() - extra.state_dict().keys()
    assert {name.split(".")[3] for name in gone} == {"1", "2", "3"}  # the coarse rows of the last exchange
    assert {".".join(name.split(".")[:3]) for name in gone} == {"stage4.2.fuse_layers"}


def test_bad_stage_says_what_is_wrong() -> None:
    extra = dict(HRNet.arch_settings["w18"])
    for change, words in (
        ({"block": "BOTTLE"}, "block of stage2"),
        ({"num_branches": 3}, "2 branches"),
        ({"num_blocks": (4,)}, "2 branches"),
    ):
        with pytest.raises(ValueError, match=words):
            HRNet(extra={**extra, "stage2": {**extra["stage2"], **change}})
