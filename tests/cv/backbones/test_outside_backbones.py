"""Backbones of timm and torchvision."""

from __future__ import annotations

import pytest
import torch
import torchvision

from tests import contracts
from visuite.cv.backbones import TIMMBackbone, TorchvisionBackbone


def test_timm_features() -> None:
    timm = pytest.importorskip("timm")
    one = TIMMBackbone("resnet10t", in_channels=1).eval()
    assert all(name.startswith("timm_model.") for name in one.state_dict())
    images = torch.randn(1, 1, 64, 64)
    theirs = timm.create_model("resnet10t", in_chans=1, num_classes=0).eval()
    theirs.load_state_dict(one.timm_model.state_dict())
    torch.testing.assert_close(one(images)[0], theirs.forward_features(images))
    assert one.out_channels == (512,)
    with pytest.raises(ValueError, match="resnet10t"):
        TIMMBackbone("resnet10tt")


@pytest.mark.parametrize(
    ("name", "channels"), [("resnet18", (64, 128, 256, 512)), ("mobilenet_v3_small", (16, 24, 48, 576))]
)
def test_torchvision_maps(name: str, channels: tuple[int, ...]) -> None:
    part = TorchvisionBackbone(name, out_indices=(0, 1, 2, 3)).eval()
    assert part.out_channels == channels
    assert part.out_strides == (4, 8, 16, 32)
    contracts.backbone_tells_its_maps(lambda: part)
    whole = getattr(torchvision.models, name)().eval()
    missing = whole.load_state_dict(
        {key.removeprefix("model."): v for key, v in part.state_dict().items()}, strict=False
    )
    assert not missing.unexpected_keys


def test_torchvision_channels_last() -> None:
    part = TorchvisionBackbone("swin_t", out_indices=(0, -1)).eval()
    contracts.backbone_tells_its_maps(lambda: part)
    assert part.out_channels == (96, 768)


def test_torchvision_errors() -> None:
    with pytest.raises(ValueError, match="resnet18"):
        TorchvisionBackbone("resnet81")
    with pytest.raises(ValueError, match="layer9"):
        TorchvisionBackbone("resnet18", return_nodes=["layer9"])
    with pytest.raises(ValueError, match="out_indices"):
        TorchvisionBackbone("resnet18", out_indices=4)
