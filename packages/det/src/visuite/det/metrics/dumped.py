"""Predictions that were written to a file, beside the objects of their data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from visuite.det.metrics.image_results import Found, Wanted, detections_of, objects_of
from visuite.engine.fileio import load


def read_predictions(path: str, dataset: Any) -> Iterator[tuple[Found, Wanted]]:
    """Yield detections and objects of each image.

    Args:
        path: What `DumpResults`, or `tools/test.py --out`, has written: a pickle.
        dataset: The data set that was tested, whose records have `img_id` and `instances`.

    Raises:
        ValueError: the file holds no detections, or images that the data set does not have.
    """
    samples = load(path)
    if not isinstance(samples, list) or any("pred_instances" not in sample for sample in samples):
        raise ValueError(f"{path} holds no list of samples with pred_instances: write one with tools/test.py --out")
    places = {dataset.get_data_info(index)["img_id"]: index for index in range(len(dataset))}
    for sample in samples:
        if sample["img_id"] not in places:
            raise ValueError(f"{path} has image {sample['img_id']!r}, which the data set does not have")
        yield detections_of(sample), objects_of(dataset.get_data_info(places[sample["img_id"]]))
