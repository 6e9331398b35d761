"""Loading annotations: what records say becomes arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from visuite.cv.image import ImageError
from visuite.cv.masks import BitmapMasks, PolygonMasks, encode_rle
from visuite.cv.transforms import LoadAnnotations, LoadImageFromNDArray, LoadMultiChannelImageFromFiles

SQUARE = [10.0, 5, 20, 5, 20, 15, 10, 15]
TRIANGLE = [1.0, 1, 9, 2, 4, 12]


def instance(**changes: Any) -> dict[str, Any]:
    points = [3, 4, 2, 5, 6, 0]
    return {
        "bbox": [1, 2, 9.5, 12],
        "bbox_label": 3,
        "ignore_flag": 0,
        "mask": [SQUARE],
        "keypoints": points,
        **changes,
    }


def record(*instances: dict[str, Any]) -> dict[str, Any]:
    return {"instances": list(instances), "ori_shape": (20, 30), "img_shape": (40, 60)}


def test_boxes_labels_keypoints() -> None:
    got = LoadAnnotations(with_keypoints=True)(record(instance(), instance(ignore_flag=1, bbox_label=0)))
    assert got is not None
    assert got["gt_bboxes"].tolist() == [[1, 2, 9.5, 12]] * 2
    assert got["gt_bboxes_labels"].tolist() == [3, 0]
    assert got["gt_ignore_flags"].tolist() == [False, True]
    assert got["gt_keypoints"].tolist() == [[[3, 4, 2], [5, 6, 0]]] * 2
    kinds = {key: got[key].dtype for key in ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags", "gt_keypoints")}
    assert kinds == {
        "gt_bboxes": np.float32, "gt_bboxes_labels": np.int64, "gt_ignore_flags": bool, "gt_keypoints": np.float32
    }  # fmt: skip


def test_an_image_without_objects() -> None:
    for poly2mask, kind in ((True, BitmapMasks), (False, PolygonMasks)):
        got = LoadAnnotations(with_mask=True, with_keypoints=True, poly2mask=poly2mask)(record())
        assert got is not None
        assert isinstance(got["gt_masks"], kind)
        assert got["gt_masks"].to_ndarray().shape == (0, 20, 30)
        assert (got["gt_bboxes"].shape, got["gt_bboxes_labels"].shape) == ((0, 4), (0,))
        assert (got["gt_ignore_flags"].shape, got["gt_ignore_flags"].dtype) == ((0,), bool)
        assert got["gt_keypoints"].shape[::2] == (0, 3)


def test_only_what_is_asked_for() -> None:
    got = LoadAnnotations(with_bbox=False, with_label=False)(record(instance()))
    assert got is not None
    assert not [key for key in got if key.startswith("gt_")]


def test_masks_are_those_of_coco() -> None:
    drawn = coco.decode(coco.frPyObjects([SQUARE, TRIANGLE], 20, 30))
    lengths = encode_rle(drawn[..., 1][None])[0]
    got = LoadAnnotations(with_mask=True)(record(instance(mask=[SQUARE, TRIANGLE]), instance(mask=lengths)))
    assert got is not None
    assert np.array_equal(got["gt_masks"].masks[0], drawn.any(axis=2))
    assert np.array_equal(got["gt_masks"].masks[1], drawn[..., 1])
    polygons = LoadAnnotations(with_mask=True, poly2mask=False)(record(instance(mask=[SQUARE, TRIANGLE])))
    assert polygons is not None
    assert [part.tolist() for part in polygons["gt_masks"].masks[0]] == [SQUARE, TRIANGLE]


BROKEN = [None, [], [[1.0, 2, 3, 4]], [SQUARE[:-1]], {"size": [20, 30]}, {"counts": [600]}, 7]


@pytest.mark.parametrize("poly2mask", [True, False])
@pytest.mark.parametrize("mask", BROKEN)
def test_objects_with_broken_masks_are_ignored(mask: Any, poly2mask: bool) -> None:
    load = LoadAnnotations(with_mask=True, poly2mask=poly2mask)
    got = load(record(instance(mask=mask), instance()))
    assert got is not None
    assert got["gt_ignore_flags"].tolist() == [True, False]
    assert got["gt_masks"].areas.tolist() == [0, 100]


def test_good_polygons_beside_broken_ones_count() -> None:
    got = LoadAnnotations(with_mask=True)(record(instance(mask=[[1.0, 2], SQUARE, SQUARE[:-1]])))
    assert got is not None
    assert got["gt_ignore_flags"].tolist() == [False]
    assert got["gt_masks"].areas.tolist() == [100]


def test_run_lengths_cannot_be_polygons() -> None:
    lengths = {"size": [20, 30], "counts": [0, 600]}
    got = LoadAnnotations(with_mask=True, poly2mask=False)(record(instance(mask=lengths)))
    assert got is not None
    assert got["gt_ignore_flags"].tolist() == [True]
    whole = LoadAnnotations(with_mask=True)(record(instance(mask=lengths)))
    assert whole is not None
    assert whole["gt_masks"].areas.tolist() == [600]


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(ValueError, match="rbox"):
        LoadAnnotations(box_type="rbox")
    assert LoadAnnotations(box_type=None).with_bbox
    with pytest.raises(KeyError, match="instances"):
        LoadAnnotations()({"img": 1})
    with pytest.raises(KeyError, match="instance 1 has no 'bbox_label'"):
        LoadAnnotations()(record(instance(), {"bbox": [1, 2, 3, 4]}))
    with pytest.raises(ValueError, match=r"instance 0: bbox.*\[1, 2, 3\]"):
        LoadAnnotations()(record(instance(bbox=[1, 2, 3])))


def seg_record(tmp_path: Path, image: Image.Image) -> dict[str, Any]:
    image.save(tmp_path / "map.png")
    return {"seg_map_path": str(tmp_path / "map.png")}


MAP = np.array([[0, 1, 2], [255, 7, 0]], np.uint8)
SEG_ONLY: dict[str, Any] = {"with_bbox": False, "with_label": False, "with_seg": True}


@pytest.mark.parametrize("backend", ["cv2", "pillow"])
def test_maps_of_classes(tmp_path: Path, backend: str) -> None:
    load = LoadAnnotations(**SEG_ONLY, imdecode_backend=backend)
    got = load(seg_record(tmp_path, Image.fromarray(MAP)))
    assert got is not None
    assert np.array_equal(got["gt_seg_map"], MAP)
    assert got["ignore_index"] == 255
    coloured = Image.fromarray(MAP, mode="P")
    coloured.putpalette(np.random.RandomState(0).randint(0, 255, 768).tolist())
    got = load(seg_record(tmp_path, coloured))
    assert got is not None
    assert np.array_equal(got["gt_seg_map"], MAP)
    large = MAP.astype(np.uint16) * 256
    got = load(seg_record(tmp_path, Image.fromarray(large)))
    assert got is not None
    assert np.array_equal(got["gt_seg_map"], large)


def test_class_zero_may_be_dropped(tmp_path: Path) -> None:
    got = LoadAnnotations(**SEG_ONLY, reduce_zero_label=True)(seg_record(tmp_path, Image.fromarray(MAP)))
    assert got is not None
    assert got["gt_seg_map"].tolist() == [[255, 0, 1], [255, 6, 255]]
    assert got["gt_seg_map"].dtype == np.uint8


def test_a_picture_is_no_map_and_no_map_is_no_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"map\.png.*one value"):
        LoadAnnotations(**SEG_ONLY)(seg_record(tmp_path, Image.new("RGB", (3, 2))))
    got = LoadAnnotations(**SEG_ONLY)({"seg_map_path": None})
    assert got == {"seg_map_path": None}


def test_channels_of_several_files(tmp_path: Path) -> None:
    paths = []
    for value in (1, 2, 300):
        paths.append(str(tmp_path / f"{value}.png"))
        Image.fromarray(np.full((4, 6), value, np.uint16)).save(paths[-1])
    got = LoadMultiChannelImageFromFiles(to_float32=True)({"img_path": paths})
    assert got is not None
    assert got["img"].shape == (4, 6, 3)
    assert got["img"][0, 0].tolist() == [1, 2, 300]
    assert (got["img"].dtype, got["img_shape"], got["ori_shape"]) == (np.float32, (4, 6), (4, 6))
    Image.fromarray(np.zeros((5, 6), np.uint16)).save(paths[1])
    with pytest.raises(ValueError, match=r"2\.png"):
        LoadMultiChannelImageFromFiles()({"img_path": paths})


def test_arrays_are_taken_as_images() -> None:
    img = np.zeros((4, 6, 3), np.uint8)
    got = LoadImageFromNDArray(to_float32=True)({"img": img})
    assert got is not None
    assert got["img"].dtype == np.float32
    assert (got["img_shape"], got["ori_shape"], got["img_path"]) == ((4, 6), (4, 6), None)
