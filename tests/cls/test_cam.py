"""Class activation maps."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from visuite.cls.cam import METHODS, ClassActivationMap, overlay, token_grid
from visuite.cls.classifiers import ImageClassifier, TorchvisionClassifier

ROWS, COLUMNS = 5, 7
SIZE = (4 * ROWS, 4 * COLUMNS)


class PlaceWise(nn.Module):
    """Maps, and scores that are weighted sums over channels and places: the gradients are the weights."""

    def __init__(self, channels: int = 4, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 4, stride=4)
        self.act = nn.ReLU(inplace=True)
        self.weight = nn.Parameter(torch.randn(classes, channels, ROWS, COLUMNS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scores(self.act(self.conv(x)))

    def scores(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.einsum("bcij,kcij->bk", maps, self.weight)


@pytest.fixture
def model() -> PlaceWise:
    torch.manual_seed(1)
    return PlaceWise()


def scaled(raw: torch.Tensor) -> torch.Tensor:
    shown = F.interpolate(raw.clamp(min=0)[:, None], SIZE, mode="bilinear", align_corners=False)[:, 0]
    return shown / shown.amax(dim=(1, 2), keepdim=True).clamp(min=1e-20)


def by_hand(model: PlaceWise, images: torch.Tensor, labels: list[int], method: str) -> torch.Tensor:
    """The formulas of the papers, place by place."""
    maps = F.relu(model.conv(images)).double().tolist()
    gradients = model.weight.double().tolist()
    places = [(i, j) for i in range(ROWS) for j in range(COLUMNS)]
    result = torch.zeros(len(images), ROWS, COLUMNS, dtype=torch.float64)
    for n, label in enumerate(labels):
        for a, g in zip(maps[n], gradients[label], strict=True):
            weight = {(i, j): max(g[i][j], 0.0) for i, j in places}  # of LayerCAM, the only one that varies
            if method == "gradcam":
                alpha = sum(g[i][j] for i, j in places) / len(places)
            elif method == "gradcam++":  # equations 10 and 19
                spread = sum(a[i][j] for i, j in places)
                alpha = sum(
                    g[i][j] ** 2 / (2 * g[i][j] ** 2 + spread * g[i][j] ** 3) * max(g[i][j], 0.0) for i, j in places
                )
            elif method == "xgradcam":
                total = sum(a[i][j] for i, j in places)
                alpha = sum(a[i][j] * g[i][j] for i, j in places) / total if total else 0.0
            for i, j in places:
                result[n, i, j] += (weight[i, j] if method == "layercam" else alpha) * a[i][j]
    return scaled(result).float()


@pytest.mark.parametrize("method", METHODS)
def test_equals_the_papers_formulas(model: PlaceWise, method: str) -> None:
    images = torch.randn(3, 3, *SIZE)
    labels = [2, 0, 1]
    found = ClassActivationMap(model, ["act"], method=method)(images, labels)
    torch.testing.assert_close(found, by_hand(model, images, labels, method), rtol=1e-4, atol=1e-5)


def test_a_layer_before_an_activation_in_place_shows_what_it_gave_itself(model: PlaceWise) -> None:
    images = torch.randn(2, 3, *SIZE)
    before = model.conv(images)
    gradient = model.weight[[0, 0]] * (before > 0)
    wanted = scaled((gradient.mean(dim=(2, 3), keepdim=True) * before).sum(dim=1))
    torch.testing.assert_close(ClassActivationMap(model, ["conv"])(images, 0), wanted)


def test_the_best_class_and_the_last_map_by_default(model: PlaceWise) -> None:
    images = torch.randn(2, 3, *SIZE)
    cam = ClassActivationMap(model)
    assert cam.find_layer(images[:1]) == "act"
    best = model(images).argmax(dim=1).tolist()
    assert torch.equal(cam(images), ClassActivationMap(model, ["act"])(images, best))


def test_several_layers_are_averaged(model: PlaceWise) -> None:
    images = torch.randn(2, 3, *SIZE)
    both = ClassActivationMap(model, ["conv", "act"])(images, 1)
    alone = [ClassActivationMap(model, [name])(images, 1) for name in ("conv", "act")]
    torch.testing.assert_close(both, (alone[0] + alone[1]) / 2)


def test_nothing_speaks_for_a_class(model: PlaceWise) -> None:
    with torch.no_grad():
        model.weight[1] = -1
    assert not ClassActivationMap(model, ["act"])(torch.randn(2, 3, *SIZE), 1).any()


def test_leaves_the_model_as_it_was(model: PlaceWise) -> None:
    model.train().requires_grad_(False)
    model.act.eval()
    images = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        assert ClassActivationMap(model)(images).any()
    assert model.training
    assert not model.act.training
    assert not model.act._forward_hooks
    assert not images.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


VIT = {"embed_dims": 16, "num_layers": 3, "num_heads": 2, "feedforward_channels": 32}
HEAD = {"type": "VisionTransformerClsHead", "num_classes": 3, "in_channels": 16, "init_cfg": None}
LINEAR = {"type": "LinearClsHead", "num_classes": 3}
POOL = {"type": "GlobalAveragePooling"}
SWIN = {"embed_dims": 8, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 2, 2)}
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "resnet": (
        {
            "backbone": {"type": "ResNet", "depth": 18, "base_channels": 4, "stem_channels": 4},
            "neck": POOL,
            "head": {**LINEAR, "in_channels": 32},
        },
        "backbone.layer4",
    ),
    "vit": (
        {"backbone": {"type": "VisionTransformer", "arch": VIT, "img_size": 64}, "head": HEAD},
        "backbone.layers.2.ln1",
    ),
    "deit": (
        {
            "backbone": {"type": "DistilledVisionTransformer", "arch": VIT, "img_size": 64},
            "head": {**HEAD, "type": "DeiTClsHead"},
        },
        "backbone.layers.2.ln1",
    ),
    "swin": (
        {"backbone": {"type": "SwinTransformer", "arch": SWIN}, "neck": POOL, "head": {**LINEAR, "in_channels": 64}},
        "backbone.norm3",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_layers_found(name: str) -> None:
    torch.manual_seed(0)
    parts, wanted = CASES[name]
    model = ImageClassifier(**parts)
    images = torch.randn(2, 3, 64, 96)
    cam = ClassActivationMap(model)
    assert cam.find_layer(images[:1]) == wanted
    for method in METHODS:
        found = ClassActivationMap(model, method=method)(images)
        assert found.shape == (2, 64, 96)
        assert found.isfinite().all()
        assert found.amin() >= 0
        assert found.amax() <= 1
    assert torch.equal(ClassActivationMap(model, [wanted])(images), cam(images))


def test_torchvision_models_have_a_layer_too() -> None:
    model = TorchvisionClassifier("mobilenet_v3_small", num_classes=3)
    assert ClassActivationMap(model).find_layer(torch.randn(1, 3, 64, 64)) == "model.features"


class Tokens(nn.Module):
    """Tokens in place of maps, with some in front that tell on the score too."""

    def __init__(self, plain: PlaceWise, extra: int) -> None:
        super().__init__()
        self.plain = plain
        self.extra = extra
        self.norm = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = F.relu(self.plain.conv(x)).flatten(2).transpose(1, 2)
        front = tokens.new_full((len(x), self.extra, tokens.shape[2]), 9.0)
        tokens = self.norm(torch.cat([front, tokens], dim=1))
        maps = tokens[:, self.extra :].transpose(1, 2).unflatten(2, (ROWS, COLUMNS))
        return self.plain.scores(maps) + tokens[:, : self.extra].sum(dim=(1, 2))[:, None]


@pytest.mark.parametrize("extra", [0, 1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_tokens_show_what_maps_show(model: PlaceWise, method: str, extra: int) -> None:
    images = torch.randn(2, 3, *SIZE)
    wanted = ClassActivationMap(model, ["act"], method=method)(images, 1)
    for given in (None, extra):
        cam = ClassActivationMap(Tokens(model, extra), ["norm"], method=method, num_extra_tokens=given)
        torch.testing.assert_close(cam(images, 1), wanted)


def test_token_grids() -> None:
    assert token_grid(196, (224, 224)) == (0, (14, 14))
    assert token_grid(197, (224, 224)) == (1, (14, 14))
    assert token_grid(2 + 7 * 10, (100, 150)) == (2, (7, 10))
    assert token_grid(14 * 20, (224, 313)) == (0, (14, 20))
    with pytest.raises(ValueError, match="196 tokens are no grid over 224x224 pixels with 1 more"):
        token_grid(196, (224, 224), 1)


def test_wrong_arguments(model: PlaceWise) -> None:
    images = torch.randn(2, 3, *SIZE)
    with pytest.raises(ValueError, match=r"the methods are gradcam, .*, not 'gradcam--'; did you mean 'gradcam'"):
        ClassActivationMap(model, method="gradcam--")
    with pytest.raises(ValueError, match="no layer 'cnv'; did you mean 'conv'"):
        ClassActivationMap(model, ["cnv"])
    with pytest.raises(ValueError, match="from 0 to 2"):
        ClassActivationMap(model)(images, 3)
    with pytest.raises(ValueError, match="of 2 images"):
        ClassActivationMap(model)(images, [0])
    with pytest.raises(ValueError, match=r"layer 'fc': its output of shape \(2, 3\) is no maps"):
        ClassActivationMap(nn.Sequential(OrderedDict(body=model, fc=nn.Linear(3, 3))), ["fc"])(images)
    with pytest.raises(ValueError, match=r"layer 'act'.*is no tokens"):
        ClassActivationMap(model, ["act"], vit_like=True)(images)
    with pytest.raises(ValueError, match=r"no scores \(B, K\)"):
        ClassActivationMap(model.conv)(images)


def test_overlay() -> None:
    image = np.full((2, 3, 3), 100, np.uint8)
    cam = torch.tensor([[0.0, 0.5, 1.0]] * 2)
    shown = overlay(image, cam, opacity=0.4)
    assert shown.dtype == np.uint8
    assert shown[0, 0].argmax() == 2  # blue
    assert shown[0, 2].argmax() == 0  # red
    assert np.array_equal(overlay(image, cam, opacity=0), image)
    with pytest.raises(ValueError, match="over a picture of"):
        overlay(image, cam[:1])
