"""Top-k accuracy."""

from __future__ import annotations

import pytest
import torch

from visuite.cls.metrics import Accuracy
from visuite.cls.structures import DataSample
from visuite.engine.evaluator import Evaluator

SCORES = torch.tensor([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.35, 0.33, 0.32]])
TARGET = torch.tensor([2, 1, 0, 0])


def samples() -> list[DataSample]:
    pairs = zip(SCORES, TARGET, strict=True)
    return [DataSample().set_gt_label(t).set_pred_score(s).set_pred_label(s.argmax()) for s, t in pairs]


def evaluate(metric: Accuracy, given: list[DataSample]) -> dict[str, float]:
    evaluator = Evaluator(metric)
    for one in given:
        evaluator.process(data_samples=[one], data_batch=None)
    return evaluator.evaluate(len(given))


def test_names_and_values() -> None:
    assert evaluate(Accuracy(topk=(1, 2)), samples()) == {"accuracy/top1": 50.0, "accuracy/top2": 75.0}
    assert evaluate(Accuracy(topk=1, prefix="val"), samples()) == {"val/top1": 50.0}


def test_thresholds() -> None:
    got = evaluate(Accuracy(topk=(1, 3), thrs=(None, 0.5)), samples())
    assert got == {
        "accuracy/top1_no-thr": 50.0,
        "accuracy/top1_thr-0.50": 25.0,
        "accuracy/top3_no-thr": 100.0,
        "accuracy/top3_thr-0.50": 25.0,
    }


def test_labels_alone() -> None:
    given = [DataSample().set_gt_label(t).set_pred_label(p) for t, p in ((1, 1), (2, 0), (0, 0))]
    assert evaluate(Accuracy(), given)["accuracy/top1"] == pytest.approx(200 / 3)


def test_soft_truth_counts_as_its_best_class() -> None:
    given = [DataSample().set_gt_score([0.1, 0.8, 0.1]).set_pred_score([0.0, 0.9, 0.1])]
    assert evaluate(Accuracy(), given) == {"accuracy/top1": 100.0}


def test_calculate() -> None:
    assert Accuracy.calculate([1, 2, 0], [1, 0, 0]).item() == pytest.approx(200 / 3)
    ((top1,), (top2,)) = Accuracy.calculate(SCORES, TARGET, topk=(1, 2))
    assert (top1.item(), top2.item()) == (50.0, 75.0)
    with pytest.raises(ValueError, match="3 predictions for 2"):
        Accuracy.calculate([1, 2, 0], [1, 0])


def test_images_without_one_true_class() -> None:
    with pytest.raises(ValueError, match="one true class"):
        Accuracy().process(None, [{"pred_score": SCORES[0], "gt_label": torch.tensor([1, 2])}])
