"""COCO's evaluation, arXiv:1405.0312, by whichever library is there: the same tables from all of them.

N: detections; T: thresholds of IoU; R: 101 recalls; K: classes; A: 4 ranges of areas; M: limits on the detections of an
image.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pycocotools import mask as mask_api
from pycocotools.coco import COCO

from visuite.engine.utils.text import did_you_mean

#: Libraries that evaluate, fastest first: the module and the name of the evaluator in it.
_LIBRARIES = {
    "hotcoco": ("hotcoco", "COCOeval"),
    "faster_coco_eval": ("faster_coco_eval", "COCOeval_faster"),
    "pycocotools": ("pycocotools.cocoeval", "COCOeval"),
}
#: Names of the ranges of areas, in the order of axis A.
AREAS = ("all", "small", "medium", "large")


def choose_backend(backend: str) -> str:
    """Return the library to evaluate with; `auto` is the fastest one that is installed.

    Raises:
        ValueError: there is no library of this name.
        ImportError: it is not installed; says what to install.
    """
    if backend == "auto":
        return next(name for name, (module, _) in _LIBRARIES.items() if importlib.util.find_spec(module))
    if backend not in _LIBRARIES:
        known = ["auto", *_LIBRARIES]
        raise ValueError(f"no backend is called {backend!r}{did_you_mean(backend, known)} (there are {known})")
    if importlib.util.find_spec(_LIBRARIES[backend][0]) is None:
        extra = 'pip install "visuite-det[fast-eval]"' if backend == "hotcoco" else "pip install faster-coco-eval"
        raise ImportError(f"the backend {backend!r} is not installed: {extra}, or take backend='auto'")
    return backend


@dataclass
class CocoTruth:
    """The objects to find, numbered anew, so that ids may be anything and have gaps.

    Attributes:
        images: Width and height of each.
        annotations: As in a COCO file, with `image_id` the image's place plus 1, and `category_id` its label plus 1.
        num_classes: K.
        facts: What else is known of each image, for LVIS.
        frequencies: In how many images each class is, for LVIS: `r` (rare), `c` (common) or `f` (frequent).
    """

    images: list[tuple[int, int]]
    annotations: list[dict[str, Any]]
    num_classes: int
    facts: Sequence[dict[str, Any]] = ()
    frequencies: Sequence[str] = ()
    _loaded: dict[str, Any] = field(default_factory=dict, repr=False)

    def to_dataset(self) -> dict[str, Any]:
        """Return it as the content of a COCO file."""
        images = zip(self.images, self.facts or [{}] * len(self.images), strict=True)
        labels = zip(range(1, self.num_classes + 1), self.frequencies or "f" * self.num_classes, strict=True)
        return {
            "images": [
                {"id": number, "width": width, "height": height, **facts}
                for number, ((width, height), facts) in enumerate(images, 1)
            ],
            "categories": [{"id": label, "name": str(label), "frequency": often} for label, often in labels],
            "annotations": self.annotations,
        }

    def load(self, backend: str) -> Any:
        """Return it as a library's `COCO`, made once."""
        if backend not in self._loaded:
            dataset = self.to_dataset()
            load = _indexed if backend == "pycocotools" else _library(backend).COCO
            self._loaded[backend] = _silently(load, dataset)
        return self._loaded[backend]


@dataclass
class Detections:
    """What was found, in columns.

    Attributes:
        images: Place of the image, (N,) int64.
        boxes: (N, 4) `xywh` float64.
        scores: (N,) float64.
        labels: (N,) int64.
        masks: N compressed run lengths; they, and not the boxes, are then compared.
    """

    images: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    masks: list[dict[str, Any]] | None = None

    def best(self, limit: int) -> Detections:
        """Return the best detections of each image, whatever their class, by falling score."""
        order = np.lexsort((-self.scores, self.images))
        starts = np.searchsorted(self.images[order], self.images[order])
        kept = order[np.arange(len(order)) - starts < limit]
        masks = None if self.masks is None else [self.masks[index] for index in kept]
        return Detections(self.images[kept], self.boxes[kept], self.scores[kept], self.labels[kept], masks)

    def to_array(self) -> np.ndarray:
        """Return boxes as COCO's (N, 7): image id, x, y, width, height, score, category id."""
        return np.column_stack([self.images + 1, self.boxes, self.scores, self.labels + 1])

    def areas(self) -> np.ndarray:
        """Return the areas of masks, else of boxes, (N,) float64."""
        if self.masks is None:
            return self.boxes[:, 2] * self.boxes[:, 3]
        return np.array([mask_api.area(one) for one in self.masks], np.float64)  # it takes no more than 255 at a time

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return them as the entries of a COCO result file, with boxes or masks."""
        shapes: Sequence[Any] = self.boxes.tolist() if self.masks is None else self.masks
        key = "bbox" if self.masks is None else "segmentation"
        columns = zip(self.images.tolist(), self.labels.tolist(), self.scores.tolist(), shapes, strict=True)
        return [
            {"image_id": image + 1, "category_id": label + 1, "score": score, key: shape}
            for image, label, score, shape in columns
        ]


@dataclass(frozen=True)
class Tables:
    """What an evaluation found; -1 where there is nothing to find.

    Attributes:
        precision: The highest precision at each recall or above, (T, R, K, A, M).
        recall: (T, K, A, M).
    """

    precision: np.ndarray
    recall: np.ndarray


def evaluate_coco(
    truth: CocoTruth,
    detections: Detections,
    *,
    iou_thrs: Sequence[float],
    max_dets: Sequence[int],
    use_classes: bool = True,
    federated: bool = False,
    backend: str = "auto",
) -> Tables:
    """Match detections with objects.

    Args:
        truth: The objects.
        detections: What was found; masks are compared where there are any.
        iou_thrs: T thresholds.
        max_dets: M limits on the detections in an image, rising.
        use_classes: Whether an object has to be found as what it is; otherwise K is 1.
        federated: Whether, as in LVIS, a class counts only in images that are known to have it, or not to have it;
            hotcoco alone can do this.
        backend: `pycocotools`, `hotcoco`, `faster_coco_eval`, or `auto`.
    """
    backend = choose_backend(backend)
    loaded = truth.load(backend)
    found = _load_detections(loaded, detections, backend)
    evaluator = getattr(_library(backend), _LIBRARIES[backend][1])
    style = {"lvis_style": True} if federated else {}
    evaluation = _silently(evaluator, loaded, found, "bbox" if detections.masks is None else "segm", **style)
    settings = evaluation.params
    settings.iouThrs = np.asarray(iou_thrs, np.float64)
    settings.maxDets = list(max_dets)
    settings.useCats = use_classes
    _silently(evaluation.evaluate)
    _silently(evaluation.accumulate)
    result = evaluation.eval
    return Tables(np.asarray(result["precision"], np.float64), np.asarray(result["recall"], np.float64))


def _library(backend: str) -> Any:
    return importlib.import_module(_LIBRARIES[backend][0])


def _load_detections(loaded: Any, detections: Detections, backend: str) -> Any:
    if backend == "pycocotools":
        return _silently(_indexed, {**loaded.dataset, "annotations": _as_annotations(detections)})
    if detections.masks is None:
        return _silently(loaded.loadRes, detections.to_array())
    if backend != "hotcoco":
        return _silently(loaded.loadRes, detections.to_dicts())
    # As columns, which take no dict for each mask; the areas that count are those of masks, not of boxes.
    found = loaded.loadRes(detections.to_array(), segmentation=detections.masks)
    found.update_anns(ids=np.arange(1, len(detections.masks) + 1), area=detections.areas())
    return found


def _as_annotations(detections: Detections) -> list[dict[str, Any]]:
    """Return detections as pycocotools has them once they are loaded."""
    entries = detections.to_dicts()
    for number, (entry, area) in enumerate(zip(entries, detections.areas().tolist(), strict=True), 1):
        entry.update(id=number, area=area, iscrowd=0)
    return entries


def _indexed(dataset: dict[str, Any]) -> COCO:
    coco = COCO()
    coco.dataset = dataset
    coco.createIndex()
    return coco


def _silently(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a library without what it prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*args, **kwargs)
