"""All metrics of one evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from visuite.engine.evaluator.metric import BaseMetric
from visuite.engine.registry import EVALUATOR, METRICS
from visuite.engine.structures import BaseDataElement


@EVALUATOR.register_module()
class Evaluator:
    """Hand predictions to metrics and gather what they say.

    Args:
        metrics: A metric or several, each a config or an object.
    """

    def __init__(self, metrics: dict[str, Any] | BaseMetric | Sequence[dict[str, Any] | BaseMetric]) -> None:
        self._dataset_meta: dict[str, Any] | None = None
        listed = metrics if isinstance(metrics, Sequence) else [metrics]
        self.metrics: list[BaseMetric] = [METRICS.build(metric) for metric in listed]

    @property
    def dataset_meta(self) -> dict[str, Any] | None:
        """What is known of the data set (classes, palette); setting it tells every metric."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict[str, Any] | None) -> None:
        self._dataset_meta = meta
        for metric in self.metrics:
            metric.dataset_meta = meta

    def begin(self) -> None:
        """Forget what an evaluation that was broken off has left."""
        for metric in self.metrics:
            if isinstance(metric, BaseMetric):  # others begin anew in a way of their own
                metric.results.clear()

    def process(self, data_samples: Iterable[Any], data_batch: Any = None) -> None:
        """Take one batch of predictions.

        Args:
            data_samples: Data elements, which reach the metrics as dicts, made once for all of them; or dicts.
            data_batch: What the data loader gave.
        """
        samples = [one.to_dict() if isinstance(one, BaseDataElement) else one for one in data_samples]
        for metric in self.metrics:
            metric.process(data_batch, samples)

    def evaluate(self, size: int) -> dict[str, Any]:
        """Return all metrics over the whole data set.

        Args:
            size: Length of the data set, beyond which ranks have repeated samples.

        Raises:
            ValueError: two metrics give the same name.
        """
        results: dict[str, Any] = {}
        givers: dict[str, str] = {}
        for metric in self.metrics:
            kind = type(metric).__name__
            for name, value in metric.evaluate(size).items():
                if name in results:
                    raise ValueError(
                        f"{givers[name]} and {kind} both give the metric {name!r}: set another prefix for one of them"
                    )
                results[name], givers[name] = value, kind
        return results

    def offline_evaluate(
        self, data_samples: Iterable[Any], data: Iterable[Any] | None = None, chunk_size: int = 1
    ) -> dict[str, Any]:
        """Return all metrics over predictions made earlier.

        Args:
            data_samples: The predictions.
            data: What each was made from.
            chunk_size: How many samples the metrics get at once.

        Raises:
            ValueError: `data` has another length than `data_samples`.
        """
        if chunk_size < 1:
            raise ValueError(f"chunk_size is positive, not {chunk_size}")
        inputs = None if data is None else iter(data)
        size = 0
        for samples in _chunks(data_samples, chunk_size):
            batch = None if inputs is None else list(islice(inputs, len(samples)))
            if batch is not None and len(batch) < len(samples):
                raise ValueError(f"there are more data_samples than data (which has {size + len(batch)})")
            self.process(samples, batch)
            size += len(samples)
        if inputs is not None and next(inputs, inputs) is not inputs:
            raise ValueError(f"there is more data than data_samples (which are {size})")
        return self.evaluate(size)


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk
