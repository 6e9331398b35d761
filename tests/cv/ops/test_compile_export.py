"""What every operator promises: the same numbers under `torch.compile` and as an ONNX model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from tests.cv.ops.checks import random_boxes, random_tensor
from tests.cv.ops.test_roi_align import rois_of
from tests.onnx_export import assert_exports
from visuite.cv import ops
from visuite.cv.ops.bbox_overlaps import OVERLAP_MODES
from visuite.engine.registry import MODELS


class Call(nn.Module):
    """A function or layer as a module whose inputs are a list."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


@dataclass
class Case:
    """An operator, its input, and for each tensor of it the names of those dimensions whose size is left open."""

    operator: Any
    args: tuple
    sizes: tuple = ()

    @property
    def module(self):
        return Call(self.operator).eval()

    @property
    def smaller(self):
        """The input with half of each size that is left open."""
        args = list(self.args)
        for place, names in enumerate(self.sizes):
            for dim in names:
                args[place] = args[place].narrow(dim, 0, (args[place].shape[dim] + 1) // 2)
        return tuple(args)


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


ATTENTION = spread("MultiScaleDeformableAttention", 16, 4, 2, 3, batch_first=True).eval()


def attend(query, value, reference):
    return ATTENTION(query, value=value, reference_points=reference, spatial_shapes=LEVELS)


N, K, MAPS = {0: "n"}, {0: "k"}, {0: "b", 2: "h", 3: "w"}
REGIONS = ({2: "h", 3: "w"}, K)
LOGITS = random_tensor(40, 4)
CASES = {
    "nms": Case(partial(ops.nms, iou_threshold=0.3, score_threshold=0.1, max_num=20), (BOXES, SCORES), (N, N)),
    "batched_nms": Case(
        partial(ops.batched_nms, nms_cfg=dict(type="nms", iou_threshold=0.3)), (BOXES, SCORES, LABELS), (N, N, N)
    ),
    **{
        f"bbox_overlaps {mode}": Case(partial(ops.bbox_overlaps, mode=mode), (BOXES, BOXES[:10] + 2), (N, K))
        for mode in OVERLAP_MODES
    },
    "boxes": Case(lambda x: ops.bbox_cxcywh_to_xyxy(ops.bbox_xyxy_to_cxcywh(x)), (BOXES,), (N,)),
    "roi_align": Case(ops.RoIAlign((3, 4), 0.5, 2), (FEATURES, ROIS), REGIONS),
    "roi_align adaptive": Case(ops.RoIAlign((3, 4), 0.5, 0, aligned=False), (FEATURES, ROIS), REGIONS),
    "roi_align max": Case(ops.RoIAlign((3, 4), 0.5, 2, pool_mode="max"), (FEATURES, ROIS), REGIONS),
    "roi_pool": Case(ops.RoIPool((3, 4), 0.5), (FEATURES, ROIS), REGIONS),
    "point_sample": Case(ops.point_sample, (FEATURES, POINTS), (MAPS, {0: "b", 1: "p"})),
    "simple_roi_align": Case(ops.SimpleRoIAlign((3, 4), 0.5), (FEATURES, ROIS), REGIONS),
    "deform_conv": Case(spread("DCN", 16, 8, 3, padding=1, deform_groups=2), (FEATURES,), (MAPS,)),
    "modulated_deform_conv": Case(spread("DCNv2", 16, 8, 3, padding=1, groups=2), (FEATURES,), (MAPS,)),
    "multi_scale_deformable_attention": Case(
        attend,
        (random_tensor(2, 8, 16), random_tensor(2, 54, 16), torch.rand(2, 8, 2, 2)),
        ({0: "b", 1: "q"}, {0: "b"}, {0: "b", 1: "q"}),
    ),
    "sigmoid_focal_loss": Case(ops.sigmoid_focal_loss, (LOGITS, TARGETS), (N, N)),
    "softmax_focal_loss": Case(ops.softmax_focal_loss, (LOGITS, TARGETS), (N, N)),
    "criss_cross_attention": Case(spread("CrissCrossAttention", 16), (FEATURES,), (MAPS,)),
    "psa_mask": Case(ops.PSAMask("distribute", (5, 3)), (random_tensor(2, 15, 4, 5),), (MAPS,)),
    "masked_conv": Case(
        spread("MaskedConv2d", 16, 4, 3, padding=1),
        (FEATURES, (FEATURES[:, 0] > 0).float()),
        (MAPS, {0: "b", 1: "h", 2: "w"}),
    ),
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
    torch._dynamo.reset()
    compiled = torch.compile(case.module)
    torch.testing.assert_close(compiled(*case.args), case.module(*case.args), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_exported(name, tmp_path):
    case = CASES[name]
    others = [case.smaller]
    path = tmp_path / "op.onnx"
    assert_exports(case.module, case.args, path, open_sizes=case.sizes, others=others, rtol=1e-4, atol=1e-4)
