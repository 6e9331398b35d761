from __future__ import annotations

import pytest
import torch

from tests.cv.ops.checks import plain_iou, random_boxes
from visuite.det.boxes import BboxOverlaps2D, BboxOverlaps2D_GLIP
from visuite.det.registry import TASK_UTILS


def test_scores_behind_the_corners_do_not_matter():
    a, b = random_boxes(4), random_boxes(3, seed=1)
    found = TASK_UTILS.build({"type": "BboxOverlaps2D"})(torch.cat((a, torch.ones(4, 1)), dim=1), b)
    want = [[plain_iou(p, q) for q in b.tolist()] for p in a.tolist()]
    torch.testing.assert_close(found, torch.tensor(want))
    aligned = BboxOverlaps2D()(a[:3], b, mode="giou", is_aligned=True)
    torch.testing.assert_close(aligned, BboxOverlaps2D()(a[:3], b, mode="giou").diagonal())


def test_half_precision_results():
    a = random_boxes(4, size=2000)
    found = BboxOverlaps2D(scale=512.0, dtype="fp16")(a, a)
    assert found.dtype == torch.float16
    torch.testing.assert_close(found.float(), BboxOverlaps2D()(a, a), atol=1e-3, rtol=1e-3)
    with pytest.raises(ValueError, match="fp32"):
        BboxOverlaps2D(dtype="fp32")


def test_glip_counts_the_last_pixel():
    a, b = random_boxes(4), random_boxes(3, seed=1)
    want = [[plain_iou(p, q, offset=1) for q in b.tolist()] for p in a.tolist()]
    torch.testing.assert_close(BboxOverlaps2D_GLIP()(a, b), torch.tensor(want))
