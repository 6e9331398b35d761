"""The necks of classification."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from visuite.cls.classifiers import ImageClassifier
from visuite.cls.necks import ClsBatchNormNeck, GeneralizedMeanPooling, HRFuseScales
from visuite.cv.necks import told_maps


def hrnet(arch: str = "w18", narrow: int | None = None) -> ImageClassifier:
    widths = [(narrow or int(arch[1:])) * 2**i for i in range(4)]
    return ImageClassifier(
        backbone={"type": "HRNet", "arch": arch},
        neck=[{"type": "HRFuseScales", "in_channels": widths}, {"type": "GlobalAveragePooling"}],
        head={"type": "LinearClsHead", "in_channels": 2048, "num_classes": 1000},
    )


def test_hrnet_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        counts = {arch: sum(p.numel() for p in hrnet(arch).parameters()) for arch in ("w18", "w30", "w32")}
    assert counts == {"w18": 21295164, "w30": 37708380, "w32": 41228840}


def test_scales_are_fused_from_fine_to_coarse() -> None:
    neck: Any = HRFuseScales((2, 3, 4, 5), 7).eval()
    maps = [torch.randn(2, c, 16 // 2**i, 24 // 2**i) for i, c in enumerate(neck.in_channels)]
    fused = neck.increase_layers[0](maps[0])
    for i in range(3):
        shrunk = neck.downsample_layers[i]
        convolved = F.conv2d(fused, shrunk.conv.weight, stride=2, padding=1)
        fused = neck.increase_layers[i + 1](maps[i + 1]) + F.relu(shrunk.bn(convolved))
    wanted = F.relu(neck.final_layer.bn(neck.final_layer.conv(fused)))
    (found,) = neck(maps)
    torch.testing.assert_close(found, wanted)
    assert found.shape == (2, 7, 2, 3)
    with pytest.raises(ValueError, match="2 have come"):
        neck(maps[:2])
    with pytest.raises(ValueError, match="fuses 4 maps, not 3"):
        HRFuseScales((2, 3, 4))


def test_hrnet_classifies() -> None:
    model = hrnet().eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, 64, 64)).shape == (1, 1000)
    spec = told_maps(model.backbone, model.neck[0])
    assert spec is not None
    assert (spec.channels, spec.strides) == ((2048,), (32,))
    with pytest.raises(ValueError, match="HRFuseScales"):
        hrnet("w18", narrow=30)


def test_batch_norm() -> None:
    neck = ClsBatchNormNeck(5)
    assert not list(neck.parameters())
    x = torch.randn(8, 5) * 3 + 2
    (found,) = neck((x,))
    torch.testing.assert_close(found, (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-6).sqrt())


def test_generalised_mean() -> None:
    x = torch.randn(2, 3, 4, 5)
    neck = GeneralizedMeanPooling(p=2.5)
    wanted = torch.zeros(2, 3)
    for b in range(2):
        for c in range(3):
            values = [max(float(v), 1e-6) for v in x[b, c].flatten()]
            wanted[b, c] = (sum(v**2.5 for v in values) / 20) ** (1 / 2.5)
    (found,) = neck((x,))
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(GeneralizedMeanPooling(p=1)(x.abs()), x.abs().mean(dim=(2, 3)))
    found.sum().backward()
    assert neck.p.grad is not None
    assert not GeneralizedMeanPooling(p_trainable=False).p.requires_grad
    with pytest.raises(ValueError, match="p is at least 1"):
        GeneralizedMeanPooling(p=0.5)
