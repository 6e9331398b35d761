from __future__ import annotations

import pytest

from visuite.engine.check import check_config
from visuite.engine.config import Config

CONFIG = """\
default_scope = "cls"
model = dict(
    type="ImageClassifier",
    backbone=dict(type="ResNet_CIFAR", depth=18),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearClsHead", num_classes=10, in_channels=512),
    data_preprocessor=dict(num_classes=10),
)
val_dataloader = dict(dataset=dict(type="CIFAR10", data_root="data", split="test", pipeline=[dict(type="PackInputs")]))
val_cfg = dict()
val_evaluator = dict(type="Accuracy", topk=(1,))
"""


def found(old="", new=""):
    assert old in CONFIG
    checked = check_config(Config.fromstring(CONFIG.replace(old, new), ".py"))
    return [(one.severity, one.path, one.message) for one in checked]


def test_a_good_config():
    assert found() == []


@pytest.mark.parametrize(("count", "severity"), [(9, "error"), (12, "warning")])
def test_classes_of_head_and_data(count, severity):
    [(told, path, message)] = found("LinearClsHead\", num_classes=10", f"LinearClsHead\", num_classes={count}")
    assert (told, path) == (severity, "model.head.num_classes")
    assert message.startswith(f"num_classes is {count}, and the data of val_dataloader has 10 classes")


def test_classes_of_the_config_count():
    assert found('split="test"', 'split="test", metainfo=dict(classes=tuple("abcdefghij"))') == []
    assert found('split="test"', 'split="test", metainfo=dict(classes=list("abc"))')[0][0] == "warning"


def test_the_preprocessor_has_a_type_of_its_own():
    [(severity, path, message)] = found("data_preprocessor=dict(num_classes", "data_preprocessor=dict(num_class")
    assert (severity, path) == ("error", "model.data_preprocessor")
    assert message.startswith("ClsDataPreprocessor has no argument 'num_class'; did you mean 'num_classes'")


def test_batch_augmentations_have_their_registry():
    old = "data_preprocessor=dict(num_classes=10)"
    [(severity, path, message)] = found(old, f"{old}, train_cfg=dict(augments=dict(type='NoSuchMix'))")
    assert (severity, path) == ("error", "model.train_cfg.augments")
    assert "'NoSuchMix' is not a registered batch augment" in message
