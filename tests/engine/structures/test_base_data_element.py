import copy
import pickle

import numpy as np
import pytest
import torch

from visuite.engine.structures import BaseDataElement, LabelData, typed_field


class Sample(BaseDataElement):
    @property
    def gt_label(self):
        return self._gt_label

    @gt_label.setter
    def gt_label(self, value):
        self.set_field(value, "_gt_label", dtype=LabelData)

    @gt_label.deleter
    def gt_label(self):
        del self._gt_label


@pytest.fixture
def sample():
    made = Sample(metainfo=dict(img_shape=(3, 4), scales=[1, 2]), score=torch.ones(2))
    made.gt_label = LabelData(item=torch.arange(3))
    return made


def test_fields_of_both_kinds_are_listed_in_order(sample):
    assert sample.keys() == ["score", "gt_label"]
    assert sample.metainfo_keys() == ["img_shape", "scales"]
    assert sample.all_keys() == ["img_shape", "scales", "score", "gt_label"]
    assert dict(sample.items())["gt_label"] is sample.gt_label
    assert [name for name, _ in sample.all_items()] == sample.all_keys()
    assert len(sample.values()) == 2
    assert len(sample.all_values()) == 4
    assert sample.metainfo == {"img_shape": (3, 4), "scales": [1, 2]}
    assert dict(sample.metainfo_items()) == sample.metainfo


def test_metainfo_is_changed_by_set_metainfo_alone(sample):
    with pytest.raises(AttributeError, match="set_metainfo"):
        sample.img_shape = 3
    with pytest.raises(AttributeError, match="data field"):
        sample.set_metainfo(dict(score=3))
    with pytest.raises(AttributeError, match="data field"):
        sample.set_metainfo(dict(gt_label=3))
    sample.set_metainfo(dict(img_shape=(5, 6)))
    assert sample.img_shape == (5, 6)
    sample.set_field("a.jpg", "path", field_type="metainfo")
    assert sample.metainfo["path"] == "a.jpg"


def test_metainfo_is_copied_in():
    given = dict(corners=[1, 2], matrix=np.eye(2), shape=(1, [2]))
    element = BaseDataElement(metainfo=given)
    given["corners"].append(3)
    given["matrix"][0, 0] = 7
    given["shape"][1].append(3)
    assert element.corners == [1, 2]
    assert element.matrix[0, 0] == 1
    assert element.metainfo["shape"] == (1, [2])


def test_a_wrong_type_is_refused(sample):
    with pytest.raises(TypeError, match="'gt_label' has to be a LabelData, not a int"):
        sample.gt_label = 3
    with pytest.raises(TypeError, match="dict"):
        sample.set_data([1])
    with pytest.raises(TypeError, match="dict"):
        Sample(metainfo=3)
    with pytest.raises(ValueError, match="field_type"):
        sample.set_field(1, "a", field_type="other")


def test_a_method_is_not_shadowed_by_a_field(sample):
    with pytest.raises(AttributeError, match="uses that name itself"):
        sample.keys = 3
    with pytest.raises(AttributeError):
        sample._metainfo = {}
    assert callable(sample.keys)


def test_membership_get_and_pop(sample):
    assert "gt_label" in sample
    assert "_gt_label" in sample
    assert "img_shape" in sample
    assert "nothing" not in sample
    assert "_metainfo" not in sample
    assert sample.get("img_shape") == (3, 4)
    assert sample.get("nothing", 5) == 5
    assert isinstance(sample.pop("gt_label"), LabelData)
    assert "gt_label" not in sample
    assert sample.pop("img_shape") == (3, 4)
    assert sample.pop("img_shape", None) is None
    with pytest.raises(KeyError, match="scales"):
        sample.pop("nothing")


def test_deletion(sample):
    del sample.gt_label
    del sample["score"]
    del sample.img_shape
    assert sample.all_keys() == ["scales"]
    with pytest.raises(AttributeError, match="no field 'score'"):
        del sample.score


def test_a_missing_field_is_named_with_those_there(sample):
    with pytest.raises(AttributeError, match=r"this Sample has no field 'scor'; it has \['img_shape'"):
        _ = sample.scor
    del sample.gt_label
    with pytest.raises(AttributeError, match="gt_label"):
        _ = sample.gt_label
    assert not hasattr(sample, "gt_label")


def test_new_replaces_one_kind_and_keeps_the_other(sample):
    both = sample.new()
    assert both.all_keys() == sample.all_keys()
    other = sample.new(metainfo=dict(a=1), z=3)
    assert other.all_keys() == ["a", "z"]
    assert isinstance(other, Sample)
    assert sample.new(z=3).all_keys() == ["img_shape", "scales", "z"]
    assert sample.new(metainfo={}).keys() == sample.keys()


def test_copies_do_not_change_their_source(sample):
    for make in (
        Sample.clone,
        Sample.new,
        copy.copy,
        copy.deepcopy,
        Sample.cpu,
        lambda one: pickle.loads(pickle.dumps(one)),
    ):
        made = make(sample)
        made.set_metainfo(dict(img_shape=(9, 9)))
        made.extra = 1
        del made.gt_label
        assert sample.img_shape == (3, 4)
        assert sample.keys() == ["score", "gt_label"]
        assert torch.equal(made.score, sample.score)
    sample.clone().scales.append(3)
    assert sample.scales == [1, 2]


def test_tensors_move_and_turn_into_arrays_and_back(sample):
    sample.grown = torch.ones(1, requires_grad=True) * 2
    sample.array = np.ones(2)
    half = sample.to(torch.float16)
    assert half.score.dtype == torch.float16
    assert half.gt_label.item.dtype == torch.float16
    assert sample.to("meta").score.device.type == "meta"
    assert not sample.detach().grown.requires_grad
    arrays = sample.numpy()
    assert isinstance(arrays.gt_label.item, np.ndarray)
    assert isinstance(arrays.grown, np.ndarray)
    back = arrays.to_tensor()
    assert isinstance(back.array, torch.Tensor)
    assert torch.equal(back.gt_label.item, sample.gt_label.item)
    assert back.metainfo == sample.metainfo


def test_update_takes_all_fields(sample):
    sample.update(BaseDataElement(metainfo=dict(img_shape=7, path="x"), score=9))
    assert sample.img_shape == 7
    assert sample.path == "x"
    assert sample.score == 9
    with pytest.raises(TypeError, match="data element"):
        sample.update({})


def test_to_dict_goes_all_the_way_down(sample):
    plain = sample.to_dict()
    assert list(plain) == sample.all_keys()
    assert torch.equal(plain["gt_label"]["item"], torch.arange(3))


def test_text_shows_values_but_only_shapes_of_large_tensors(sample):
    sample.masks = torch.zeros(5, 100, 100)
    text = repr(sample)
    assert "metainfo: img_shape=(3, 4), scales=[1, 2]\n" in text
    assert "masks: tensor of (5, 100, 100), float32" in text
    assert "item: tensor([0, 1, 2])" in text
    assert len(text.splitlines()) < 12
    assert repr(Sample()) == "Sample()"


class Typed(BaseDataElement):
    gt_label = typed_field("gt_label", LabelData)


def test_a_typed_field_holds_one_kind_and_goes_by_its_name():
    sample = Typed(gt_label=LabelData(item=torch.arange(3)))
    assert sample.keys() == ["gt_label"]
    assert "gt_label" in sample
    assert sample.get("gt_label").item.tolist() == [0, 1, 2]
    with pytest.raises(TypeError, match="'gt_label' has to be a LabelData, not a Tensor"):
        sample.gt_label = torch.arange(3)
    del sample.gt_label
    assert "gt_label" not in sample
    with pytest.raises(AttributeError, match="no field"):
        _ = sample.gt_label
