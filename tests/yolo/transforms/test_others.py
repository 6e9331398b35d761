"""Loading, colours, crops, small masks, and what configs name without a scope."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.det.transforms.test_mixing import images
from tests.painted import assert_followed, extent, objects
from visuite.cv.masks import BitmapMasks, PolygonMasks, encode_rle
from visuite.det.transforms import PackDetInputs
from visuite.engine.registry import TRANSFORMS, init_default_scope
from visuite.yolo.transforms import (
    FilterAnnotations,
    LoadAnnotations,
    Polygon2Mask,
    PPYOLOERandomCrop,
    PPYOLOERandomDistort,
    RemoveDataElement,
    YOLOv5HSVRandomAug,
)

seeds = st.integers(0, 2**32 - 1)
_SQUARE = [10.0, 10, 20, 10, 20, 20, 10, 20]
_OTHER = [30.0, 12, 36, 12, 36, 30, 30, 30]


def record(*instances: dict[str, Any]) -> dict[str, Any]:
    return {"instances": list(instances), "ori_shape": (40, 50), "img_shape": (40, 50)}


def instance(label: int, mask: Any = None, *, ignored: bool = False) -> dict[str, Any]:
    one = {"bbox": [1.0, 2, 30, 20], "bbox_label": label, "ignore_flag": int(ignored)}
    return one if mask is None else {**one, "mask": mask}


def test_what_is_ignored_is_left_out() -> None:
    loaded = record(instance(0), instance(1, ignored=True), instance(2))
    got = LoadAnnotations(with_bbox=True)(loaded)
    assert got["gt_bboxes_labels"].tolist() == [0, 2]
    assert got["gt_bboxes"].shape == (2, 4)
    assert not got["gt_ignore_flags"].any()
    assert len(got["instances"]) == 3  # the record stays as it was
    assert LoadAnnotations()(record())["gt_bboxes"].shape == (0, 4)


def test_boxes_of_masks_and_joined_polygons() -> None:
    loaded = record(instance(0, [_SQUARE, _OTHER]), instance(1, [[1.0, 2]]), instance(2, [_OTHER]))
    got = LoadAnnotations(mask2bbox=True, with_mask=True)(loaded)
    assert got["gt_bboxes_labels"].tolist() == [0, 2]  # that of a point alone cannot be read
    assert got["gt_bboxes"].tolist() == [[10, 10, 36, 30], [30, 12, 36, 30]]
    assert [len(mask) for mask in got["gt_masks"]] == [1, 1]
    assert got["gt_masks"].areas.tolist() == [100 + 108, 108]
    apart = LoadAnnotations(mask2bbox=True, with_mask=True, merge_polygons=False)(loaded)
    assert [len(mask) for mask in apart["gt_masks"]] == [2, 1]
    drawn = LoadAnnotations(mask2bbox=True, poly2mask=True, with_mask=True)(loaded)
    assert isinstance(drawn["gt_masks"], BitmapMasks)
    with pytest.raises(ValueError, match="with_mask=True"):
        LoadAnnotations(mask2bbox=True)


def test_run_lengths_become_polygons() -> None:
    bitmap = np.zeros((1, 40, 50), np.uint8)
    bitmap[0, 5:15, 8:30] = 1
    bitmap[0, 20:30, 8:12] = 1
    got = LoadAnnotations(mask2bbox=True, with_mask=True)(record(instance(0, encode_rle(bitmap)[0])))
    assert np.abs(got["gt_bboxes"][0] - [8, 5, 30, 30]).max() <= 0.25
    assert isinstance(got["gt_masks"], PolygonMasks)
    assert (got["gt_masks"].to_ndarray()[0] != bitmap[0]).sum() == 0


# ---------------------------------------------------------------------- colours


def test_factors_on_hue_saturation_and_value() -> None:
    img = np.random.RandomState(0).randint(0, 256, (30, 30, 3)).astype(np.uint8)
    augment = YOLOv5HSVRandomAug()
    same = augment.apply({"img": img}, np.ones(3))["img"]
    assert np.abs(same.astype(int) - img).max() <= 6  # there and back in whole numbers
    before = cv2.cvtColor(img, cv2.COLOR_BGR2HSV).astype(int)
    got = cv2.cvtColor(augment.apply({"img": img}, np.array([1, 1, 0.5]))["img"], cv2.COLOR_BGR2HSV).astype(int)
    assert np.abs(got[..., 2] - before[..., 2] // 2).max() <= 1
    grey = augment.apply({"img": img}, np.array([1, 0, 1]))["img"]
    assert np.ptp(grey, axis=2).max() == 0
    np.random.seed(0)
    drawn = np.array([YOLOv5HSVRandomAug(0.1, 0.5, value_delta=0.3).draw({}) for _ in range(500)])
    assert drawn.min(axis=0) == pytest.approx([0.9, 0.5, 0.7], abs=0.01)
    assert drawn.max(axis=0) == pytest.approx([1.1, 1.5, 1.3], abs=0.01)
    with pytest.raises(TypeError, match="BGR images of bytes"):
        augment({"img": np.zeros((4, 4, 3), np.float32)})


def test_distortion() -> None:
    img = np.random.RandomState(0).randint(0, 256, (30, 30, 3)).astype(np.uint8)
    distort = PPYOLOERandomDistort()
    darker = distort.apply({"img": img}, [("brightness", 0.5)])["img"]
    assert np.abs(darker - img / 2).max() <= 1
    even = distort.apply({"img": img}, [("contrast", 0.5)])["img"]
    assert even.std() == pytest.approx(img.std() / 2, rel=0.05)
    assert even.mean() == pytest.approx(cv2.cvtColor(img, cv2.COLOR_BGR2GRAY).mean(), rel=0.05)
    turned = distort.apply({"img": img}, [("hue", 60)])["img"]  # 120 degrees: red becomes green
    assert np.abs(turned.astype(int) - img[..., [1, 2, 0]]).max() <= 6
    np.random.seed(0)
    drawn = [distort.draw({}) for _ in range(600)]
    assert {len(one) for one in drawn} == {0, 1, 2, 3, 4}
    assert np.mean([len(one) for one in drawn]) == pytest.approx(2, abs=0.1)
    assert {name for one in drawn for name, _ in one[:1]} == {"hue", "saturation", "contrast", "brightness"}
    assert max(len(PPYOLOERandomDistort(num_distort_func=1).draw({})) for _ in range(50)) == 1
    with pytest.raises(ValueError, match="1 to 4"):
        PPYOLOERandomDistort(num_distort_func=5)


# ---------------------------------------------------------------------- crops


@settings(max_examples=50)
@given(seeds, st.booleans())
def test_objects_follow_a_crop(seed: int, polygons: bool) -> None:
    np.random.seed(seed)
    [one] = images(seed, 1, polygons=polygons)
    got = PPYOLOERandomCrop(allow_no_crop=False)(one)
    assert_followed(got, tolerance=1.0, may_drop=True)


def test_windows_of_crops() -> None:
    np.random.seed(0)
    one = objects([(20, 10, 80, 40)], (200, 100))
    windows = [PPYOLOERandomCrop(thresholds=[0.3], allow_no_crop=False).draw(one) for _ in range(300)]
    x1, y1, x2, y2 = np.array([window for window in windows if window is not None]).T
    inner = (np.minimum(x2, 80) - np.maximum(x1, 20)) * (np.minimum(y2, 40) - np.maximum(y1, 10))
    assert (inner / ((x2 - x1) * (y2 - y1) + 60 * 30 - inner) >= 0.3).all()
    assert (x1 >= 0).all()
    assert (x2 <= 200).all()
    assert (y2 <= 100).all()
    stretch = (x2 - x1) / 200 / ((y2 - y1) / 100)
    assert stretch.min() > 0.45
    assert stretch.max() < 2.2
    share = np.sqrt((x2 - x1) * (y2 - y1) / 20000)
    assert share.min() > 0.28
    whole = [PPYOLOERandomCrop(thresholds=[]).draw(one) for _ in range(5)]
    assert whole == [None] * 5
    two = objects([(0, 0, 20, 20), (150, 60, 190, 95)], (200, 100))
    for window in (PPYOLOERandomCrop(thresholds=[0.01], cover_all_box=True).draw(two) for _ in range(30)):
        assert window is None or (window[0] < 20 and window[2] > 150)
    empty = objects([], (200, 100))
    assert PPYOLOERandomCrop()(empty) is empty


# ---------------------------------------------------------------------- small masks


def test_masks_in_one_map_lie_with_small_ones_on_top() -> None:
    one = objects([(8, 8, 16, 16), (0, 0, 32, 32), (40, 0, 64, 24)], (64, 48), polygons=True)
    got = Polygon2Mask(downsample_ratio=4)(one)
    overlap = got["gt_panoptic_seg"]
    assert overlap.shape == (12, 16)
    assert got["gt_bboxes_labels"].tolist() == [1, 2, 0]
    assert "gt_masks" not in got
    for number, box in enumerate(got["gt_bboxes"], 1):
        assert (extent(overlap == number) * 4 == box).all()
    assert (overlap == 3).sum() == 4
    packed = PackDetInputs()(got)["data_samples"]
    assert packed.gt_panoptic_seg.pan_seg.shape == (1, 12, 16)
    empty = Polygon2Mask()(objects([], (64, 48), polygons=True))
    assert not empty["gt_panoptic_seg"].any()


def test_masks_of_their_own() -> None:
    one = objects([(8, 8, 16, 16), (0, 0, 32, 32)], (64, 48), polygons=True)
    got = Polygon2Mask(downsample_ratio=2, mask_overlap=False)(one)
    assert got["gt_masks"].masks.shape == (2, 24, 32)
    assert (got["gt_masks"].get_bboxes().numpy() * 2 == got["gt_bboxes"]).all()
    assert got["gt_bboxes_labels"].tolist() == [0, 1]


def test_taking_out() -> None:
    assert RemoveDataElement(["a", "missing"])({"a": 1, "b": 2}) == {"b": 2}
    assert RemoveDataElement("b")({"a": 1, "b": 2}) == {"a": 1}


def test_objects_without_a_visible_keypoint() -> None:
    one = objects([(0, 0, 9, 9), (10, 10, 20, 20)])
    one["gt_keypoints"][0, :, 2] = 0
    got = FilterAnnotations(by_keypoints=True, keep_empty=False)(one)
    assert got is not None
    assert got["gt_bboxes_labels"].tolist() == [1]


@pytest.mark.parametrize(
    "name",
    ["Mosaic", "Mosaic9", "YOLOv5MixUp", "YOLOXMixUp", "YOLOv5CopyPaste", "YOLOv5RandomAffine", "YOLOv5HSVRandomAug",
     "LetterResize", "YOLOv5KeepRatioResize", "LoadAnnotations", "PPYOLOERandomCrop", "PPYOLOERandomDistort",
     "RemoveDataElement", "Polygon2Mask", "FilterAnnotations", "PackDetInputs", "RandomAffine", "RandomFlip", "Resize",
     "mmdet.RandomFlip", "mmdet.Pad", "mmdet.YOLOXHSVRandomAug", "RandomChoice"],
)  # fmt: skip
def test_names_of_configs(name: str) -> None:
    init_default_scope("mmyolo")
    with TRANSFORMS.switch_scope_and_registry(None) as registry:
        found = registry.get(name)
        assert found is not None
        if name == "LoadAnnotations":
            assert found is LoadAnnotations
