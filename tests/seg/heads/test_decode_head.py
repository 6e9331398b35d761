"""What heads share: choosing maps, losses, accuracy, and clear answers to wrong arguments."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from tests.seg.contracts import batch
from visuite.engine.registry import MODELS
from visuite.engine.structures import PixelData
from visuite.seg.heads import FCNHead
from visuite.seg.heads.decode_head import BaseDecodeHead, stack_maps
from visuite.seg.structures import SegDataSample


def head(**arguments: Any) -> FCNHead:
    shared: dict[str, Any] = {"in_channels": 4, "channels": 4, "num_classes": 3, "num_convs": 0, "concat_input": False}
    return FCNHead(**{**shared, **arguments})


def samples(labels: torch.Tensor) -> list[SegDataSample]:
    return [SegDataSample(gt_sem_seg=PixelData(data=one[None])) for one in labels]


MAPS = [torch.arange(4.0).reshape(1, 4, 1, 1).expand(2, 4, 8, 8), torch.ones(2, 2, 4, 4)]


def test_one_map_of_several() -> None:
    assert head(in_index=0)._transform_inputs(MAPS) is MAPS[0]
    assert head(in_index=-1)._transform_inputs(MAPS) is MAPS[1]


def test_several_maps() -> None:
    shared = {"in_channels": [4, 2], "in_index": [0, 1]}
    beside = head(**shared, input_transform="resize_concat", channels=6)
    assert beside.in_channels == 6
    assert beside.map_channels == (4, 2)
    found = beside._transform_inputs(MAPS)
    assert found.shape == (2, 6, 8, 8)
    assert found[0, :, 3, 3].tolist() == [0, 1, 2, 3, 1, 1]
    apart = BaseDecodeHead(**shared, channels=4, num_classes=3, input_transform="multiple_select")
    assert [one.shape[1] for one in apart._transform_inputs(MAPS)] == [4, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_channels": [4]}, "in_channels of FCNHead is an int without input_transform"),
        ({"in_index": [0]}, "in_index of FCNHead is an int without input_transform"),
        ({"input_transform": "resize_concat"}, "in_channels of FCNHead is a list"),
        ({"input_transform": "stack"}, "input_transform is one of"),
        (
            {"input_transform": "resize_concat", "in_channels": [4, 4], "in_index": [0]},
            r"\[4, 4\] and in_index \[0\] differ",
        ),
        ({"out_channels": 2}, r"num_classes \(3\), or 1 where there are two classes, not 2"),
        ({"out_channels": 1}, "or 1 where there are two classes"),
        ({"num_classes": 1}, "use_sigmoid=True"),
        ({"num_convs": -1}, "at least 0"),
        ({"channels": 5}, "in_channels 4 would have to be channels 5"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        head(**arguments)


def test_accuracy_is_the_share_of_right_pixels_that_count() -> None:
    scores = torch.eye(3)[torch.tensor([[[0, 1], [2, 2]]])].permute(0, 3, 1, 2)
    labels = torch.tensor([[[[0, 2], [2, 255]]]])
    assert head().accuracy(scores, labels).item() == pytest.approx(100 * 2 / 3)
    assert head().accuracy(scores, torch.full_like(labels, 255)).item() == 0
    one = head(num_classes=2, out_channels=1, threshold=0.7, loss_decode=[])
    found = one.accuracy(torch.tensor([[[[0.8, 0.9], [-1.0, 5.0]]]]), torch.tensor([[[[1, 1], [0, 255]]]]))
    assert found.item() == pytest.approx(100 * 2 / 3)  # the sigmoid of 0.8 is 0.69


def test_losses_are_of_scores_as_large_as_the_truth() -> None:
    torch.manual_seed(0)
    scores, labels = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 9, 8))
    labels[0, 0] = 255
    for align in (False, True):
        found = head(align_corners=align).loss_by_feat(scores, samples(labels))
        large = F.interpolate(scores, size=(9, 8), mode="bilinear", align_corners=align)
        each = F.cross_entropy(large, labels, ignore_index=255, reduction="none")
        torch.testing.assert_close(found["loss_ce"], each.mean())  # ignored pixels count in the mean, as published


def test_a_loss_without_a_name_and_equal_names() -> None:
    class Plain(torch.nn.Module):
        def forward(self, scores: torch.Tensor, labels: torch.Tensor, **_: Any) -> torch.Tensor:
            assert labels.shape == (2, 8, 8)
            return scores.sum() * 0 + 2

    found = head(loss_decode=[Plain(), Plain()]).loss_by_feat(torch.randn(2, 3, 4, 4), batch((8, 8))["data_samples"])
    assert found["loss_decode"].item() == 4


def test_truths_that_lack_or_differ_are_named() -> None:
    with pytest.raises(ValueError, match="sample 1 of the batch has no gt_sem_seg"):
        stack_maps([*samples(torch.zeros(1, 2, 2)), SegDataSample()], "gt_sem_seg")
    with pytest.raises(ValueError, match="several shapes"):
        stack_maps([*samples(torch.zeros(1, 2, 2)), *samples(torch.zeros(1, 3, 2))], "gt_sem_seg")
    bytes_ = samples(torch.full((1, 2, 2), 200, dtype=torch.uint8))
    assert stack_maps(bytes_, "gt_sem_seg").dtype == torch.long


def test_the_base_asks_for_a_forward() -> None:
    with pytest.raises(NotImplementedError, match="BaseDecodeHead needs forward_feature"):
        BaseDecodeHead(4, 4, num_classes=2)(MAPS)


def test_weights_of_the_classifier_begin_small() -> None:
    torch.manual_seed(0)
    one = MODELS.build({"type": "seg.FCNHead", "in_channels": 64, "channels": 64, "num_classes": 50})
    one.init_weights()
    assert one.conv_seg.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert not one.conv_seg.bias.any()
