"""Reading annotations in the format of COCO: labels by name, and nothing lost in silence."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.det.datasets.annotated import ANNOTATIONS, CATEGORIES, IMAGES, annotation, write_coco
from visuite.det.datasets import CityscapesDataset, CocoDataset, CocoPanopticDataset, LVISDataset, Objects365V2Dataset
from visuite.det.registry import DATASETS

CLASSES = ("cat", "dog", "kite")


def dataset(folder: Path, kind: type[CocoDataset] = CocoDataset, classes=CLASSES, **kwargs) -> CocoDataset:
    metainfo = {} if classes is None else {"classes": classes}
    return kind("ann.json", metainfo, data_root=str(folder), data_prefix=dict(img="img"), **kwargs)


def boxes(found: CocoDataset) -> list[list[float]]:
    return [one["bbox"] for index in range(len(found)) for one in found.get_data_info(index)["instances"]]


def test_records(tmp_path):
    write_coco(tmp_path)
    found = dataset(tmp_path)
    assert len(found) == 4
    first = found.get_data_info(0)
    assert {key: first[key] for key in ("img_id", "width", "height", "sample_idx")} == {
        "img_id": 5, "width": 64, "height": 48, "sample_idx": 0
    }  # fmt: skip
    assert first["img_path"] == str(tmp_path / "img" / "0005.jpg")
    assert first["seg_map_path"] is None
    assert first["instances"] == [
        {"bbox": [10, 5, 30, 35], "bbox_label": 0, "ignore_flag": 0, "mask": [[10, 5, 30, 5, 30, 35]]},
        {"bbox": [0, 0, 64, 48], "bbox_label": 2, "ignore_flag": 1},
    ]
    assert found.get_data_info(2)["instances"] == []
    assert found.cat_ids == [7, 2, 90]
    assert [found.get_cat_ids(index) for index in range(4)] == [[0, 2], [1], [], [0]]
    assert not found.screening


def test_labels_follow_the_classes_not_the_file(tmp_path):
    write_coco(tmp_path)
    found = dataset(tmp_path, classes=("kite", "cat", "dog"))
    assert [found.get_cat_ids(index) for index in range(4)] == [[1, 0], [2], [], [1]]
    assert found.cat_ids == [90, 7, 2]


def test_a_choice_of_classes_tells_what_it_leaves_out(tmp_path):
    write_coco(tmp_path)
    found = dataset(tmp_path, classes=("dog",))
    assert [found.get_cat_ids(index) for index in range(4)] == [[], [0], [], []]
    assert {key: entry.count for key, entry in found.screening.entries.items()} == {
        ("objects of other categories", "cat"): 2,
        ("objects of other categories", "kite"): 1,
    }


def test_classes_that_do_not_fit_are_an_error(tmp_path):
    write_coco(tmp_path)
    with pytest.raises(ValueError, match=r"no category bears the name of cta of the 2 classes; did you mean 'cat'"):
        dataset(tmp_path, classes=("cta", "dog"))
    with pytest.raises(ValueError, match="no category bears the name of person, rider, car, truck") as caught:
        CityscapesDataset("ann.json", data_root=str(tmp_path), data_prefix=dict(img="img"))
    assert "kite (1 objects)" in str(caught.value)
    assert dataset(tmp_path, classes=("cta", "dog"), on_class_mismatch="drop").cat2label == {2: 1}


def test_categories_without_objects_do_no_harm(tmp_path):
    write_coco(tmp_path, categories=[{"id": 0, "name": "animals"}, *CATEGORIES])
    assert not dataset(tmp_path).screening


def test_classes_of_the_file(tmp_path):
    write_coco(tmp_path)
    for name in ("Objects365V1Dataset", "Objects365V2Dataset", "V3DetDataset", "LVISV1Dataset", "LVISV05Dataset"):
        kind = DATASETS.get(name)
        assert dataset(tmp_path, kind, None, on_missing_images="ignore").metainfo["classes"] == ("dog", "cat", "kite")


def test_several_categories_of_one_name_are_one_class(tmp_path):
    write_coco(tmp_path, categories=[{"id": 7, "name": "cat"}, {"id": 2, "name": "cat"}, {"id": 90, "name": "kite"}])
    assert dataset(tmp_path, classes=("cat", "kite")).cat2label == {7: 0, 2: 0, 90: 1}


BAD = [
    ((5, 5, 0.5, 20), "under a pixel wide or high"),
    ((5, 5, 0, 0), "under a pixel wide or high"),
    ((20, 20, -5, 10), "inside out"),
    ((70, 5, 10, 10), "outside the image"),
    ((-20, 5, 20, 10), "outside the image"),
    ((5, float("nan"), 10, 10), "not a number"),
]


@pytest.mark.parametrize(("bbox", "reason"), BAD)
def test_bad_boxes_are_dropped_and_counted_or_refused(tmp_path, bbox, reason):
    write_coco(tmp_path, [*ANNOTATIONS, annotation(99, 5, 90, bbox)])
    good = boxes(dataset(tmp_path, on_bad_boxes="clip"))
    for policy in ("drop", "clip"):
        found = dataset(tmp_path, on_bad_boxes=policy)
        assert boxes(found) == good
        assert len(good) == len(ANNOTATIONS)
        assert {key: entry.count for key, entry in found.screening.entries.items()} == {(reason, "kite"): 1}
        assert "0005.jpg" in found.screening.table()
    with pytest.raises(ValueError, match=f"1 bad boxes of 5.*\n.*\n.*\n{reason} +kite +1 +0005.jpg"):
        dataset(tmp_path, on_bad_boxes="error")


def test_boxes_over_the_edge(tmp_path):
    write_coco(tmp_path, [annotation(1, 5, 7, (50, 40, 30, 20)), annotation(2, 12, 2, (0.5, -0.4, 39.6, 60))])
    assert boxes(dataset(tmp_path)) == [[50, 40, 80, 60], [0.5, -0.4, 40.1, 59.6]]
    assert boxes(dataset(tmp_path, on_bad_boxes="clip")) == [[50, 40, 64, 48], [0.5, 0, 40, 59.6]]
    with pytest.raises(ValueError, match="1 bad boxes of 2"):  # that by less than a pixel is rounding
        dataset(tmp_path, on_bad_boxes="error")


def test_what_is_left_of_a_clipped_box_has_to_be_a_box(tmp_path):
    write_coco(tmp_path, [annotation(1, 5, 7, (63.5, 40, 30, 20))])
    found = dataset(tmp_path, on_bad_boxes="clip")
    assert boxes(found) == []
    assert found.screening.count("over the image's edge") == 1


def test_marked_and_empty_objects(tmp_path):
    marked, flat = annotation(8, 5, 7, (1, 1, 9, 9), ignore=1), {**annotation(9, 5, 7, (1, 1, 9, 9)), "area": 0}
    write_coco(tmp_path, [marked, flat])
    found = dataset(tmp_path)
    assert boxes(found) == []
    assert found.screening.count("objects marked 'ignore'") == found.screening.count("an area of 0") == 1


def test_filters_are_for_training_and_told(tmp_path):
    write_coco(tmp_path)
    rule = dict(filter_empty_gt=True, min_size=30)
    found = dataset(tmp_path, filter_cfg=rule)
    assert [found.get_data_info(index)["img_id"] for index in range(len(found))] == [5, 12]
    assert found.screening.count("images without objects") == found.screening.count("images under 30 pixels") == 1
    tested = dataset(tmp_path, filter_cfg=rule, test_mode=True)
    assert (len(tested), bool(tested.screening)) == (4, False)
    small = dataset(tmp_path, filter_cfg=dict(bbox_min_size=15))
    assert [[one["ignore_flag"] for one in small.get_data_info(index)["instances"]] for index in (0, 1, 3)] == [
        [0, 1], [0], [1]
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"filter_cfg does not take 'filter_empty'; did you mean 'filter_empty_gt'"):
        dataset(tmp_path, filter_cfg=dict(filter_empty=True))
    with pytest.raises(ValueError, match="on_bad_boxes does not take 'crop'"):
        dataset(tmp_path, on_bad_boxes="crop")


def test_an_image_whose_only_object_was_bad_is_empty(tmp_path):
    write_coco(tmp_path, [annotation(1, 5, 7, (5, 5, 0, 9)), annotation(2, 12, 7, (5, 5, 9, 9))])
    found = dataset(tmp_path, filter_cfg=dict(filter_empty_gt=True))
    assert [found.get_data_info(index)["img_id"] for index in range(len(found))] == [12]


def test_images_without_a_file(tmp_path):
    write_coco(tmp_path)
    (tmp_path / "img" / "0012.jpg").unlink()
    with pytest.raises(ValueError, match=r"1 of 4 images have no file, the first of them .*0012\.jpg"):
        dataset(tmp_path)
    found = dataset(tmp_path, on_missing_images="drop")
    assert (len(found), found.screening.count("images without a file")) == (3, 1)
    assert len(dataset(tmp_path, on_missing_images="ignore")) == 4
    for left in (tmp_path / "img").iterdir():
        left.unlink()
    with pytest.raises(FileNotFoundError, match=r"none of its 4 images is there"):
        dataset(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("images"), "a COCO file is a dict with 'images'"),
        (lambda c: c["images"][0].pop("width"), r"image 5 \(0005.jpg\) has no width or height"),
        (lambda c: c["images"].append(c["images"][0].copy()), "two images have the id 5"),
        (lambda c: c["categories"].append({"id": 2, "name": "cow"}), "two categories have the id 2"),
        (lambda c: c["annotations"][2].update(category_id=3), "annotation 9 of image 12 has category_id 3"),
    ],
)
def test_broken_files(tmp_path, change, message):
    path = write_coco(tmp_path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        dataset(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"ann\.json"):
        dataset(tmp_path)


def test_annotations_of_images_that_are_not_listed(tmp_path):
    write_coco(tmp_path, [*ANNOTATIONS, annotation(77, 1000, 7, (1, 1, 5, 5))])
    assert dataset(tmp_path).screening.count("objects of images that are not listed") == 1


def test_a_list_of_images_to_test_on_has_no_objects(tmp_path):
    write_coco(tmp_path, [], categories=[])
    found = dataset(tmp_path, test_mode=True)
    assert [found.get_data_info(index)["instances"] for index in range(4)] == [[]] * 4


def test_maps_text_and_proposals(tmp_path):
    write_coco(tmp_path)
    proposals = {f"img/{one:04d}.jpg": dict(bboxes=np.full((3, 4), one), scores=np.ones(3)) for one, *_ in IMAGES}
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(proposals))
    found = CocoDataset(
        "ann.json", dict(classes=CLASSES), data_root=str(tmp_path), data_prefix=dict(img="img", seg="maps"),
        proposal_file="p.pkl", return_classes=True,
    )  # fmt: skip
    record = found.get_data_info(1)
    assert record["seg_map_path"] == str(tmp_path / "maps" / "0012.png")
    assert record["text"] == CLASSES
    assert record["proposals"]["bboxes"].tolist() == [[12.0] * 4] * 3
    del proposals["img/0031.jpg"]
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(proposals))
    with pytest.raises(KeyError, match=r"no proposals for img/0031\.jpg"):
        dataset(tmp_path, proposal_file="p.pkl")


def test_file_names_of_lvis_and_objects365(tmp_path):
    path = write_coco(tmp_path)
    content = json.loads(path.read_text())
    content["images"][0] = {
        "id": 5, "width": 9, "height": 9, "coco_url": "http://images.cocodataset.org/train2017/000000000005.jpg"
    }  # fmt: skip
    content["images"][1]["file_name"] = "COCO_val2014_000000000012.jpg"
    content["images"][2]["file_name"] = "images/v1/patch8/x.jpg"
    path.write_text(json.dumps(content))
    found = dataset(tmp_path, LVISDataset, None, on_missing_images="ignore")
    names = [found.get_data_info(index)["img_path"].removeprefix(f"{tmp_path}/img/") for index in range(2)]
    assert names == ["train2017/000000000005.jpg", "000000000012.jpg"]
    content["images"][0]["file_name"] = "a.jpg"
    path.write_text(json.dumps(content))
    found = dataset(tmp_path, Objects365V2Dataset, None, on_missing_images="ignore")
    assert found.get_data_info(2)["img_path"] == str(tmp_path / "img" / "patch8/x.jpg")


def test_panoptic_segments(tmp_path):
    categories = [{"id": 1, "name": "cat", "isthing": 1}, {"id": 100, "name": "sky", "isthing": 0}]
    segments = [
        {"id": 300, "category_id": 1, "iscrowd": 0, "bbox": [2, 3, 10, 10], "area": 60},
        {"id": 301, "category_id": 1, "iscrowd": 1, "bbox": [0, 0, 30, 20], "area": 90},
        {"id": 302, "category_id": 100, "iscrowd": 0, "bbox": [0, 0, 64, 48], "area": 900},
    ]
    panoptic = [{"image_id": 5, "file_name": "0005.png", "segments_info": segments}]
    write_coco(tmp_path, panoptic, categories=categories)
    metainfo = dict(classes=("cat", "sky"), thing_classes=("cat",), stuff_classes=("sky",))
    found = CocoPanopticDataset(
        "ann.json", metainfo, data_root=str(tmp_path), data_prefix=dict(img="img", seg="maps"),
        filter_cfg=dict(filter_empty_gt=True),
    )  # fmt: skip
    assert len(found) == 1
    record = found.get_data_info(0)
    assert record["seg_map_path"] == str(tmp_path / "maps" / "0005.png")
    assert record["segments_info"] == [
        {"id": 300, "category": 0, "is_thing": True},
        {"id": 301, "category": 0, "is_thing": False},
        {"id": 302, "category": 1, "is_thing": False},
    ]
    assert [(one["bbox"], one["ignore_flag"]) for one in record["instances"]] == [
        ([2, 3, 12, 13], 0), ([0, 0, 30, 20], 1)
    ]  # fmt: skip
