"""What detectors predict under autocast: boxes and scores in float32, as evaluation compares them."""

from __future__ import annotations

import pytest
import torch

from tests.det.test_contracts import shaken
from tests.det.variants import VARIANTS


@pytest.mark.parametrize("name", VARIANTS)
def test_boxes_stay_in_float32(name: str) -> None:
    variant = VARIANTS[name]
    model = shaken(variant.make()).eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        predicted = model.test_step(variant.batch(2, 1))
    assert sum(len(one.pred_instances) for one in predicted) > 0
    for one in predicted:
        found = one.pred_instances
        for field in ("bboxes", "scores"):
            assert found[field].dtype == torch.float32, field
            assert found[field].isfinite().all()
        fine = (found.bboxes != found.bboxes.bfloat16()).any() | (len(found) == 0)
        assert fine, "coordinates are rounded to half precision"
