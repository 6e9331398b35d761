"""Adapters to libraries that need not be there; the tests put small ones of the same interface in their place."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.painted import assert_followed, objects
from visuite.det.structures import BitmapMasks
from visuite.det.transforms import Albu, Corrupt, InstaBoost

BOXES = [(0, 0, 10, 10), (5, 5, 25, 20), (30, 10, 60, 40)]


class HorizontalFlip:
    """Flips image, masks and boxes, and drops boxes of which a list says so."""

    def __init__(self, p: float = 0.5, drop: tuple[int, ...] = ()) -> None:
        self.p, self.drop = p, drop

    def __call__(self, image: np.ndarray, masks: list[np.ndarray], bboxes: Any, **fields: list[int]) -> dict[str, Any]:
        w = image.shape[1]
        kept = [i for i in range(len(bboxes)) if i not in self.drop]
        flipped = [(w - x2, y1, w - x1, y2) for x1, y1, x2, y2 in np.asarray(bboxes)[kept].tolist()]
        return {
            "image": image[:, ::-1].copy(),
            "masks": [mask[:, ::-1] for mask in masks],
            "bboxes": flipped,
            **{name: [values[i] for i in kept] for name, values in fields.items()},
        }


class Compose:
    def __init__(self, transforms: list[Any], bbox_params: Any = None) -> None:
        self.transforms, self.bbox_params, self.seed = transforms, bbox_params, None

    def set_random_seed(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, **data: Any) -> dict[str, Any]:
        assert set(self.bbox_params["label_fields"]) <= data.keys()
        for one in self.transforms:
            data = one(**data)
        return data


@pytest.fixture
def albumentations(monkeypatch: pytest.MonkeyPatch) -> None:
    library = ModuleType("albumentations")
    library.HorizontalFlip, library.Compose = HorizontalFlip, Compose  # type: ignore
    library.BboxParams = lambda format, label_fields: {"format": format, "label_fields": label_fields}  # type: ignore
    library.OneOf = lambda transforms, p: transforms[0]  # type: ignore
    monkeypatch.setitem(sys.modules, "albumentations", library)


PARAMS = dict(
    type="BboxParams",
    format="pascal_voc",
    label_fields=["gt_bboxes_labels", "gt_ignore_flags"],
    filter_lost_elements=True,
)


@pytest.mark.parametrize("polygons", [False, True])
def test_albumentations_move_everything(albumentations: None, polygons: bool) -> None:
    steps = [dict(type="OneOf", transforms=[dict(type="HorizontalFlip", p=1.0, drop=(1,))], p=1.0)]
    results = objects(BOXES, polygons=polygons)
    del results["gt_keypoints"], results["gt_seg_map"]
    got = Albu(steps, PARAMS)(results)
    assert got is not None
    assert got["gt_bboxes"].tolist() == [[54, 0, 64, 10], [4, 10, 34, 40]]
    assert got["gt_bboxes_labels"].tolist() == [0, 2]
    assert isinstance(got["gt_masks"], BitmapMasks)
    assert_followed(got, may_drop=True)


def test_albumentations_may_lose_all_objects(albumentations: None) -> None:
    lose: list[Any] = [dict(type="HorizontalFlip", drop=(0, 1, 2))]
    assert Albu(lose, PARAMS, skip_img_without_anno=True)(objects(BOXES)) is None
    got = Albu(lose, PARAMS)(objects(BOXES))
    assert got is not None
    assert got["gt_bboxes"].shape == (0, 4)
    assert len(got["gt_masks"]) == 0


def test_albumentations_draw_from_the_sample(albumentations: None) -> None:
    albu = Albu([dict(type="HorizontalFlip")], PARAMS)
    seeds = []
    for seed in (3, 3, 4):
        np.random.seed(seed)
        albu(objects(BOXES))
        seeds.append(albu.aug.seed)
    assert seeds[0] == seeds[1] != seeds[2]


def test_an_unknown_transform_of_albumentations(albumentations: None) -> None:
    with pytest.raises(ValueError, match="HorizontalFlop"):
        Albu([dict(type="HorizontalFlop")])


def test_corruption(monkeypatch: pytest.MonkeyPatch) -> None:
    library = ModuleType("imagecorruptions")
    library.corrupt = lambda img, corruption_name, severity: img + len(corruption_name) + severity  # type: ignore
    monkeypatch.setitem(sys.modules, "imagecorruptions", library)
    got = Corrupt("fog", 2)({"img": np.zeros((2, 2, 3), np.float32)})
    assert got is not None
    assert (got["img"] == 5).all()
    assert got["img"].dtype == np.uint8


def test_instaboost(monkeypatch: pytest.MonkeyPatch) -> None:
    library = ModuleType("instaboostfast")
    library.InstaBoostConfig = lambda *options: options  # type: ignore

    def get_new_data(anns: list[dict[str, Any]], img: np.ndarray, cfg: Any, background: Any) -> Any:
        assert cfg[0] == ("normal", "horizontal", "skip")
        return [{**ann, "bbox": [ann["bbox"][0] + 5, *ann["bbox"][1:]]} for ann in anns], img + 1

    library.get_new_data = get_new_data  # type: ignore
    monkeypatch.setitem(sys.modules, "instaboostfast", library)
    instances = [{"bbox": [1, 2, 11, 22], "bbox_label": i, "ignore_flag": i, "mask": [[1.0] * 6]} for i in range(2)]
    got = InstaBoost(aug_ratio=1.0)({"img": np.zeros((2, 2, 3), np.uint8), "instances": instances})
    assert got is not None
    assert (got["img"] == 1).all()
    assert [one["bbox"] for one in got["instances"]] == [[6, 2, 16, 22], [1, 2, 11, 22]]
    assert [one["ignore_flag"] for one in got["instances"]] == [0, 1]
    before = {"img": np.zeros((2, 2, 3), np.uint8), "instances": instances}
    assert InstaBoost(aug_ratio=0.0)(before) is before


@pytest.mark.parametrize(
    ("make", "library", "extra"),
    [
        (lambda: Albu([]), "albumentations", "albu"),
        (lambda: Corrupt("fog"), "imagecorruptions", "corrupt"),
        (InstaBoost, "instaboostfast", "instaboost"),
    ],
)
def test_missing_libraries_name_their_extra(
    monkeypatch: pytest.MonkeyPatch, make: Any, library: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"{library} is not installed.*visuite-det\[{extra}\]"):
        make()
