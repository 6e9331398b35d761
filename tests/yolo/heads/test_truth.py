"""The objects of a batch, from samples in either form."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from visuite.det.structures import DetDataSample
from visuite.engine.structures import InstanceData
from visuite.yolo.heads.truth import batch_truth

CPU = torch.device("cpu")


def samples_of(counts: list[int]) -> list[DetDataSample]:
    random = torch.Generator().manual_seed(sum(counts))
    samples = []
    for index, count in enumerate(counts):
        objects = InstanceData(
            bboxes=torch.rand(count, 4, generator=random), labels=torch.randint(0, 9, (count,), generator=random)
        )
        samples.append(DetDataSample(gt_instances=objects, metainfo={"img_id": index}))
    return samples


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_both_forms_say_the_same(counts: list[int]) -> None:
    """Rows of a collated batch may stand in any order of images."""
    samples = samples_of(counts)
    of_list = batch_truth(samples, CPU)
    collated = {"bboxes_labels": of_list.rows, "img_metas": [one.metainfo for one in samples]}
    mixed = torch.randperm(len(of_list.rows), generator=torch.Generator().manual_seed(len(counts)))
    stable = mixed[of_list.rows[mixed, 0].argsort(stable=True)]
    for order in (torch.arange(len(of_list.rows)), stable):
        of_dict = batch_truth({**collated, "bboxes_labels": of_list.rows[order]}, CPU)
        assert torch.equal(of_dict.valid, of_list.valid)
        assert [meta["img_id"] for meta in of_dict.metas] == list(range(len(counts)))
    for index, sample in enumerate(samples):
        valid = of_list.valid[index]
        assert valid.sum() == counts[index]
        assert torch.equal(of_list.boxes[index][valid], sample.gt_instances.bboxes)
        assert torch.equal(of_list.labels[index][valid], sample.gt_instances.labels)
        assert (of_list.boxes[index][~valid] == 0).all()
    assert of_list.boxes.shape == (len(counts), max(counts), 4)


def test_rows_in_any_order() -> None:
    rows = torch.tensor([[2.0, 5, 0, 0, 1, 1], [0, 3, 0, 0, 2, 2], [2, 6, 0, 0, 3, 3]])
    truth = batch_truth({"bboxes_labels": rows, "img_metas": [{}, {}, {}]}, CPU)
    assert truth.labels.tolist() == [[3, 0], [0, 0], [5, 6]]
    assert truth.valid.tolist() == [[True, False], [False, False], [True, True]]
    assert truth.rows[:, 0].tolist() == [0, 2, 2]


def test_no_object_at_all() -> None:
    truth = batch_truth(samples_of([0, 0]), CPU)
    assert truth.boxes.shape == (2, 0, 4)
    assert truth.rows.shape == (0, 6)


def test_samples_without_annotations() -> None:
    with pytest.raises(ValueError, match="no gt_instances"):
        batch_truth([DetDataSample()], CPU)
