"""The truth of a batch as heads take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from visuite.det.structures.det_data_sample import DetDataSample
from visuite.engine.structures import InstanceData


def unpack_gt_instances(
    batch_data_samples: Sequence[DetDataSample],
) -> tuple[list[InstanceData], list[InstanceData] | None, list[Mapping[str, Any]]]:
    """Return the objects, the ignored objects (None where no sample has any) and the meta information of each image.

    Raises:
        ValueError: a sample has no `gt_instances`.
    """
    missing = [index for index, sample in enumerate(batch_data_samples) if "gt_instances" not in sample]
    if missing:
        raise ValueError(f"sample {missing[0]} of the batch has no gt_instances: does the data set give annotations?")
    objects = [sample.gt_instances for sample in batch_data_samples]
    metas: list[Mapping[str, Any]] = [sample.metainfo for sample in batch_data_samples]
    if not any("ignored_instances" in sample for sample in batch_data_samples):
        return objects, None, metas
    return objects, [_ignored(sample) for sample in batch_data_samples], metas


def _ignored(sample: DetDataSample) -> InstanceData:
    """Return the ignored objects of an image; a sample without any has an empty set of boxes."""
    if "ignored_instances" in sample:
        return sample.ignored_instances
    return InstanceData(bboxes=sample.gt_instances.bboxes[:0])
