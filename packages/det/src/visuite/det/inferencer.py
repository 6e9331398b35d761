"""Objects in pictures that are no data set."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from visuite.cv.masks import encode_rle
from visuite.det.registry import INFERENCERS
from visuite.det.structures import DetDataSample, mask_array
from visuite.engine.infer import BaseInferencer


@INFERENCERS.register_module()
class DetInferencer(BaseInferencer):
    """Find objects in files, folders, globs, arrays, videos and URLs.

        {"bboxes": [[10.0, 20.0, 50.0, 80.0]], "labels": [3], "scores": [0.91], "classes": ["dog"], "masks": [<RLE>]}

    Arguments as of `BaseInferencer`; a call takes `pred_score_thr` too, below which objects are not drawn.
    """

    own_scope = "det"
    own_visualizer = "DetLocalVisualizer"
    visualize_kwargs: ClassVar[set[str]] = {"show", "wait_time", "draw_pred", "pred_score_thr"}

    def pred2dict(self, data_sample: DetDataSample) -> dict[str, Any]:
        """Return the objects of an image as numbers, strings and lists; masks as COCO's run lengths."""
        found = data_sample.pred_instances.cpu()
        labels: list[int] = found.labels.tolist()
        result: dict[str, Any] = {"bboxes": found.bboxes.tolist(), "labels": labels, "scores": found.scores.tolist()}
        classes = self.model.dataset_meta.get("classes")
        if classes is not None:
            result["classes"] = [classes[label] for label in labels]
        if "masks" in found:
            coded = encode_rle(mask_array(found.masks).astype(np.uint8))
            result["masks"] = [{**one, "counts": one["counts"].decode()} for one in coded]
        return result
