"""Confusion matrices, curves, dumped predictions and proposals."""

from __future__ import annotations

import pickle
import runpy
import sys

import numpy as np
import pytest
from PIL import Image

from tests.det.datasets.annotated import ANNOTATIONS, write_coco
from tests.det.metrics.samples import CLASSES, random_images
from tests.det.metrics.test_coco import image
from tests.det.metrics.test_voc import precision_of_class
from visuite.det.datasets import CocoDataset
from visuite.det.metrics import (
    DumpProposals,
    confusion_matrix,
    detections_of,
    objects_of,
    precision_recall_curves,
    read_predictions,
)

A, B, C = (0, 0, 10, 10), (20, 20, 40, 40), (60, 60, 90, 90)


def parts(*samples):
    return [(detections_of(one), objects_of(one)) for one in samples]


def test_confusion_by_hand():
    sample = image(
        1,
        [(A, 0, 0.9), (A, 1, 0.95), (B, 0, 0.8), (C, 1, 0.7), (C, 1, 0.2)],
        [(A, 0), (B, 1), ((70, 0, 90, 10), 1)],
    )
    # A is right although another class is surer of it, B is taken for 0, and one object is missed.
    assert confusion_matrix(parts(sample), 2).tolist() == [[1, 0, 0], [1, 0, 1], [0, 2, 0]]
    assert confusion_matrix(parts(sample), 2, score_thr=0.1).tolist() == [[1, 0, 0], [1, 0, 1], [0, 3, 0]]
    assert confusion_matrix(parts(image(1, [], [])), 2).sum() == 0
    with pytest.raises(ValueError, match="label 1 among 1 classes"):
        confusion_matrix(parts(sample), 1)


def test_every_object_and_detection_counts_once():
    samples = random_images(1, crowds=0)
    counts = confusion_matrix(parts(*samples), len(CLASSES), score_thr=0.5)
    objects = sum((np.bincount(one["gt_instances"]["labels"], minlength=3) for one in samples), np.zeros(3, int))
    assert counts[:3].sum(axis=1).tolist() == objects.tolist()
    sure = [one["pred_instances"]["labels"][one["pred_instances"]["scores"] >= 0.5] for one in samples]
    assert counts[:, :3].sum(axis=0).tolist() == np.bincount(np.concatenate(sure), minlength=3).tolist()
    assert counts[3, 3] == 0


def test_detections_in_ignored_objects_do_not_count():
    crowd = (50, 50, 100, 100)
    sample = image(1, [(C, 0, 0.9), (A, 0, 0.9)], [(A, 0)], [(crowd, 0)])
    assert confusion_matrix(parts(sample), 1).tolist() == [[1, 0], [0, 0]]


def test_curves_have_the_area_of_the_definition():
    samples = [one for seed in range(2) for one in random_images(seed, crowds=0.2)]
    for sample in samples:  # corners that name the last pixels inside, as the loops of Pascal VOC take them
        for key in ("pred_instances", "gt_instances", "ignored_instances"):
            sample[key]["bboxes"] = sample[key]["bboxes"].clone()
            sample[key]["bboxes"][:, 2:] -= 1
    wanted = [precision_of_class(samples, label, 0.5, "area") for label in range(3)]
    for sample in samples:
        for key in ("pred_instances", "gt_instances", "ignored_instances"):
            sample[key]["bboxes"][:, 2:] += 1
    curves = precision_recall_curves(parts(*samples), 3)
    assert [one.average_precision for one in curves] == pytest.approx(wanted, abs=1e-9)
    assert all((np.diff(one.recall) >= 0).all() and (np.diff(one.scores) <= 0).all() for one in curves)


def test_the_best_score():
    sample = image(1, [(A, 0, 0.9), (B, 0, 0.8), (C, 0, 0.3)], [(A, 0), (B, 0)])
    [curve, empty] = precision_recall_curves(parts(sample), 2)
    assert curve.best_score() == pytest.approx((0.8, 1.0))
    assert (empty.best_score(), empty.num_objects, empty.average_precision) == ((0, 0), 0, 0)


def test_proposals_go_round(tmp_path):
    write_coco(tmp_path)
    samples = random_images(0)[:4]
    for sample, number in zip(samples, (5, 12, 31, 44), strict=True):
        sample["img_path"] = f"/elsewhere/img/{number:04d}.jpg"
    metric = DumpProposals(str(tmp_path), "p.pkl", num_max_proposals=5)
    metric.process(None, samples)
    assert metric.evaluate(4) == {}
    found = CocoDataset(
        "ann.json", dict(classes=("cat", "dog", "kite")), data_root=str(tmp_path), data_prefix=dict(img="img"),
        proposal_file="p.pkl",
    ).get_data_info(0)["proposals"]  # fmt: skip
    scores = samples[0]["pred_instances"]["scores"].numpy()
    np.testing.assert_array_equal(found["scores"], -np.sort(-scores)[:5])
    assert found["bboxes"].shape == (5, 4)


CONFIG = """\
default_scope = "det"
test_dataloader = dict(dataset=dict(
    type="CocoDataset", ann_file="ann.json", data_root="{root}", data_prefix=dict(img="img"), test_mode=True,
    metainfo=dict(classes=("cat", "dog", "kite"))))
"""


def test_the_tool_draws_and_tells(tmp_path, root, monkeypatch, capsys):
    write_coco(tmp_path)
    (tmp_path / "config.py").write_text(CONFIG.format(root=tmp_path))
    boxes = {one["image_id"]: (one["bbox"], one["category_id"]) for one in ANNOTATIONS if not one.get("iscrowd")}
    samples = []
    for number, ((x, y, w, h), category) in boxes.items():
        label = {7: 0, 2: 2}[category]  # every dog is taken for a kite
        samples.append(image(number, [((x, y, x + w, y + h), label, 0.9)], []))
    (tmp_path / "out.pkl").write_bytes(pickle.dumps(samples))
    arguments = [str(tmp_path / "config.py"), str(tmp_path / "out.pkl"), "--out-dir", str(tmp_path / "new")]
    monkeypatch.setattr(sys, "argv", ["detections.py", *arguments])
    runpy.run_path(str(root / "tools/analysis/detections.py"), run_name="__main__")
    told = capsys.readouterr().out
    rows = [line.split() for line in told.splitlines()]
    assert ["cat", "2", "100.0", "100.0", "0.90"] in rows
    assert ["dog", "1", "0.0", "0.0", "0.00"] in rows
    assert ["kite", "0", "-", "-", "-"] in rows
    assert ["dog", "kite", "1"] in rows
    for name in ("confusion_matrix", "pr_curves"):
        assert np.asarray(Image.open(tmp_path / "new" / f"{name}.png")).std() > 10
    strange = image(99, [], [])
    (tmp_path / "out.pkl").write_bytes(pickle.dumps([strange]))
    metainfo = dict(classes=("cat", "dog", "kite"))
    dataset = CocoDataset("ann.json", metainfo, data_root=str(tmp_path), data_prefix=dict(img="img"))
    with pytest.raises(ValueError, match="has image 99, which the data set does not have"):
        list(read_predictions(str(tmp_path / "out.pkl"), dataset))
    (tmp_path / "out.pkl").write_bytes(pickle.dumps([{"img_id": 5}]))
    with pytest.raises(ValueError, match="no list of samples with pred_instances"):
        list(read_predictions(str(tmp_path / "out.pkl"), dataset))
