"""How well people are found in crowds: average precision, miss rate and Jaccard index.

N: detections; G: people that are to be found; R: regions and people that need not be found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from visuite.det.datasets.crowdhuman import read_odgt
from visuite.det.metrics.average_precision import precision_recall
from visuite.det.metrics.image_results import detections_of, objects_of, size_of
from visuite.det.metrics.matching import FALSE, IGNORED, TRUE, overlaps
from visuite.det.registry import METRICS
from visuite.engine.evaluator import BaseMetric
from visuite.engine.utils.text import did_you_mean

KINDS = ("AP", "MR", "JI")
#: The powers of ten between which the false detections per image lie at which misses are counted.
_REFERENCES = {"CALTECH_-2": (-2, 0), "CALTECH_-4": (-4, 0)}
_POINTS = 9
#: The least scores of which the best one tells the Jaccard index.
_SCORES = np.arange(10) / 10


class CrowdOutcome(NamedTuple):
    """What became of the detections in an image.

    Attributes:
        scores: (N,), by falling score.
        outcome: TRUE, FALSE or IGNORED of each, (N,) int8.
        people: How many there were to find.
        jaccard: The Jaccard index at each of the least scores, (10,).
    """

    scores: np.ndarray
    outcome: np.ndarray
    people: int
    jaccard: np.ndarray


@METRICS.register_module()
class CrowdHumanMetric(BaseMetric):
    """The numbers of CrowdHuman, Shao et al., arXiv:1805.00123, and of Chu et al., arXiv:2003.09163.

    - `crowd_human/mAP`: the area under precision over recall.
    - `crowd_human/mMR`: the log-average miss rate, the geometric mean of the share of people missed at nine numbers of
      false detections per image, from 0.01 to 1 (Dollar et al., PAMI 2012). Less is better.
    - `crowd_human/JI`: the mean over images of pairs / (detections + people - pairs), for the least score that makes it
      best, as many pairs being formed as can be.

    Best first, a detection takes the free person that it overlaps most. Those that find nobody, but lie in what is to
    be ignored, do not count. Boxes are cut at the image's edges.

    Args:
        ann_file: The `.odgt` file with the people. Without it they come from the data samples.
        metric: Which of `AP`, `MR` and `JI`.
        iou_thres: The least IoU of a match, and the least share of a detection that lies in what is ignored.
        mr_ref: `CALTECH_-2`, or `CALTECH_-4`, which begins at 0.0001 false detections per image.
        eval_mode: 0, whole bodies, are all that there is.
        num_ji_process: Without effect: an image is matched when it comes.
        backend_args: How `ann_file` is read.
        collect_device: Where the results of several processes are gathered: `cpu` or `gpu`.
        prefix: In place of `crowd_human`.

    Raises:
        ValueError: an unknown metric or reference.
    """

    default_prefix: str | None = "crowd_human"

    def __init__(
        self,
        ann_file: str | None = None,
        metric: str | Sequence[str] = KINDS,
        *,
        iou_thres: float = 0.5,
        mr_ref: str = "CALTECH_-2",
        eval_mode: int = 0,
        num_ji_process: int = 10,
        backend_args: Mapping[str, Any] | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.metrics = [metric] if isinstance(metric, str) else list(metric)
        for given, known in (*((one, KINDS) for one in self.metrics), (mr_ref, tuple(_REFERENCES))):
            if given not in known:
                raise ValueError(f"CrowdHumanMetric does not know {given!r}, only {known}{did_you_mean(given, known)}")
        if eval_mode != 0:
            raise ValueError(f"eval_mode {eval_mode} is not known: whole bodies (0) are measured, not heads")
        self.iou_thres = iou_thres
        self.mr_ref = mr_ref
        self.people: dict[Any, dict[str, Any]] | None = None
        if ann_file is not None:
            self.people = {one["ID"]: one for one in read_odgt(ann_file, backend_args)}

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Match the detections of a batch.

        Raises:
            KeyError: a sample lacks a field, or the annotations do not have its image.
        """
        for sample in data_samples:
            self.results.append(self._match(sample))

    def compute_metrics(self, results: list[CrowdOutcome]) -> dict[str, float]:
        """Return the numbers."""
        if not results:
            return {}
        scores, outcome = (np.concatenate([getattr(one, name) for one in results]) for name in ("scores", "outcome"))
        order = np.argsort(-scores, kind="stable")
        hits = outcome[order][outcome[order] != IGNORED] == TRUE
        people = sum(one.people for one in results)
        numbers = {}
        if "AP" in self.metrics:
            numbers["mAP"] = _area(hits, people)
        if "MR" in self.metrics:
            numbers["mMR"] = log_average_miss_rate(hits, people, len(results), *_REFERENCES[self.mr_ref])
        if "JI" in self.metrics:
            numbers["JI"] = float(np.mean([one.jaccard for one in results], axis=0).max())
        return numbers

    def _match(self, sample: Mapping[str, Any]) -> CrowdOutcome:
        found, limits = detections_of(sample), np.tile(size_of(sample)[::-1], 2)
        order = np.argsort(-found.scores, kind="stable")
        scores, boxes = found.scores[order], found.boxes[order].clip(0, limits)
        wanted = objects_of(sample if self.people is None else self._annotated(sample))
        people, rest = (wanted.boxes[which].clip(0, limits) for which in (~wanted.ignored, wanted.ignored))
        ious = overlaps(boxes, people)
        in_rest = _shares_inside(boxes, rest).max(axis=1, initial=0) >= self.iou_thres
        outcome = _take_turns(ious, self.iou_thres)
        outcome[(outcome == FALSE) & in_rest] = IGNORED
        jaccard = [self._jaccard(ious[scores >= least], in_rest[scores >= least]) for least in _SCORES]
        return CrowdOutcome(scores, outcome, len(people), np.array(jaccard))

    def _annotated(self, sample: Mapping[str, Any]) -> Mapping[str, Any]:
        assert self.people is not None
        if sample["img_id"] not in self.people:
            raise KeyError(f"the annotations of CrowdHumanMetric have no image {sample['img_id']!r}")
        return self.people[sample["img_id"]]

    def _jaccard(self, ious: np.ndarray, in_rest: np.ndarray) -> float:
        """Return the Jaccard index of detections and people, from their overlaps (N, G)."""
        from scipy.optimize import linear_sum_assignment  # slow to import

        reached = ious >= self.iou_thres
        rows, columns = linear_sum_assignment(reached, maximize=True)
        paired = reached[rows, columns]
        counted = ~in_rest
        counted[rows[paired]] = True
        union = counted.sum() + ious.shape[1] - paired.sum()
        return float(paired.sum() / union) if union else 1.0


def log_average_miss_rate(hits: np.ndarray, people: int, images: int, low: float = -2, high: float = 0) -> float:
    """Return the geometric mean of the miss rate at nine numbers of false detections per image.

    Where a curve begins behind such a number, all are missed; where it ends before, its end counts.

    Args:
        hits: Whether a detection has found a person, (N,) bool, by falling score.
        people: How many there are to find.
        images: How many there are.
        low: The numbers lie evenly, on a logarithmic scale, between 10 to the power of this
        high: and of this.
    """
    missed = 1 - np.cumsum(np.append(False, hits)) / max(people, 1)
    false = np.cumsum(np.append(False, ~hits)) / max(images, 1)
    places = np.searchsorted(false, np.logspace(low, high, _POINTS) + 1e-12, side="right") - 1
    return float(np.exp(np.log(missed[places].clip(min=1e-10)).mean()))


def _take_turns(ious: np.ndarray, least: float) -> np.ndarray:
    """Have each detection, best first, take the free person that it overlaps most; return TRUE or FALSE, (N,) int8."""
    outcome = np.full(len(ious), FALSE, np.int8)
    free = np.ones(ious.shape[1], bool)
    for number, row in enumerate(ious):
        open_ones = np.where(free, row, -1)
        best = int(open_ones.argmax()) if len(row) else -1
        if best >= 0 and open_ones[best] >= least:
            outcome[number], free[best] = TRUE, False
    return outcome


def _shares_inside(boxes: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Return which share of each box (N, 4) lies in each region (R, 4), (N, R)."""
    inner = np.minimum(boxes[:, None, 2:], regions[:, 2:]) - np.maximum(boxes[:, None, :2], regions[:, :2])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return inner.clip(0).prod(axis=2) / areas.clip(min=1e-9)[:, None]


def _area(hits: np.ndarray, people: int) -> float:
    """Return the area under precision over recall, by trapezoids between the points of the curve."""
    recall, precision = precision_recall(hits, people)
    steps = np.diff(recall, prepend=0.0)
    before = np.append(precision[:1], precision[:-1])
    return float((steps * (precision + before) / 2).sum())
