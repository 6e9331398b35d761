"""Names of model zoos, and the files they mean."""

from __future__ import annotations

import pytest
import torch

from visuite.engine.model import CheckpointError, checkpoint_names, read_checkpoint, register_checkpoint_resolver
from visuite.engine.model.checkpoint_files import MIRROR_VARIABLE, PublishedFile
from visuite.engine.model.checkpoint_names import resolve_checkpoint
from visuite.engine.model.openmmlab_files import MMCLS, OPEN_MMLAB


def test_resolvers_find_names(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(checkpoint_names, "_resolvers", {})
    torch.save({"w": torch.ones(2)}, tmp_path / "w.pth")
    register_checkpoint_resolver("zoo://", lambda name: tmp_path / f"{name.removeprefix('zoo://')}.pth")
    register_checkpoint_resolver("zoo://made/", lambda name: {"state_dict": {"made": torch.ones(1)}})
    register_checkpoint_resolver("web://", lambda name: PublishedFile("http://127.0.0.1:9/w.pth"))
    register_checkpoint_resolver("old://", lambda name: name.replace("old://", "zoo://"))
    register_checkpoint_resolver("loop://", lambda name: name)
    assert read_checkpoint("old://w")["w"].tolist() == [1, 1]
    assert read_checkpoint("web://w", mirror=tmp_path)["w"].tolist() == [1, 1]
    assert "made" in read_checkpoint("zoo://made/x")["state_dict"]
    with pytest.raises(CheckpointError, match="circle"):
        read_checkpoint("loop://x")


def file_of(name: str) -> str:
    return resolve_checkpoint(name).url.rpartition("/")[2]


def test_torchvision() -> None:
    models = pytest.importorskip("torchvision.models")
    # By itself, a name means the weights that it meant when there was one set of them.
    assert file_of("torchvision://resnet50") == "resnet50-0676ba61.pth"
    assert file_of("modelzoo://resnet50") == "resnet50-0676ba61.pth"
    second = models.ResNet50_Weights.IMAGENET1K_V2.url
    for name in ("resnet50.IMAGENET1K_V2", "resnet50.imagenet1k_v2", "ResNet50_Weights.IMAGENET1K_V2"):
        assert resolve_checkpoint(f"torchvision://{name}").url == second
    assert resolve_checkpoint("torchvision://fcn_resnet50").url == models.segmentation.FCN_ResNet50_Weights.DEFAULT.url
    with pytest.raises(CheckpointError, match="'resnet81'; did you mean 'resnet18'"):
        resolve_checkpoint("torchvision://resnet81")
    with pytest.raises(CheckpointError, match="IMAGENET1K_V1, IMAGENET1K_V2"):
        resolve_checkpoint("torchvision://resnet50.V3")


def test_timm(monkeypatch, tmp_path) -> None:
    pytest.importorskip("timm")
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda repo, file: None)
    found = resolve_checkpoint("timm://hrnet_w18")
    assert found.url.endswith("/timm/hrnet_w18.ms_aug_in1k/resolve/main/model.safetensors")
    assert found.name == "hrnet_w18.ms_aug_in1k.safetensors"
    assert resolve_checkpoint("timm://hrnet_w18.ms_aug_in1k") == found
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda repo, file: f"{tmp_path}/{file}")
    assert resolve_checkpoint("timm://hrnet_w18") == f"{tmp_path}/model.safetensors"
    with pytest.raises(CheckpointError, match="'hrnet_w19'; did you mean"):
        resolve_checkpoint("timm://hrnet_w19")
    with pytest.raises(CheckpointError, match="ms_aug_in1k"):
        resolve_checkpoint("timm://hrnet_w18.ms")


def test_openmmlab(tmp_path, monkeypatch) -> None:
    third_party = "https://download.openmmlab.com/pretrain/third_party"
    assert resolve_checkpoint("open-mmlab://resnet50_v1c").url == f"{third_party}/resnet50_v1c-2cccc1ad.pth"
    assert file_of("open-mmlab://detectron2/resnet50_caffe") == "resnet50_msra-5891d200.pth"
    assert file_of("mmcls://mobilenet_v2") == "mobilenet_v2_batch256_imagenet_20200708-3b2dc3af.pth"
    with pytest.raises(CheckpointError, match=r"did you mean 'resnet50_v1c'"):
        resolve_checkpoint("open-mmlab://resnet50_v1")
    for table in (OPEN_MMLAB, MMCLS):
        assert len(set(table.values())) == len(table)
    torch.save({"w": torch.ones(2)}, tmp_path / "resnet50_v1c-2cccc1ad.pth")
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path))
    assert read_checkpoint("openmmlab://resnet50_v1c")["w"].tolist() == [1, 1]


def test_an_unknown_kind_of_name_is_told() -> None:
    with pytest.raises(CheckpointError, match=r"torchvison://resnet50'.*torchvision"):
        read_checkpoint("torchvison://resnet50")
