from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from visuite.engine.evaluator import BaseMetric, DumpResults, Evaluator, get_metric_value
from visuite.engine.registry import EVALUATOR, METRICS
from visuite.engine.structures import BaseDataElement, InstanceData


class Mean(BaseMetric):
    """The mean score, and how many samples there were."""

    default_prefix = "score"
    seen: Any = None

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.seen = data_samples
        self.batch = data_batch
        self.results.extend(sample["score"] for sample in data_samples)

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        return {"mean": sum(results) / max(len(results), 1), "count": len(results)}


def samples(*scores: float) -> list[BaseDataElement]:
    return [
        BaseDataElement(metainfo={"img_id": index}, score=score, pred=InstanceData(boxes=torch.ones(1, 4)))
        for index, score in enumerate(scores)
    ]


def test_batches_to_metrics() -> None:
    evaluator = Evaluator(Mean())
    evaluator.process(data_samples=samples(1.0, 2.0), data_batch={"inputs": 1})
    evaluator.process(samples(6.0))
    assert evaluator.evaluate(3) == {"score/mean": 3.0, "score/count": 3}


def test_what_a_broken_evaluation_left_is_forgotten() -> None:
    evaluator = Evaluator([Mean(), Mean(prefix="again")])
    evaluator.process(samples(50.0))
    evaluator.begin()
    evaluator.process(samples(1.0, 2.0))
    assert set(evaluator.evaluate(2).values()) == {1.5, 2}


def test_metrics_get_dicts_made_once() -> None:
    first, second = Mean(), Mean(prefix="again")
    Evaluator([first, second]).process(samples(1.0), data_batch="batch")
    assert first.seen is second.seen
    assert first.batch == "batch"
    (sample,) = first.seen
    assert sample["img_id"] == 0
    assert sample["score"] == 1.0
    assert sample["pred"]["boxes"].shape == (1, 4)


def test_results_are_forgotten_and_repeated_samples_left_out() -> None:
    evaluator = Evaluator(Mean())
    evaluator.process([{"score": 1.0}, {"score": 2.0}, {"score": 50.0}])
    assert evaluator.evaluate(2) == {"score/mean": 1.5, "score/count": 2}
    evaluator.process([{"score": 5.0}])
    assert evaluator.evaluate(1)["score/mean"] == 5.0


def test_nothing_to_evaluate_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert Evaluator(Mean()).evaluate(0)["score/count"] == 0
    assert "Mean has no results" in capsys.readouterr().out


def test_two_metrics_of_one_name() -> None:
    evaluator = Evaluator([Mean(), Mean()])
    evaluator.process([{"score": 1.0}])
    with pytest.raises(ValueError, match="Mean and Mean both give the metric 'score/mean': set another prefix"):
        evaluator.evaluate(1)


def test_dataset_meta_reaches_every_metric() -> None:
    evaluator = Evaluator([Mean(), Mean(prefix="b")])
    evaluator.dataset_meta = {"classes": ("cat",)}
    assert [metric.dataset_meta for metric in evaluator.metrics] == [{"classes": ("cat",)}] * 2
    assert evaluator.dataset_meta == {"classes": ("cat",)}


@pytest.mark.parametrize("chunk_size", [1, 2, 5, 100])
@pytest.mark.parametrize("with_data", [True, False])
def test_offline(chunk_size: int, with_data: bool) -> None:
    scores = [1.0, 2.0, 3.0, 4.0, 5.0]
    data = range(5) if with_data else None
    result = Evaluator(Mean()).offline_evaluate(iter(samples(*scores)), data, chunk_size)
    assert result == {"score/mean": 3.0, "score/count": 5}


@pytest.mark.parametrize(
    ("length", "message"), [(4, "more data_samples than data"), (6, "more data than data_samples")]
)
def test_offline_lengths_differ(length: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Evaluator(Mean()).offline_evaluate(samples(*[1.0] * 5), range(length), chunk_size=2)


def test_built_from_configs(tmp_path: Path) -> None:
    path = str(tmp_path / "out.pkl")
    evaluator = EVALUATOR.build(
        {"type": "Evaluator", "metrics": [{"type": "DumpResults", "out_file_path": path}, Mean()]}
    )
    assert [type(metric) for metric in evaluator.metrics] == [DumpResults, Mean]
    with pytest.raises(KeyError, match="did you mean 'DumpResults'"):
        Evaluator({"type": "DumpResult"})
    assert METRICS.get("DumpResults") is DumpResults


def test_dumped_predictions_evaluate_to_the_same(tmp_path: Path) -> None:
    path = tmp_path / "predictions.pkl"
    online = Evaluator([Mean(), DumpResults(path)])
    online.process(samples(1.0, 4.0))
    expected = online.evaluate(2)
    dumped = pickle.loads(path.read_bytes())
    assert torch.equal(dumped[0]["pred"]["boxes"], torch.ones(1, 4))
    assert Evaluator(Mean()).offline_evaluate(dumped) == expected


def test_dump_as_json(tmp_path: Path) -> None:
    path = tmp_path / "predictions.json"
    evaluator = Evaluator(DumpResults(path))
    evaluator.process(
        [{"boxes": torch.ones(1, 2), "score": np.float32(0.5), "name": "cat", "size": (1, 2), "at": path}]
    )
    assert evaluator.evaluate(1) == {}
    assert json.loads(path.read_text()) == [
        {"boxes": [[1.0, 1.0]], "score": 0.5, "name": "cat", "size": [1, 2], "at": str(path)}
    ]


def test_bad_options() -> None:
    with pytest.raises(ValueError, match=r"writes \.pkl, \.pickle or \.json"):
        DumpResults("out.txt")
    with pytest.raises(ValueError, match="collect_dir"):
        Mean(collect_device="gpu", collect_dir="/tmp")
    with pytest.raises(ValueError, match="'cpu' or 'gpu', not 'tpu'"):
        Mean(collect_device="tpu")
    with pytest.raises(ValueError, match="chunk_size"):
        Evaluator(Mean()).offline_evaluate([], chunk_size=0)


def test_choosing_a_metric() -> None:
    metrics = {"coco/bbox_mAP": 0.5, "acc": 0.25, "a/iou": 1.0, "b/iou": math.nan}
    assert get_metric_value("coco/bbox_mAP", metrics) == 0.5
    assert get_metric_value("bbox_mAP", metrics) == 0.5
    assert get_metric_value("acc", metrics) == 0.25
    with pytest.raises(ValueError, match=r"say which of \['a/iou', 'b/iou'\]"):
        get_metric_value("iou", metrics)
    with pytest.raises(ValueError, match="did you mean 'bbox_mAP'"):
        get_metric_value("box_mAP", metrics)
    with pytest.raises(ValueError, match="there is no metric 'x/acc'"):
        get_metric_value("x/acc", metrics)
