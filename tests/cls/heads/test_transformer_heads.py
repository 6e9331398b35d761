"""Heads of vision transformers, and classifiers with transformers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from visuite.cls.classifiers import ImageClassifier
from visuite.cls.heads import DeiTClsHead, VisionTransformerClsHead
from visuite.cls.structures import DataSample

VIT = {"embed_dims": 16, "num_layers": 1, "num_heads": 2, "feedforward_channels": 32}
SWIN = {"embed_dims": 8, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 2, 2)}
POOL = {"layers": (1, 1), "embed_dims": (8, 16), "mlp_ratios": (2, 2), "layer_scale_init_value": 1.0}
MIXER = {"embed_dims": 16, "num_layers": 1, "tokens_mlp_dims": 8, "channels_mlp_dims": 32}
LINEAR = {"type": "LinearClsHead", "num_classes": 3}
POOLING = {"type": "GlobalAveragePooling"}
MODELS_OF: dict[str, dict[str, Any]] = {
    "vit": {
        "backbone": {"type": "VisionTransformer", "arch": VIT, "img_size": 32},
        "head": {"type": "VisionTransformerClsHead", "num_classes": 3, "in_channels": 16, "hidden_dim": 8},
    },
    "deit": {
        "backbone": {"type": "DistilledVisionTransformer", "arch": VIT, "img_size": 32},
        "head": {"type": "DeiTClsHead", "num_classes": 3, "in_channels": 16},
    },
    "swin": {
        "backbone": {"type": "SwinTransformer", "arch": SWIN},
        "neck": POOLING,
        "head": {**LINEAR, "in_channels": 64},
    },
    "mixer": {
        "backbone": {"type": "MlpMixer", "arch": MIXER, "img_size": 32},
        "neck": {**POOLING, "dim": 1},
        "head": {**LINEAR, "in_channels": 16},
    },
    "poolformer": {
        "backbone": {"type": "PoolFormer", "arch": POOL},
        "neck": POOLING,
        "head": {**LINEAR, "in_channels": 16},
    },
    "xcit": {
        "backbone": {"type": "XCiT", "embed_dims": 16, "depth": 1, "num_heads": 2},
        "head": {**LINEAR, "in_channels": 16},
    },
}


def samples(count: int, *, soft: bool = False) -> list[DataSample]:
    made = [DataSample().set_gt_label(index % 3) for index in range(count)]
    return [one.set_gt_score(torch.tensor([0.2, 0.5, 0.3])) for one in made] if soft else made


@pytest.mark.parametrize("name", MODELS_OF)
def test_classifier(name: str) -> None:
    model = ImageClassifier(**MODELS_OF[name])
    model.init_weights()
    images = torch.randn(2, 3, 32, 32)
    for soft in (False, True):
        losses = model(images, samples(2, soft=soft), mode="loss")
        losses["loss"].backward()
        assert losses["loss"].isfinite()
    model.eval()
    with torch.no_grad():
        scores = model(images[:1], mode="tensor")
        (sample,) = model(images[:1], samples(1), mode="predict")
    assert scores.shape == (1, 3)
    torch.testing.assert_close(sample.pred_score, scores[0].softmax(0))


def test_vision_transformer_head() -> None:
    head = VisionTransformerClsHead(3, 4, 5)
    head.init_weights()
    assert list(dict(head.layers.named_children())) == ["pre_logits", "act", "head"]
    assert not head.layers["head"].weight.any()
    inner: Any = head.layers["pre_logits"]
    assert inner.weight.any()
    x = torch.randn(2, 4)
    want = torch.tanh(F.linear(x, inner.weight, inner.bias))
    torch.testing.assert_close(head.pre_logits((x * 9, x)), want)
    torch.testing.assert_close(head((x,)), head.layers["head"](want))
    with pytest.raises(ValueError, match="num_classes"):
        VisionTransformerClsHead(0, 4)


def test_deit_head_is_the_mean() -> None:
    head = DeiTClsHead(3, 4)
    pair = (torch.randn(2, 4), torch.randn(2, 4))
    by_cls, by_dist = head.layers["head"](pair[0]), head.layers["head_dist"](pair[1])
    torch.testing.assert_close(head((pair,)), (by_cls + by_dist) / 2)
    losses = head.loss((pair,), samples(2))
    truth = torch.tensor([0, 1])
    torch.testing.assert_close(losses["loss"], (F.cross_entropy(by_cls, truth) + F.cross_entropy(by_dist, truth)) / 2)
