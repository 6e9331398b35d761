"""Adapters to libraries that are not installed with visuite; each is an extra of visuite-det."""

from __future__ import annotations

import importlib
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from visuite.cv.transforms import RandomTransform
from visuite.det.registry import TRANSFORMS
from visuite.det.structures import BitmapMasks
from visuite.engine.dataset.transform_base import BaseTransform

_KEYMAP = {"img": "image", "gt_masks": "masks", "gt_bboxes": "bboxes"}
#: The field in which boxes keep their number on the way through Albumentations, which drops some.
_NUMBERS = "object_numbers"


@TRANSFORMS.register_module()
class Albu(RandomTransform):
    """Run transforms of Albumentations.

    Args:
        transforms: Configs, `type` being a name in `albumentations` and `transforms` a list of more of them.
        bbox_params: The arguments of `albumentations.BboxParams`, with or without its `type`. Labels, flags and all
            else that an object has follow its box.
        keymap: What our keys are called there.
        skip_img_without_anno: Drop the image when no object is left.

    Raises:
        ImportError: albumentations is not installed.
        ValueError: it has no transform of a name.
    """

    def __init__(
        self,
        transforms: Sequence[Mapping[str, Any]],
        bbox_params: Mapping[str, Any] | None = None,
        *,
        keymap: Mapping[str, str] | None = None,
        skip_img_without_anno: bool = False,
    ) -> None:
        self.library = _outside("albumentations", "albu")
        self.keymap = dict(_KEYMAP if keymap is None else keymap)
        self.skip_img_without_anno = skip_img_without_anno
        params = None
        if bbox_params is not None:
            ours = ("type", "label_fields", "filter_lost_elements")  # objects always follow their boxes
            given = {key: value for key, value in bbox_params.items() if key not in ours}
            params = self.library.BboxParams(**given, label_fields=[_NUMBERS])
        self.aug = self.library.Compose([self._built(one) for one in transforms], bbox_params=params)
        self.with_boxes = params is not None

    def draw(self, results: dict[str, Any]) -> int:
        """Return the seed of what the library draws."""
        return int(np.random.randint(2**31))

    def apply(self, results: dict[str, Any], drawn: int) -> dict[str, Any] | None:
        """Run the transforms."""
        self._seed(drawn)
        given = {theirs: _as_theirs(results[ours]) for ours, theirs in self.keymap.items() if ours in results}
        count = len(results.get("gt_bboxes", ()))
        if self.with_boxes:
            given[_NUMBERS] = list(range(count))
        done = self.aug(**given)
        kept = np.asarray(done.get(_NUMBERS, range(count)), np.int64)
        if self.skip_img_without_anno and "gt_bboxes" in results and not len(kept):
            return None
        self._take_back(results, done, kept)
        return results

    def _take_back(self, results: dict[str, Any], done: Mapping[str, Any], kept: np.ndarray) -> None:
        """Write what the library made into the sample."""
        img = results["img"] = done[self.keymap["img"]]
        results["img_shape"] = img.shape[:2]
        for key in ("gt_bboxes_labels", "gt_ignore_flags", "gt_instances_ids"):
            if results.get(key) is not None:
                results[key] = results[key][kept]
        for ours, theirs in self.keymap.items():
            if ours == "gt_bboxes" and theirs in done:
                results[ours] = np.asarray(done[theirs], np.float32).reshape(-1, 4)
            elif ours == "gt_masks" and theirs in done:
                results[ours] = BitmapMasks([np.asarray(done[theirs][i]) for i in kept], *img.shape[:2])
            elif ours != "img" and theirs in done:
                results[ours] = done[theirs]

    def _built(self, cfg: Mapping[str, Any]) -> Any:
        """Build a transform of the library from its config."""
        options = {key: value for key, value in cfg.items() if key != "type"}
        kind = getattr(self.library, cfg["type"], None) if isinstance(cfg["type"], str) else cfg["type"]
        if kind is None:
            raise ValueError(f"albumentations has no transform {cfg['type']!r}")
        if "transforms" in options:
            options["transforms"] = [self._built(one) for one in options["transforms"]]
        return kind(**options)

    def _seed(self, seed: int) -> None:
        """Have the library draw from the sample's own randomness."""
        if hasattr(self.aug, "set_random_seed"):
            self.aug.set_random_seed(seed)
        else:  # older versions draw from Python's generator, which is the sample's already
            random.seed(seed)


@TRANSFORMS.register_module()
class Corrupt(BaseTransform):
    """Corrupt the image as robustness benchmarks do. Hendrycks and Dietterich, arXiv:1903.12261.

    Args:
        corruption: The name of a corruption in `imagecorruptions`, such as `gaussian_noise`.
        severity: From 1 to 5.

    Raises:
        ImportError: imagecorruptions is not installed.
    """

    def __init__(self, corruption: str, severity: int = 1) -> None:
        self.library = _outside("imagecorruptions", "corrupt")
        self.corruption = corruption
        self.severity = severity

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Corrupt the image."""
        img = results["img"].astype(np.uint8)
        results["img"] = self.library.corrupt(img, corruption_name=self.corruption, severity=self.severity)
        return results


@TRANSFORMS.register_module()
class InstaBoost(RandomTransform):
    """Move objects to where they fit into the image. Fang et al., arXiv:1908.07801. Comes before `LoadAnnotations`.

    Args:
        action_candidate: What may be done to an object: `normal`, `horizontal`, `vertical`, `skip`.
        action_prob: The chance of each.
        scale: The range of the factor on an object.
        dx: The most that it moves to the side, as its width over this.
        dy: The most that it moves up or down, as its height over this.
        theta: The range of degrees that it turns by.
        color_prob: The chance of another colour.
        hflag: Choose places by a heat map of appearance.
        aug_ratio: The chance that an image is changed.

    Raises:
        ImportError: instaboostfast is not installed.
    """

    def __init__(
        self,
        action_candidate: Sequence[str] = ("normal", "horizontal", "skip"),
        action_prob: Sequence[float] = (1, 0, 0),
        *,
        scale: Sequence[float] = (0.8, 1.2),
        dx: float = 15,
        dy: float = 15,
        theta: Sequence[float] = (-1, 1),
        color_prob: float = 0.5,
        hflag: bool = False,
        aug_ratio: float = 0.5,
    ) -> None:
        self.library = _outside("instaboostfast", "instaboost")
        self.cfg = self.library.InstaBoostConfig(action_candidate, action_prob, scale, dx, dy, theta, color_prob, hflag)
        self.aug_ratio = aug_ratio

    def draw(self, results: dict[str, Any]) -> bool:
        """Return whether to change the image."""
        return bool(np.random.random() < self.aug_ratio)

    def apply(self, results: dict[str, Any], drawn: bool) -> dict[str, Any]:
        """Move the objects that are not ignored; the others stay."""
        if not drawn:
            return results
        ignored = [one for one in results["instances"] if one.get("ignore_flag")]
        anns = [_as_coco(one) for one in results["instances"] if not one.get("ignore_flag")]
        if anns:
            anns, img = self.library.get_new_data(anns, results["img"].astype(np.uint8), self.cfg, background=None)
            results["img"] = img.astype(results["img"].dtype)
            results["instances"] = [_as_instance(one) for one in anns] + ignored
        return results


def _as_theirs(value: Any) -> Any:
    """Return a container of masks as a list of arrays, and arrays as they are."""
    return value if isinstance(value, np.ndarray) else list(value.to_ndarray())


def _as_coco(instance: Mapping[str, Any]) -> dict[str, Any]:
    x1, y1, x2, y2 = instance["bbox"]
    box = [x1, y1, x2 - x1, y2 - y1]
    return {"category_id": instance["bbox_label"], "segmentation": instance["mask"], "bbox": box}


def _as_instance(ann: Mapping[str, Any]) -> dict[str, Any]:
    x1, y1, w, h = ann["bbox"]
    box = [x1, y1, x1 + w, y1 + h]
    return {"bbox": box, "bbox_label": ann["category_id"], "mask": ann["segmentation"], "ignore_flag": 0}


def _outside(library: str, extra: str) -> Any:
    """Import a library, or say which extra brings it."""
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise ImportError(f"{library} is not installed: pip install 'visuite-det[{extra}]'", name=library) from error
