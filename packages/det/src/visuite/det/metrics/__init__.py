"""How good detections are."""

from visuite.det.metrics.average_precision import average_precision, precision_recall
from visuite.det.metrics.coco import CocoMetric
from visuite.det.metrics.confusion import confusion_matrix
from visuite.det.metrics.crowdhuman import CrowdHumanMetric
from visuite.det.metrics.curves import PrecisionRecall, precision_recall_curves
from visuite.det.metrics.dump_proposals import DumpProposals
from visuite.det.metrics.dumped import read_predictions
from visuite.det.metrics.image_results import Found, Wanted, detections_of, objects_of
from visuite.det.metrics.lvis import LVISMetric
from visuite.det.metrics.voc import VOCMetric

__all__ = [
    "CocoMetric",
    "CrowdHumanMetric",
    "DumpProposals",
    "Found",
    "LVISMetric",
    "PrecisionRecall",
    "VOCMetric",
    "Wanted",
    "average_precision",
    "confusion_matrix",
    "detections_of",
    "objects_of",
    "precision_recall",
    "precision_recall_curves",
    "read_predictions",
]
