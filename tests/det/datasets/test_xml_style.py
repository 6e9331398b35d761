"""Annotations in XML, as Pascal VOC has them; BCCD as real data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visuite.cv.image import imwrite
from visuite.det.datasets import VOCDataset, WIDERFaceDataset, XMLDataset

OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>"
    "<ymax>{}</ymax></bndbox></object>"
)


def write(folder: Path, name: str, objects: list[tuple], *, size: tuple[int, int] | None = (50, 40)) -> None:
    (folder / "Annotations").mkdir(parents=True, exist_ok=True)
    told = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    body = "".join(OBJECT.format(*one) for one in objects)
    (folder / "Annotations" / f"{name}.xml").write_text(f"<annotation>{told}{body}</annotation>")
    (folder / "JPEGImages").mkdir(exist_ok=True)
    imwrite(np.zeros((40, 50, 3), np.uint8), folder / "JPEGImages" / f"{name}.jpg")


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    folder = tmp_path / "VOC2007"
    write(folder, "000001", [("dog", 0, 1, 2, 21, 32), ("cat", 1, 11, 12, 16, 40)])
    write(folder, "000002", [], size=None)
    (tmp_path / "list.txt").write_text("000001\n\n000002\n")
    return tmp_path


def dataset(root: Path, kind=VOCDataset, **kwargs):
    prefix = dict(sub_data_root="VOC2007/")
    return kind("list.txt", data_root=str(root), data_prefix=prefix, **kwargs)


def test_records_begin_at_zero(voc):
    found = dataset(voc)
    record = found.get_data_info(0)
    assert record["instances"] == [
        {"bbox": [0, 1, 20, 31], "bbox_label": 11, "ignore_flag": 0},
        {"bbox": [10, 11, 15, 39], "bbox_label": 7, "ignore_flag": 1},
    ]
    assert (record["img_id"], record["width"], record["height"]) == ("000001", 50, 40)
    assert record["img_path"] == str(voc / "VOC2007" / "JPEGImages" / "000001.jpg")
    assert found.metainfo["dataset_type"] == "VOC2007"
    empty = found.get_data_info(1)
    assert (empty["width"], empty["height"], empty["instances"]) == (50, 40, [])  # from the image itself


def test_small_objects_are_ignored_in_training_alone(voc):
    rule = dict(filter_empty_gt=True, min_size=32, bbox_min_size=21)
    found = dataset(voc, filter_cfg=rule)
    assert len(found) == 1
    assert [one["ignore_flag"] for one in found.get_data_info(0)["instances"]] == [1, 1]
    tested = dataset(voc, filter_cfg=rule, test_mode=True)
    assert len(tested) == 2
    assert [one["ignore_flag"] for one in tested.get_data_info(0)["instances"]] == [0, 1]


def test_classes(voc):
    found = dataset(voc, metainfo=dict(classes=("dog",)))
    assert found.get_cat_ids(0) == [0]
    assert found.screening.count("objects of other categories") == 1
    with pytest.raises(ValueError, match=r"2 classes of objects are none of the 1 classes: dog .* did you mean 'dogs'"):
        dataset(voc, metainfo=dict(classes=("dogs",)))
    with pytest.raises(ValueError, match=r"XMLDataset needs its classes: metainfo="):
        dataset(voc, XMLDataset)
    write(voc / "VOC2007", "000002", [("zebra", 0, 1, 1, 9, 9)])
    with pytest.raises(ValueError, match=r"zebra \(1 objects\)"):
        dataset(voc)
    assert dataset(voc, on_class_mismatch="drop").screening.count("objects of other categories") == 1


def test_missing_and_broken_annotations(voc):
    path = voc / "VOC2007" / "Annotations" / "000002.xml"
    path.write_text("<annotation>")
    with pytest.raises(ValueError, match=r"000002\.xml: not an annotation in XML"):
        dataset(voc)
    path.write_text("<annotation><object><name>dog</name></object></annotation>")
    with pytest.raises(ValueError, match=r"000002\.xml: not an annotation in XML"):
        dataset(voc)
    path.unlink()
    with pytest.raises(ValueError, match=r"1 of 2 images have no annotation, such as .*000002\.xml"):
        dataset(voc)
    (voc / "VOC2007" / "Annotations" / "000001.xml").unlink()
    with pytest.raises(FileNotFoundError, match="2 of 2 images have no annotation"):
        dataset(voc)


def test_wider_face_tells_folders(tmp_path):
    folder = tmp_path / "WIDER_train"
    (folder / "Annotations").mkdir(parents=True)
    (folder / "0--Parade").mkdir()
    (folder / "0--Parade" / "a.jpg").touch()
    text = "<annotation><folder>0--Parade</folder><size><width>50</width><height>40</height></size>{}</annotation>"
    (folder / "Annotations" / "a.xml").write_text(text.format(OBJECT.format("face", 0, 1, 1, 9, 9)))
    (tmp_path / "train.txt").write_text("a\n")
    found = WIDERFaceDataset("train.txt", data_root=str(tmp_path), data_prefix=dict(img="WIDER_train"))
    assert found.get_data_info(0)["img_path"] == str(folder / "0--Parade" / "a.jpg")
    assert found.get_cat_ids(0) == [0]


def test_the_defects_of_real_data_are_found_and_named(public_data):
    bccd = public_data("bccd")  # blood cells: 364 images, 4,888 boxes, of which two are points
    metainfo = dict(classes=("RBC", "WBC", "Platelets"))
    lists = [(bccd / f"ImageSets/Main/{split}.txt").read_text() for split in ("train", "val", "test")]
    (bccd / "all.txt").write_text("\n".join(lists))
    found = XMLDataset("all.txt", metainfo, data_root=str(bccd))
    kept = [one for index in range(len(found)) for one in found.get_data_info(index)["instances"]]
    assert (len(found), len(kept)) == (364, 4886)
    assert [(key, entry.count) for key, entry in found.screening.entries.items()] == [
        (("under a pixel wide or high", "RBC"), 2)
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"2 bad boxes of 4888") as caught:
        XMLDataset("all.txt", metainfo, data_root=str(bccd), on_bad_boxes="error")
    assert "BloodImage_00343.jpg [180, 328, 180, 328]" in str(caught.value)
    with pytest.raises(ValueError, match=r"Platelets \(361 objects\)"):
        VOCDataset("all.txt", data_root=str(bccd))
