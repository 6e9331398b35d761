"""What every operator promises: the same numbers under `torch.compile` and as an ONNX model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.cv.ops.checks import random_boxes, random_tensor
from tests.cv.ops.test_roi_align import rois_of
from visuite.cv import ops
from visuite.engine.registry import MODELS


class Call(nn.Module):
    """A function as a module, which is what an exporter takes."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


@dataclass
class Case:
    """One operator with its input.

    `size` is the dimension of the first input that an exported model may be given in another size.
    """

    module: Any
    args: tuple
    size: int | None = None
    seed: int = 0

    def build(self):
        torch.manual_seed(self.seed)
        module = self.module() if isinstance(self.module, type) else self.module
        return module.eval() if isinstance(module, nn.Module) else Call(module)


def spread(name, *args, **kwargs):
    """A layer whose weights are all drawn, so that offsets and the like are not 0."""
    torch.manual_seed(0)
    module = MODELS.get(name)(*args, **kwargs)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.1)
    return module


FEATURES = random_tensor(2, 16, 12, 14)
BOXES = random_boxes(40, size=100)
SCORES = torch.rand(40, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(40) % 4
TARGETS = torch.arange(40) % 5
ROIS = rois_of(6, size=26)
LEVELS = [(6, 7), (3, 4)]
POINTS = torch.rand(2, 5, 2, generator=torch.Generator().manual_seed(0))


def attend(query, reference):
    return ATTENTION(query, reference_points=reference, spatial_shapes=LEVELS)


ATTENTION = spread("MultiScaleDeformableAttention", 16, 4, 2, 3, batch_first=True).eval()

CASES = {
    "nms": Case(partial(ops.nms, iou_threshold=0.3, score_threshold=0.1, max_num=20), (BOXES, SCORES)),
    "batched_nms": Case(
        partial(ops.batched_nms, nms_cfg=dict(type="nms", iou_threshold=0.3)), (BOXES, SCORES, LABELS)
    ),
    **{
        f"bbox_overlaps {mode}": Case(partial(ops.bbox_overlaps, mode=mode), (BOXES, BOXES[:10] + 2))
        for mode in ("iou", "iof", "giou", "diou", "ciou")
    },
    "boxes": Case(lambda x: ops.bbox_cxcywh_to_xyxy(ops.bbox_xyxy_to_cxcywh(x)), (BOXES,)),
    "roi_align": Case(ops.RoIAlign((3, 4), 0.5, 2), (FEATURES, ROIS)),
    "roi_align adaptive": Case(ops.RoIAlign((3, 4), 0.5, 0, aligned=False), (FEATURES, ROIS)),
    "roi_align max": Case(ops.RoIAlign((3, 4), 0.5, 2, pool_mode="max"), (FEATURES, ROIS)),
    "roi_pool": Case(ops.RoIPool((3, 4), 0.5), (FEATURES, ROIS)),
    "point_sample": Case(ops.point_sample, (FEATURES, POINTS)),
    "simple_roi_align": Case(ops.SimpleRoIAlign((3, 4), 0.5), (FEATURES, ROIS)),
    "deform_conv": Case(spread("DCN", 16, 8, 3, padding=1, deform_groups=2), (FEATURES,)),
    "modulated_deform_conv": Case(spread("DCNv2", 16, 8, 3, stride=2, padding=1, groups=2), (FEATURES,)),
    "multi_scale_deformable_attention": Case(attend, (random_tensor(2, 54, 16), torch.rand(2, 54, 2, 2))),
    "sigmoid_focal_loss": Case(ops.sigmoid_focal_loss, (random_tensor(40, 4), TARGETS)),
    "softmax_focal_loss": Case(ops.softmax_focal_loss, (random_tensor(40, 4), TARGETS)),
    "criss_cross_attention": Case(spread("CrissCrossAttention", 16), (FEATURES,)),
    "psa_mask": Case(ops.PSAMask("distribute", (5, 3)), (random_tensor(2, 15, 4, 5),)),
    "masked_conv": Case(spread("MaskedConv2d", 16, 4, 3, padding=1), (FEATURES, (FEATURES[:, 0] > 0).float())),
}
EAGER = {
    "soft_nms": Case(ops.soft_nms, (BOXES, SCORES)),
    "nms_match": Case(partial(ops.nms_match, iou_threshold=0.3), (torch.cat((BOXES, SCORES[:, None]), 1),)),
    "roi_align max adaptive": Case(ops.RoIAlign((3, 4), 0.5, 0, pool_mode="max"), (FEATURES, ROIS)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CASES, *EAGER])
def test_compiled(name):
    case = (CASES | EAGER)[name]
    module = case.build()
    torch._dynamo.reset()
    compiled = torch.compile(module)
    torch.testing.assert_close(compiled(*case.args), module(*case.args), rtol=1e-4, atol=1e-5)


def as_list(outputs):
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_exported(name, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    case = CASES[name]
    module = case.build()
    path = tmp_path / "op.onnx"
    torch.onnx.export(module, case.args, str(path), dynamo=True, verbose=False)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    found = session.run(None, {key: value.numpy() for key, value in zip(names, case.args, strict=True)})
    told = [out.detach().numpy() for out in as_list(module(*case.args))]
    assert len(found) == len(told)
    for one, other in zip(found, told, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
