import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from visuite.engine.structures import LabelData


@given(st.sets(st.integers(0, 9)))
def test_labels_survive_the_round_trip(labels):
    onehot = LabelData.label_to_onehot(torch.tensor(sorted(labels), dtype=torch.long), 10)
    assert onehot.tolist() == [int(index in labels) for index in range(10)]
    assert LabelData.onehot_to_label(onehot).tolist() == sorted(labels)


def test_one_label_may_come_without_dimension():
    assert LabelData.label_to_onehot(torch.tensor(2), 4).tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize("label", [torch.tensor([1, 4]), torch.tensor([-1])])
def test_a_label_outside_the_classes(label):
    with pytest.raises(ValueError, match="0 to 3"):
        LabelData.label_to_onehot(label, 4)


@pytest.mark.parametrize("onehot", [torch.tensor([0, 3]), torch.eye(2), torch.tensor([0.5, 1])])
def test_what_is_not_onehot(onehot):
    with pytest.raises(ValueError, match="zeros and ones"):
        LabelData.onehot_to_label(onehot)


def test_only_tensors():
    with pytest.raises(TypeError):
        LabelData.label_to_onehot([1], 4)
    with pytest.raises(TypeError):
        LabelData.onehot_to_label([1])
