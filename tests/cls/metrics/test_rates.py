"""Precision and its kin, against plain counting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from visuite.cls.metrics import (
    AveragePrecision,
    ConfusionMatrix,
    MultiLabelMetric,
    SingleLabelMetric,
    VOCAveragePrecision,
    VOCMultiLabelMetric,
)
from visuite.cls.structures import DataSample
from visuite.cv.image import imread
from visuite.engine.evaluator import Evaluator


def evaluate(metric: Any, samples: list[DataSample]) -> dict[str, Any]:
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = {"classes": ("cat", "dog", "owl")}
    evaluator.process(data_samples=samples, data_batch=None)
    return evaluator.evaluate(len(samples))


def singles() -> list[DataSample]:
    scores = [[0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.35, 0.33, 0.32]]
    return [
        DataSample().set_gt_label(t).set_pred_score(s).set_pred_label(int(np.argmax(s)))
        for t, s in zip([2, 1, 1, 0], scores, strict=True)
    ]


def several() -> list[DataSample]:
    scores = [[0.9, 0.6, 0.1], [0.8, 0.2, 0.7], [0.3, 0.4, 0.45]]
    truths: list[list[int]] = [[0, 1], [2], []]
    return [DataSample().set_pred_score(s).set_gt_label(t) for s, t in zip(scores, truths, strict=True)]


def plain(said: list[set[int]], true: list[set[int]], k: int) -> tuple[float, float]:
    """Precision and recall of one class in percent."""
    both = sum(k in s and k in t for s, t in zip(said, true, strict=True))
    predicted, had = sum(k in s for s in said), sum(k in t for t in true)
    return 100 * both / max(predicted, 1), 100 * both / max(had, 1)


def test_single_label_names_and_values() -> None:
    got = evaluate(SingleLabelMetric(items=("precision", "recall", "f1-score", "support")), singles())
    assert got == {
        "single-label/precision": pytest.approx((50 + 100 + 100) / 3),
        "single-label/recall": pytest.approx((100 + 50 + 100) / 3),
        "single-label/f1-score": pytest.approx((200 / 3 + 200 / 3 + 100) / 3),
        "single-label/support": 4,
    }
    assert evaluate(SingleLabelMetric(average="micro", items=["precision"]), singles()) == {
        "single-label/precision_micro": 75.0
    }
    assert evaluate(SingleLabelMetric(average=None, items=["recall"]), singles()) == {
        "single-label/recall_classwise": [100.0, 50.0, 100.0]
    }


def test_single_label_thresholds() -> None:
    got = evaluate(SingleLabelMetric(thrs=(None, 0.5), items=("recall",), average=None), singles())
    assert got == {
        "single-label/recall_no-thr_classwise": [100.0, 50.0, 100.0],
        "single-label/recall_thr-0.50_classwise": [0.0, 0.0, 100.0],
    }


def test_single_labels_without_scores() -> None:
    samples = [DataSample().set_gt_label(t).set_pred_label(p) for t, p in ((0, 0), (1, 0), (1, 1))]
    got = evaluate(SingleLabelMetric(num_classes=2, average=None, items="precision"), samples)
    assert got == {"single-label/precision_classwise": [50.0, 100.0]}
    for call in (lambda: SingleLabelMetric.calculate([0], [0]), lambda: ConfusionMatrix.calculate([0], [0])):
        with pytest.raises(ValueError, match="num_classes"):
            call()
    with pytest.raises(ValueError, match="precission"):
        SingleLabelMetric(items=("precission",))
    with pytest.raises(ValueError, match="mean"):
        MultiLabelMetric(average="mean")


@given(st.lists(st.tuples(st.sets(st.integers(0, 3)), st.sets(st.integers(0, 3))), min_size=1, max_size=12))
def test_multi_label_rates_are_counted(pairs: list[tuple[set[int], set[int]]]) -> None:
    said, true = [list(s) for s, _ in pairs], [list(t) for _, t in pairs]
    options: dict[str, Any] = {"pred_indices": True, "target_indices": True, "num_classes": 4}
    got = MultiLabelMetric.calculate(said, true, average=None, **options)
    want = np.array([plain([s for s, _ in pairs], [t for _, t in pairs], k) for k in range(4)])
    np.testing.assert_allclose(np.stack([got.precision, got.recall], axis=1), want, atol=1e-4)
    macro = MultiLabelMetric.calculate(said, true, **options)
    assert float(macro.precision) == pytest.approx(want[:, 0].mean(), abs=1e-3)


def test_multi_label_names_and_values() -> None:
    assert evaluate(MultiLabelMetric(items=("precision", "recall"), average="micro"), several()) == {
        "multi-label/precision_micro": 75.0,
        "multi-label/recall_micro": 100.0,
    }
    got = evaluate(MultiLabelMetric(thr=0.65, average=None, items=("recall", "support")), several())
    assert got == {
        "multi-label/recall_thr-0.65_classwise": [100.0, 0.0, 100.0],
        "multi-label/support_thr-0.65_classwise": [1, 1, 1],
    }
    got = evaluate(MultiLabelMetric(topk=1, average=None, items=("precision",)), several())
    assert got == {"multi-label/precision_top1_classwise": [50.0, 0.0, 0.0]}


def test_average_precision() -> None:
    scores = torch.tensor([[0.9], [0.8], [0.3], [0.1]])
    truth = torch.tensor([[1], [0], [1], [0]])
    assert float(AveragePrecision.calculate(scores, truth)) == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert float(AveragePrecision.calculate(scores, torch.tensor([[1], [-1], [1], [0]]))) == 100
    got = evaluate(AveragePrecision(), several())
    by_class = evaluate(AveragePrecision(average=None), several())["multi-label/AP_classwise"]
    assert by_class == [100.0, 100.0, 100.0]
    assert got == {"multi-label/mAP": 100.0}
    with pytest.raises(ValueError, match="micro"):
        AveragePrecision(average="micro")
    with pytest.raises(ValueError, match="shape"):
        AveragePrecision.calculate(scores, truth[:2])


@given(st.integers(0, 1000), st.integers(1, 30))
def test_average_precision_is_the_mean_precision_at_the_hits(seed: int, n: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores, truth = torch.rand(n, generator=generator), torch.randint(0, 2, (n,), generator=generator)
    at_hits = [float(truth[scores >= score].float().mean()) for score, one in zip(scores, truth, strict=True) if one]
    got = AveragePrecision.calculate(scores[:, None], truth[:, None])
    assert float(got) == pytest.approx(100 * np.mean(at_hits) if at_hits else 0, abs=1e-3)


@pytest.mark.parametrize(("difficult", "want"), [(None, 100.0), (True, 100.0), (False, 50.0)])
def test_difficult_classes(difficult: bool | None, want: float) -> None:
    samples = [DataSample().set_pred_score([0.9, 0.6]).set_gt_label([0]) for _ in range(2)]
    samples[1] = DataSample(metainfo={"gt_label_difficult": [0]}).set_pred_score([0.9, 0.6]).set_gt_label([])
    metric = VOCMultiLabelMetric(difficult_as_positive=difficult, average=None, items="precision")
    assert evaluate(metric, samples)["multi-label/precision_classwise"][0] == want
    assert evaluate(VOCAveragePrecision(difficult), samples)["multi-label/mAP"] == 50.0  # nothing has the second class


def test_confusion_matrix(tmp_path: Path) -> None:
    metric = ConfusionMatrix(out_file=str(tmp_path / "matrix.png"))
    got = evaluate(metric, singles())["confusion_matrix/result"]
    assert got.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    drawn = imread(tmp_path / "matrix.png")
    assert drawn.shape[2] == 3
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 3
    with_values = ConfusionMatrix.plot(got, include_values=True, cmap="jet")
    assert (with_values != ConfusionMatrix.plot(got, cmap="jet")[: len(with_values), : with_values.shape[1]]).any()
    with pytest.raises(ValueError, match="did you mean 'viridis'"):
        ConfusionMatrix.plot(got, cmap="virids")
    with pytest.raises(ValueError, match="class 5 among 3"):
        ConfusionMatrix.calculate([0], [5], 3)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_confusion_matrix_counts_pairs(pairs: list[tuple[int, int]]) -> None:
    got = ConfusionMatrix.calculate([p for p, _ in pairs], [t for _, t in pairs], 4)
    assert all(int(got[t, p]) == pairs.count((p, t)) for t in range(4) for p in range(4))
