"""What a classifier promises, with each backbone of the table in tests/cv/backbones/variants.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.cv.backbones.variants import CONVNEXT, VARIANTS, VIT, XCIT, Variant
from visuite.cls.classifiers import ImageClassifier
from visuite.cls.heads import DeiTClsHead
from visuite.cls.structures import DataSample
from visuite.engine.registry import MODELS

CLASSES = 3
MEANS = {"type": "GlobalAveragePooling"}
LINEAR = {"type": "cls.LinearClsHead"}
Make = Callable[..., ImageClassifier]


def classifier(variant: Variant, neck: dict[str, Any] | None = None, head: dict[str, Any] = LINEAR) -> Make:
    """A maker of a classifier; the pooling is that for the backbone's outputs, unless these are vectors."""

    def make(**head_arguments: Any) -> ImageClassifier:
        torch.manual_seed(0)
        backbone = variant.make()
        sizes = {"num_classes": CLASSES, "in_channels": backbone.out_channels[-1]}
        return ImageClassifier(backbone, neck, head=MODELS.build({**head, **sizes, **head_arguments}))

    return make


MODELS_OF: dict[str, Make] = {
    name: classifier(variant, MEANS if variant.maps else {**MEANS, "dim": 1}) for name, variant in VARIANTS.items()
}
MODELS_OF |= {
    "vit-token": classifier(
        Variant("VisionTransformer", {**VIT, "out_type": "cls_token"}), head={"type": "cls.VisionTransformerClsHead"}
    ),
    "vit-mean": classifier(Variant("VisionTransformer", {**VIT, "out_type": "avg_featmap"})),
    "deit-tokens": classifier(
        Variant("DistilledVisionTransformer", {**VIT, "out_type": "cls_token"}), head={"type": "cls.DeiTClsHead"}
    ),
    "convnext-vector": classifier(Variant("ConvNeXt", {**CONVNEXT, "gap_before_final_norm": True})),
    "xcit-token": classifier(Variant("XCiT", {**XCIT, "out_type": "cls_token"})),
}


@pytest.fixture(params=MODELS_OF)
def make(request: pytest.FixtureRequest) -> Make:
    return MODELS_OF[request.param]


def images(count: int) -> Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def samples(*labels: int) -> list[DataSample]:
    return [DataSample().set_gt_label(label) for label in labels]


def soft_samples(scores: Tensor) -> list[DataSample]:
    return [DataSample().set_gt_score(score) for score in scores]


def test_scores_and_predictions_agree(make: Make) -> None:
    model, inputs = make().eval(), images(2)
    with torch.no_grad():
        scores = model(inputs, mode="tensor")
        found = model(inputs, samples(0, 2), mode="predict")
        alone = model(inputs[1:], samples(2), mode="predict")
    assert scores.shape == (2, CLASSES)
    for sample, score, label in zip(found, scores, (0, 2), strict=True):
        torch.testing.assert_close(sample.pred_score, score.softmax(0))
        assert sample.pred_label.item() == score.argmax()
        assert sample.gt_label.item() == label
    # An image is seen alone as it is seen in a batch.
    torch.testing.assert_close(alone[0].pred_score, found[1].pred_score, rtol=1e-3, atol=1e-4)


def test_losses_are_cross_entropies(make: Make) -> None:
    hard, soft = make().eval(), make(loss={"type": "CrossEntropyLoss", "use_soft": True}).eval()
    inputs, labels = images(2), torch.tensor([2, 0])
    feats = hard.extract_feat(inputs)
    each = hard.head.scores(feats) if isinstance(hard.head, DeiTClsHead) else [hard.head(feats)]  # these learn alone
    mixed = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    for count in (2, 1):  # a batch of one too
        log_p = torch.stack([scores[:count].log_softmax(1) for scores in each])
        want = -log_p[:, range(count), labels[:count]].mean()
        got = hard(inputs[:count], samples(*labels[:count].tolist()), mode="loss")["loss"]
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4)
        want = -(mixed[:count] * log_p).sum(-1).mean()
        got = soft(inputs[:count], soft_samples(mixed[:count]), mode="loss")["loss"]
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4)


def test_a_step_changes_backbone_and_head(make: Make) -> None:
    model = make().train()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = model(images(2), samples(0, 1), mode="loss")["loss"]
    loss.backward()
    optimizer.step()
    changed = [name for name, value in model.named_parameters() if not torch.equal(value, before[name])]
    assert loss.isfinite()
    assert {name.partition(".")[0] for name in changed} == {"backbone", "head"}
