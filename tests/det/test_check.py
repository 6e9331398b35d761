"""What is found before training: numbers of classes, files that do not belong together, and bad annotations."""

from __future__ import annotations

import pytest

from tests.det.datasets.annotated import ANNOTATIONS, annotation, write_coco
from visuite.det.check import tell_what_is_left_out
from visuite.engine.check import Findings, Subject, check_config
from visuite.engine.config import Config
from visuite.engine.registry import DATASETS, init_default_scope

CONFIG = """\
default_scope = "det"
classes = ("cat", "dog", "kite")
model = dict(
    type="FasterRCNN",
    backbone=dict(type="ResNet", depth=18),
    rpn_head=dict(type="RPNHead", in_channels=8, num_classes=1),
    roi_head=dict(
        type="CascadeRoIHead",
        bbox_head=[dict(type="Shared2FCBBoxHead", num_classes=3), dict(type="Shared2FCBBoxHead", num_classes=3)],
        mask_head=dict(type="FCNMaskHead", num_classes=3)))
data = dict(type="CocoDataset", data_root="data/", ann_file="val.json", metainfo=dict(classes=classes))
val_dataloader = dict(dataset=dict(type="RepeatDataset", times=2, dataset=data))
val_evaluator = [dict(type="CocoMetric", ann_file="data/val.json"), dict(type="VOCMetric")]
val_cfg = dict()
"""


def found(old="", new=""):
    assert old in CONFIG
    checked = check_config(Config.fromstring(CONFIG.replace(old, new), ".py"))
    told = [one for one in checked if "num_classes" in one.message or "reads" in one.message]
    return [(one.severity, one.path, one.message) for one in told]


def test_a_good_config():
    assert found() == []


@pytest.mark.parametrize(("count", "severity"), [(2, "error"), (80, "warning")])
def test_classes_of_every_head_and_the_data(count, severity):
    paths = {
        'FCNMaskHead", num_classes=3': "model.roi_head.mask_head.num_classes",
        'num_classes=3), dict(type="Sh': "model.roi_head.bbox_head.0.num_classes",
    }
    for old, path in paths.items():
        [(told, place, message)] = found(old, old.replace("num_classes=3", f"num_classes={count}"))
        assert (told, place) == (severity, path)
        assert message.startswith(f"num_classes is {count}, and the data of val_dataloader has 3 classes")


def test_classes_of_the_data_set_count_where_the_config_has_none():
    told = found(", metainfo=dict(classes=classes))", ")")
    assert [severity for severity, *_ in told] == ["error"] * 2  # those of one line are told once
    assert "the data of val_dataloader has 80 classes: the labels from 3 on have no score" in told[0][2]


def test_the_evaluator_reads_the_file_of_the_data():
    assert found('"data/val.json"', '"./data//val.json"') == []
    [(severity, path, message)] = found('"data/val.json"', '"data/train.json"')
    assert (severity, path) == ("warning", "val_evaluator.0.ann_file")
    assert message == "the evaluator reads data/train.json, and the data of val_dataloader is data/val.json"


def test_what_the_data_leaves_out_is_told(tmp_path):
    init_default_scope("det")
    write_coco(tmp_path, [*ANNOTATIONS, annotation(99, 5, 90, (5, 5, 0, 9))])
    data = dict(
        type="det.CocoDataset", ann_file="ann.json", data_root=str(tmp_path), data_prefix=dict(img="img"),
        metainfo=dict(classes=("cat", "kite")), filter_cfg=dict(filter_empty_gt=True),
    )  # fmt: skip
    built = DATASETS.build(dict(type="RepeatDataset", times=2, dataset=data))
    cfg = Config(dict(train_dataloader=dict(dataset=data)))
    subject = Subject(cfg, Findings(cfg), datasets={"train_dataloader": built})
    tell_what_is_left_out(subject)
    [finding] = subject.findings  # what the config asked to leave out is no finding
    assert (finding.severity, finding.path) == ("warning", "train_dataloader.dataset")
    said = "leaves out 1 x under a pixel wide or high (kite), the first: 0005.jpg [5, 5, 5, 14]"
    assert finding.message.endswith(said)
