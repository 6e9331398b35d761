"""What holds for every detector of `visuite.det` holds for every YOLO: its contracts, over the table of YOLOs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests import model_contracts
from tests.det.test_contracts import (  # noqa: F401 (collected from here, with the fixture below)
    shaken,
    test_any_number_of_input_channels,
    test_exports_what_the_heads_say,
    test_half_precision,
    test_learns_beside_ignored_regions,
    test_learns_from_a_thousand_objects,
    test_learns_from_any_number_of_objects,
    test_objects_and_configs_make_the_same_model,
    test_one_class,
    test_predicts_in_the_size_of_the_file,
    test_repeats_itself,
    test_state_dict_round_trip,
    test_takes_images_of_any_size,
    test_unknown_modes_and_missing_samples,
    test_what_stands_beside_an_image_does_not_matter,
    test_wrong_channels_fail_when_the_model_is_built,
)
from tests.det.variants import Variant
from tests.yolo.variants import VARIANTS
from visuite.det.export import export_onnx
from visuite.yolo.heads.truth import batch_truth


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> Variant:
    return VARIANTS[request.param]


def collated(batch: dict[str, Any]) -> dict[str, Any]:
    """The same batch, as `yolov5_collate` makes it."""
    truth = batch_truth(batch["data_samples"], torch.device("cpu"), with_masks=True)
    objects = {"bboxes_labels": truth.rows, "img_metas": list(truth.metas), "masks": truth.masks}
    return {"inputs": torch.stack(batch["inputs"]), "data_samples": objects}


@pytest.mark.parametrize("counts", [(3, 2), (0, 4), (0, 0)], ids=["some", "none-in-one", "none"])
def test_lists_and_collated_batches_have_the_same_losses(variant: Variant, counts: tuple[int, int]) -> None:
    def batch() -> dict[str, Any]:
        return variant.batch(*counts, sizes=((64, 96), (64, 96)))

    of_list = model_contracts.losses_of(variant.make().train(), batch())
    of_dict = model_contracts.losses_of(variant.make().train(), collated(batch()))
    assert of_list.keys() == of_dict.keys()
    for name, value in of_list.items():
        torch.testing.assert_close(of_dict[name], value)


def test_predicts_from_collated_batches(variant: Variant) -> None:
    model = shaken(variant.make()).eval()
    batch = variant.batch(3, 2, sizes=((64, 96), (64, 96)))
    with torch.no_grad():
        of_dict = model.val_step(collated(batch))
        of_list = model.test_step(variant.batch(3, 2, sizes=((64, 96), (64, 96))))
    assert len(of_dict) == 2
    for one, other in zip(of_dict, of_list, strict=True):
        assert len(one.gt_instances) == len(other.gt_instances)
        assert one.pred_instances.keys() == other.pred_instances.keys()
        for name, value in other.pred_instances.items():
            torch.testing.assert_close(one.pred_instances[name], value)


def telling_apart(model: Any, images: torch.Tensor) -> Any:
    """Give a model weights with which places differ by far more than rounding, and statistics that go with them."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in (one for one in model.parameters() if one.ndim > 1):
            weight.copy_(torch.randn(weight.shape, generator=random) / weight[0].numel() ** 0.5)
        norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = None  # statistics of this batch alone
            norm.reset_running_stats()
        model.train()(model.data_preprocessor.to_batch(images))
    return model.eval()


@pytest.mark.slow
def test_exports_with_suppression_inside(variant: Variant, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 255
    exponential = variant.model["bbox_head"]["type"].startswith(("YOLOX", "RTMDet"))
    # Loud weights make boxes of these turned over, or larger than float32 can tell apart.
    model = shaken(variant.make(), 0.02).eval() if exponential else telling_apart(variant.make(), images)
    told = export_onnx(model, tmp_path / "model.onnx", images)
    assert told["objects"] > 0
    assert told["bboxes"] < 0.1
    assert told["scores"] < 1e-3
