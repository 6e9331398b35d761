"""A detector as one program: from pixels to objects, suppression inside, for ONNX.

Shapes: B images, C channels, H rows, W columns, P priors, K classes, N objects of the whole batch.
"""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from visuite.cv.ops import batched_nms
from visuite.det.detectors import SingleStageDetector
from visuite.det.heads.dense import DenseHead

OUTPUTS = ("image_ids", "bboxes", "scores", "labels")


class DetectionProgram(nn.Module):
    """Find objects in images as they are in files: the preprocessor's normalising and padding is part of it.

    As many scores as `candidates` of each image compete, the best of all places and classes, whereas `predict` of some
    heads takes so many of each level. Boxes are in pixels of the input.

    Args:
        model: A detector with a dense head.
        candidates: How many scores of an image compete.

    Raises:
        TypeError: another kind of detector.
    """

    def __init__(self, model: SingleStageDetector, candidates: int = 1000) -> None:
        super().__init__()
        head = getattr(model, "bbox_head", None)
        if not isinstance(model, SingleStageDetector) or not isinstance(head, DenseHead):
            raise TypeError(
                f"{type(model).__name__} cannot be exported with suppression inside: that is for detectors that look "
                "once, with a dense head (RetinaNet, FCOS, YOLOX, ...)"
            )
        self.model = model
        self.candidates = candidates

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the objects of images (B, C, H, W), 0 to 255, in the channel order of files.

        Returns:
            The number (N,) of each object's image, its box (N, 4), score (N,) and class (N,), the best first.
        """
        head, cfg = self.model.bbox_head, self.model.bbox_head.test_cfg
        preprocessor: Any = self.model.data_preprocessor
        batch = preprocessor.to_batch(images)
        outputs = head.read(*head(self.model.extract_feat(batch)))
        scores = outputs.scores if outputs.factors is None else outputs.scores * outputs.factors[..., None]
        count, classes = scores.shape[0], scores.shape[2]
        best, order = scores.flatten(1).topk(min(self.candidates, scores.shape[1] * classes))
        place, label = order // classes, order % classes
        written = outputs.boxes.gather(1, place[..., None].expand(-1, -1, outputs.boxes.shape[2]))
        priors = outputs.priors[place.flatten()]
        edges = [int(edge) for edge in images.shape[-2:]]
        boxes = head.decode_boxes(priors, written.flatten(0, 1), max_shape=edges)
        image = torch.arange(count, device=images.device)[:, None].expand_as(label).flatten()
        best, label = best.flatten(), label.flatten()
        kept = (best > cfg.get("score_thr", 0.0)).nonzero().squeeze(1)
        boxes, best, label, image = boxes[kept], best[kept], label[kept], image[kept]
        dets, chosen = batched_nms(boxes, best, image * classes + label, cfg.get("nms"))
        return image[chosen], boxes[chosen], dets[:, 4], label[chosen]


def export_onnx(
    model: SingleStageDetector, path: str | Path, images: torch.Tensor, *, candidates: int = 1000, opset: int = 18
) -> dict[str, float]:
    """Write a detector as an ONNX file, run it beside the detector, and tell how far they are apart.

    Args:
        model: A detector with a dense head; it is exported in evaluation mode.
        path: The file to write.
        images: (B, C, H, W) float, 0 to 255: what both are tried on; the file takes this size.
        candidates: See `DetectionProgram`.
        opset: Of the file.

    Returns:
        `objects`: how many were found; `bboxes` and `scores`: the largest differences, in pixels and in 0..1.

    Raises:
        TypeError: a detector of another kind.
        ImportError: onnxscript or onnxruntime is not installed.
        ValueError: the file finds other objects than the detector.
    """
    runtime = _onnx()
    program = DetectionProgram(model, candidates).eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own insides
        expected = program(images)
        names: dict[str, Any] = {"input_names": ["images"], "output_names": list(OUTPUTS)}
        torch.onnx.export(program, (images,), str(path), dynamo=True, verbose=False, opset_version=opset, **names)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = dict(zip(OUTPUTS, session.run(None, {"images": images.numpy()}), strict=True))
    return _compare(found, dict(zip(OUTPUTS, (one.numpy() for one in expected), strict=True)))


def _onnx() -> Any:
    """Import what writes and runs ONNX files; return what runs them."""
    try:
        importlib.import_module("onnxscript")
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ImportError('ONNX files need onnxscript and onnxruntime: pip install "visuite-cv[onnx]"') from error


def _compare(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> dict[str, float]:
    """Compare each object with the nearest one of its class and image: objects of equal scores come in any order."""
    kinds = []
    for one in (found, expected):
        kinds.append(np.unique(np.stack([one["image_ids"], one["labels"]]), axis=1, return_counts=True))
    (ours, our_counts), (theirs, their_counts) = kinds
    if ours.shape != theirs.shape or (ours != theirs).any() or (our_counts != their_counts).any():
        told = f"{len(found['scores'])} objects, the detector {len(expected['scores'])}"
        raise ValueError(f"the file finds {told}: not as many of each class in each image")
    far = {"bboxes": 0.0, "scores": 0.0}
    for image, label in ours.T:
        one, other = (
            {name: table[name][(table["image_ids"] == image) & (table["labels"] == label)] for name in far}
            for table in (found, expected)
        )
        apart = np.abs(one["bboxes"][:, None] - other["bboxes"][None]).max(axis=-1)
        nearest = apart.argmin(axis=1)
        far["bboxes"] = max(far["bboxes"], float(apart.min(axis=1).max()))
        far["scores"] = max(far["scores"], float(np.abs(one["scores"] - other["scores"][nearest]).max()))
    return {"objects": float(len(found["scores"])), **far}
