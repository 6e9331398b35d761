"""Published weights on their way from a name in a config into a backbone; files stand for those on the web."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor

from visuite.engine.model import CheckpointError
from visuite.engine.model.checkpoint_files import MIRROR_VARIABLE
from visuite.engine.registry import MODELS

SMALL = {"type": "ResNet", "depth": 18, "base_channels": 8}


@pytest.fixture(autouse=True)
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    return tmp_path


def loaded(checkpoint: str, cfg: dict[str, Any], **more: Any) -> Any:
    backbone = MODELS.build({**cfg, "init_cfg": {"type": "Pretrained", "checkpoint": checkpoint, **more}})
    backbone.init_weights()
    return backbone


def test_torchvision(mirror: Path) -> None:
    theirs = torchvision.models.mobilenet_v3_small().eval()
    torch.save(theirs.state_dict(), mirror / "mobilenet_v3_small-047dcff4.pth")
    ours = loaded("torchvision://mobilenet_v3_small", {"type": "MobileNetV3"}).eval()
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(ours(images)[-1], theirs.features(images))


def test_timm(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm")
    monkeypatch.setattr(pytest.importorskip("huggingface_hub"), "try_to_load_from_cache", lambda repo, file: None)
    safetensors = pytest.importorskip("safetensors.torch")
    theirs = timm.create_model("convnextv2_atto").eval()
    safetensors.save_file(theirs.state_dict(), mirror / "convnextv2_atto.fcmae_ft_in1k.safetensors")
    cfg = {"type": "ConvNeXt", "arch": "atto", "use_grn": True, "layer_scale_init_value": 0.0}
    ours = loaded("timm://convnextv2_atto", cfg).eval()
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(ours(images)[-1], theirs.forward_head(theirs.forward_features(images), pre_logits=True))


def whole_model(value: float) -> dict[str, Any]:
    """A classifier's checkpoint, as OpenMMLab writes it."""
    state: dict[str, Tensor] = MODELS.build(SMALL).state_dict()
    filled = {f"backbone.{name}": torch.full_like(one, value) for name, one in state.items()}
    return {"meta": {}, "state_dict": {**filled, "head.fc.weight": torch.zeros(3, 64)}}


@pytest.mark.parametrize("prefix", [None, "backbone.", "backbone"])
def test_openmmlab(prefix: str | None, mirror: Path) -> None:
    torch.save(whole_model(2.0), mirror / "resnet18_8xb32_in1k_20210831-fbbb1da6.pth")
    backbone = loaded("mmcls://resnet18", SMALL, **({} if prefix is None else {"prefix": prefix}))
    assert all((value == 2).all() for value in backbone.state_dict().values())


def test_pretrained_is_short_for_it(mirror: Path) -> None:
    torch.save(torchvision.models.resnet18().state_dict(), mirror / "resnet18-f37072fd.pth")
    backbone = MODELS.build({"type": "ResNet", "depth": 18, "pretrained": "torchvision://resnet18"})
    backbone.init_weights()
    saved = torch.load(mirror / "resnet18-f37072fd.pth")
    assert torch.equal(backbone.layer4[1].conv2.weight, saved["layer4.1.conv2.weight"])


def test_what_cannot_be_had_or_does_not_fit_is_an_error(mirror: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        loaded("torchvision://resnet18", SMALL)
    for said in ("pretrained weights of ResNet", "torchvision://resnet18", "'resnet18-f37072fd.pth'", str(mirror)):
        assert said in str(caught.value)
    torch.save(torchvision.models.shufflenet_v2_x0_5().state_dict(), mirror / "w.pth")
    with pytest.raises(CheckpointError, match="0 weights loaded"):
        loaded(str(mirror / "w.pth"), {"type": "MobileNetV2"})
    with pytest.raises(CheckpointError, match=r"MobileNetV2 reads no names of 'tim'; did you mean 'timm'"):
        loaded(str(mirror / "w.pth"), {"type": "MobileNetV2"}, key_map="tim")
