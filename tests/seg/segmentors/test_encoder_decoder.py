"""Segmentors: modes, names of losses, sizes of predictions, and what fails when a model is built."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.seg.contracts import batch
from tests.seg.variants import FCN, FINE, HEADS, Pyramid, Variant
from visuite.engine.registry import MODELS
from visuite.seg.heads import FCNHead
from visuite.seg.preprocessor import SegDataPreProcessor
from visuite.seg.segmentors import EncoderDecoder
from visuite.seg.structures import SegDataSample


class Pixelwise(nn.Module):
    """A backbone that looks at each pixel alone."""

    out_channels, out_strides = (4,), (1,)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.conv(x),)


def pixelwise(**test_cfg: Any) -> EncoderDecoder:
    """A model for which crops make no difference."""
    torch.manual_seed(0)
    head = FCNHead(in_channels=4, channels=4, num_classes=3, num_convs=0, concat_input=False, in_index=0)
    return EncoderDecoder(Pixelwise(), head, test_cfg=test_cfg or None).eval()


def test_modes() -> None:
    model = HEADS["fcn"].make()
    data = model.data_preprocessor(batch(), True)
    assert set(model(**data, mode="loss")) == {"decode.loss_ce", "decode.acc_seg", "aux.loss_ce", "aux.acc_seg"}
    assert model(data["inputs"]).shape == (2, 3, 2, 3)
    assert model.eval()(**data, mode="predict")[0].pred_sem_seg.shape == (64, 96)
    with pytest.raises(ValueError, match="'train' is none of"):
        model(data["inputs"], mode="train")
    with pytest.raises(ValueError, match="needs data_samples"):
        model(data["inputs"], mode="loss")


def test_losses_of_several_auxiliary_heads_and_losses() -> None:
    losses = [{"type": "CrossEntropyLoss", "loss_weight": 2.0}, {"type": "CrossEntropyLoss"}]
    losses.append({"type": "CrossEntropyLoss", "loss_name": "loss_again"})
    model = Variant(FCN, auxiliary=[FCN, FINE]).make(loss_decode=losses, dropout_ratio=0).eval()
    found = model(**model.data_preprocessor(batch(), True), mode="loss")
    assert {name.split(".")[0] for name in found} == {"decode", "aux_0", "aux_1"}
    torch.testing.assert_close(found["decode.loss_ce"], 3 * found["decode.loss_again"])


def test_a_cascade_shows_each_head_what_the_last_found() -> None:
    model = HEADS["ocr"].make().eval()
    data = model.data_preprocessor(batch(), True)
    losses = model(**data, mode="loss")
    assert set(losses) == {f"decode_{i}.{name}" for i in (0, 1) for name in ("loss_ce", "acc_seg")}
    maps = model.extract_feat(data["inputs"])
    first, second = model.decode_head
    expected = second(maps, first(maps))
    torch.testing.assert_close(model(data["inputs"]), expected)
    shown = second.loss_by_feat(expected, data["data_samples"])["loss_ce"]
    torch.testing.assert_close(losses["decode_1.loss_ce"], shown)


def test_a_cascade_of_one_head_is_a_plain_model() -> None:
    plain = Variant(FCN).make().eval()
    cascade = Variant([FCN]).make().eval()
    state = {name.replace("decode_head.", "decode_head.0."): value for name, value in plain.state_dict().items()}
    cascade.load_state_dict(state)
    data = batch((48, 64))
    one, other = plain.test_step(data)[0], cascade.test_step(data)[0]
    assert torch.equal(one.seg_logits.data, other.seg_logits.data)


@torch.no_grad()
def test_crops_make_no_difference_where_pixels_stand_alone() -> None:
    whole = pixelwise().test_step(batch((37, 53)))
    slid = pixelwise(mode="slide", crop_size=(16, 20), stride=(11, 13)).test_step(batch((37, 53)))
    assert whole[0].seg_logits.data.shape == (3, 37, 53)
    for model_batch in (whole, slid):
        assert len(model_batch) == 2
    torch.manual_seed(1)
    data = batch((37, 53))
    one = pixelwise().test_step(data)[1].seg_logits.data
    other = pixelwise(mode="slide", crop_size=(16, 20), stride=(11, 13)).test_step(data)[1].seg_logits.data
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("align_corners", [False, True])
@torch.no_grad()
def test_predictions_go_back_to_the_original(align_corners: bool) -> None:
    """Padding is cut off, flips are undone, and then scores are resized."""
    model = pixelwise()
    model.decode_head.align_corners = align_corners
    scores = torch.randn(1, 3, 8, 10)
    inside = scores[:, :, :6, :7]
    for direction, dims in (("horizontal", [3]), ("vertical", [2]), ("diagonal", [2, 3])):
        meta = {"ori_shape": (11, 9), "img_padding_size": (0, 3, 0, 2), "flip": True, "flip_direction": direction}
        (found,) = model.postprocess_result(scores, [SegDataSample(metainfo=meta)])
        expected = F.interpolate(inside.flip(dims), size=(11, 9), mode="bilinear", align_corners=align_corners)
        torch.testing.assert_close(found.seg_logits.data, expected[0])
        assert torch.equal(found.pred_sem_seg.data[0], expected[0].argmax(0))


@torch.no_grad()
def test_images_of_different_sizes_in_one_batch() -> None:
    model = pixelwise()
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in ((20, 30), (33, 17))]
    samples = [SegDataSample(metainfo={"ori_shape": tuple(image.shape[1:])}) for image in images]
    together = model.test_step({"inputs": images, "data_samples": samples})
    for image, found in zip(images, together, strict=True):
        (alone,) = model.test_step({"inputs": [image]})
        torch.testing.assert_close(found.seg_logits.data, alone.seg_logits.data)


@torch.no_grad()
def test_without_samples_scores_stay_as_large_as_the_batch() -> None:
    (found,) = pixelwise().test_step({"inputs": [torch.zeros(3, 12, 13, dtype=torch.uint8)]})
    assert found.seg_logits.data.shape == (3, 12, 13)


@torch.no_grad()
def test_threshold_of_the_test() -> None:
    cfg = Variant(FCN).config(num_classes=2, out_channels=1)
    cfg["decode_head"]["loss_decode"] = {"type": "CrossEntropyLoss", "use_sigmoid": True}
    model = MODELS.build({**cfg, "test_cfg": {"mode": "whole", "threshold": 0.6}}).eval()
    (found, _) = model.test_step(batch((32, 32)))
    assert model.last_head.threshold == 0.6
    assert torch.equal(found.pred_sem_seg.data, (found.seg_logits.data.sigmoid() > 0.6).long())


def test_made_of_objects() -> None:
    head = FCNHead(in_channels=32, in_index=3, channels=4, num_classes=2)
    model = EncoderDecoder(Pyramid(), head, data_preprocessor=SegDataPreProcessor())
    assert model.decode_head is head
    assert model.num_classes == model.out_channels == 2
    assert not model.with_neck
    assert not model.with_auxiliary_head


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"in_channels": 16}, "decode_head.in_channels is 16 for map 3, but Pyramid gives 32 channels"),
        ({"in_index": 4}, "decode_head.in_index asks for map 4, but Pyramid gives 4 maps"),
        ({"in_channels": [8, 9], "in_index": [0, 1], "input_transform": "resize_concat"}, "is 9 for map 1"),
    ],
)
def test_wrong_channels_fail_at_build_time(head: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Variant({**FCN, **head}).make()


def test_wrong_channels_of_an_auxiliary_head_or_behind_a_neck() -> None:
    with pytest.raises(ValueError, match=r"auxiliary_head.1.in_channels is 32 for map 0"):
        Variant(FCN, auxiliary=[FCN, {**FCN, "in_index": 0}]).make()
    neck = {"type": "FPN", "in_channels": [8, 16, 24, 32], "out_channels": 12, "num_outs": 4}
    with pytest.raises(ValueError, match=r"decode_head\.in_channels is 32 for map 3, but FPN gives 12"):
        Variant(FCN, neck=neck).make()


@pytest.mark.parametrize(
    ("test_cfg", "message"),
    [
        ({"mode": "tiles"}, "'whole' or 'slide', not 'tiles'"),
        ({"mode": "slide", "stride": (2, 2)}, "needs crop_size"),
        ({"mode": "slide"}, "crop_size and stride"),
    ],
)
def test_bad_settings(test_cfg: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pixelwise(**test_cfg)


def test_one_checkpoint_for_the_backbone() -> None:
    cfg = Variant(FCN, {"type": "ResNet", "depth": 18, "base_channels": 4}, model={"pretrained": "a.pth"}).config()
    assert MODELS.build(cfg).backbone.init_cfg == {"type": "Pretrained", "checkpoint": "a.pth"}
    cfg["backbone"]["pretrained"] = "b.pth"
    with pytest.raises(ValueError, match="pretrained is for the backbone"):
        MODELS.build(cfg)
    with pytest.raises(ValueError, match="num_stages=2 heads, not one"):
        MODELS.build({**Variant(FCN).config(), "type": "CascadeEncoderDecoder", "num_stages": 2})


def test_learns_to_tell_dark_from_light() -> None:
    torch.manual_seed(0)
    model = Variant({**FCN, "in_channels": 8, "in_index": 0}).make(num_classes=2, dropout_ratio=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(40):
        data = batch((32, 32), count=4)
        for image, sample in zip(data["inputs"], data["data_samples"], strict=True):
            image[:, :, :16], image[:, :, 16:] = 20, 230
            sample.gt_sem_seg.data[:, :, :16], sample.gt_sem_seg.data[:, :, 16:] = 0, 1
        losses = model(**model.data_preprocessor(data, True), mode="loss")
        optimizer.zero_grad()
        losses["decode.loss_ce"].backward()
        optimizer.step()
    found = model.eval().test_step(data)[0].pred_sem_seg.data[0]
    assert (found[:, :12] == 0).all()
    assert (found[:, 20:] == 1).all()
