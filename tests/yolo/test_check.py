"""A YOLO's config is held against its data as any detector's, and the parts that only YOLOs have are looked up."""

from __future__ import annotations

import pytest

from visuite.engine.check import check_config
from visuite.engine.config import Config

CONFIG = """\
default_scope = "mmyolo"
model = dict(
    type="YOLODetector", backbone=dict(type="YOLOv8CSPDarknet"),
    bbox_head=dict(type="YOLOv8Head", head_module=dict(type="YOLOv8HeadModule", num_classes=3, in_channels=[8, 8, 8])),
    test_cfg=dict(score_thr=0.01, nms=dict(type="nms", iou_threshold=0.7), max_per_img=300))
train_dataloader = dict(dataset=dict(
    type="YOLOv5CocoDataset", ann_file="train.json", metainfo=dict(classes=("cat", "dog", "kite")),
    batch_shapes_cfg=dict(type="BatchShapePolicy", img_size=64)))
"""
PARTS = ("model", "train_dataloader")


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        (
            "num_classes=3",
            "num_classes=2",
            "model.bbox_head.head_module.num_classes",
            "the data of train_dataloader has 3",
        ),
        ('HeadModule"', 'HeadModul"', "model.bbox_head.head_module", "did you mean 'YOLOv8HeadModule'"),
        ('="nms"', '="nmss"', "model.test_cfg.nms", "did you mean 'nms'"),
        ("iou_threshold", "iou_treshold", "model.test_cfg.nms", "did you mean 'iou_threshold'"),
        ("BatchShape", "BatchShap", "train_dataloader.dataset.batch_shapes_cfg", "did you mean 'BatchShapePolicy'"),
    ],
)
def test_one_fault(old, new, path, message):
    assert [one for one in found(CONFIG) if one.path.startswith(PARTS)] == []
    told = found(CONFIG.replace(old, new, 1))
    assert any(one.path == path and message in one.message for one in told), told


def found(text):
    return [one for one in check_config(Config.fromstring(text, ".py")) if one.severity == "error"]
