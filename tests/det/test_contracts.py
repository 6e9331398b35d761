"""Contracts of all detectors: those of every model, and what is found in an image."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests import contracts, model_contracts
from tests.det.variants import CLASSES, VARIANTS, Variant, boxes_within, filled
from visuite.det.detectors import BaseDetector
from visuite.det.registry import MODELS
from visuite.det.structures import DetDataSample, mask_array
from visuite.engine.registry import DefaultScope
from visuite.engine.structures import InstanceData


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> Variant:
    return VARIANTS[request.param]


@pytest.mark.parametrize("counts", [(3, 2), (3, 0), (0, 0)], ids=["some", "none-in-one", "none"])
def test_learns_from_any_number_of_objects(variant: Variant, counts: tuple[int, int]) -> None:
    model_contracts.learns(variant.make, lambda: variant.batch(*counts))


def test_learns_from_a_thousand_objects(variant: Variant) -> None:
    model_contracts.learns(variant.make, lambda: variant.batch(1000, 1), within=60)


@pytest.mark.parametrize("counts", [(3, 2), (0, 0)], ids=["some", "none"])
def test_learns_beside_ignored_regions(variant: Variant, counts: tuple[int, int]) -> None:
    model_contracts.learns(variant.make, lambda: variant.batch(*counts, ignored=2))


@pytest.mark.parametrize(
    "sizes", [((8, 8), (20, 11)), ((9, 8), (160, 224)), ((256, 192), (256, 256))], ids=["tiny", "mixed", "large"]
)
def test_takes_images_of_any_size(variant: Variant, sizes: Any) -> None:
    model_contracts.learns(variant.make, lambda: variant.batch(1, 2, sizes=sizes))
    found = variant.make().eval().test_step(variant.batch(1, 2, sizes=sizes))
    for sample in found:
        holds_for_objects(variant, sample, CLASSES)


def test_one_class(variant: Variant) -> None:
    make = functools.partial(variant.make, classes=1)
    model_contracts.learns(make, lambda: variant.batch(3, 2, classes=1))
    for sample in make().eval().test_step(variant.batch(3, 2, classes=1)):
        holds_for_objects(variant, sample, 1)


def test_half_precision(variant: Variant) -> None:
    model_contracts.learns_in_half_precision(variant.make, lambda: variant.batch(3, 2))
    model_contracts.learns_in_half_precision(variant.make, lambda: variant.batch(0, 0))


def test_repeats_itself(variant: Variant) -> None:
    model_contracts.repeats_itself(variant.make, lambda: variant.batch(3, 2))


def test_state_dict_round_trip(variant: Variant) -> None:
    model_contracts.state_loads(variant.make, lambda: variant.batch(3, 2), lambda one: list(fields(one).values()))


def fields(sample: DetDataSample) -> dict[str, torch.Tensor]:
    """What was found, field by field."""
    found = sample.pred_instances
    return {name: found[name] for name in ("bboxes", "scores", "labels", "masks") if name in found}


def holds_for_objects(variant: Variant, sample: DetDataSample, classes: int) -> None:
    """Objects are inside of the file, the best come first, labels and masks are what they are told to be."""
    found, (h, w) = sample.pred_instances, sample.ori_shape
    assert found.bboxes.shape == (len(found), 4)
    assert found.bboxes.dtype == found.scores.dtype == torch.float32
    assert found.labels.dtype == torch.long
    assert found.bboxes.isfinite().all()
    if variant.clips:
        edges = found.bboxes.new_tensor([w, h, w, h])
        assert (found.bboxes >= 0).all()
        assert (found.bboxes <= edges + 1e-3).all()
    assert (found.bboxes[:, 2:] >= found.bboxes[:, :2]).all()
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert (found.scores.diff() <= 0).all()
    assert ((found.labels >= 0) & (found.labels < min(classes, variant.classes))).all()
    assert ("masks" in found) == variant.masks
    if variant.masks:
        assert mask_array(found.masks).shape == (len(found), h, w)


def test_predicts_in_the_size_of_the_file(variant: Variant) -> None:
    model = shaken(variant.make(), variant.shake).eval()
    data = model.data_preprocessor(variant.batch(3, 0))
    with torch.no_grad():
        in_file = model.predict(data["inputs"], data["data_samples"])
    assert all(one is other for one, other in zip(in_file, data["data_samples"], strict=True))
    kept = [fields(sample) for sample in in_file]
    for sample in in_file:
        assert 0 < len(sample.pred_instances) <= 50
        holds_for_objects(variant, sample, CLASSES)
    with torch.no_grad():
        in_input = model.predict(data["inputs"], data["data_samples"], rescale=False)
    for one, sample in zip(kept, in_input, strict=True):
        scaled = sample.pred_instances.bboxes / sample.pred_instances.bboxes.new_tensor(sample.scale_factor * 2)
        torch.testing.assert_close(one["scores"], sample.pred_instances.scores)
        torch.testing.assert_close(one["bboxes"], scaled)
        if variant.masks:
            assert sample.pred_instances.masks.shape[1:] == sample.img_shape


def shaken(model: BaseDetector, by: float = 0.02) -> BaseDetector:
    """Give a fresh model weights with which it tells objects apart: add so much noise."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=random) * by)
    return model


def test_what_stands_beside_an_image_does_not_matter(variant: Variant) -> None:
    """A prediction is the image's own: that of a batch of one, whatever else the batch holds."""
    model = shaken(variant.make(), variant.shake).eval()
    pair = model.test_step(variant.batch(2, 1, sizes=((64, 96), (64, 96))))
    alone = variant.batch(2, 1, sizes=((64, 96), (64, 96)))
    (single,) = model.test_step({key: value[:1] for key, value in alone.items()})
    for name, value in fields(single).items():
        torch.testing.assert_close(value, fields(pair[0])[name], rtol=1e-3, atol=1e-3)


def test_any_number_of_input_channels(variant: Variant) -> None:
    for channels in (1, 5):
        make = functools.partial(variant.make, in_channels=channels)
        model_contracts.learns(make, functools.partial(variant.batch, 2, 1, channels=channels))
        assert len(make().eval().test_step(variant.batch(2, 1, channels=channels))) == 2


def test_objects_and_configs_make_the_same_model(variant: Variant) -> None:
    cfg = variant.config()
    torch.manual_seed(0)
    from_configs = MODELS.build(cfg)
    cfg = variant.config()
    train_cfg, test_cfg = cfg.get("train_cfg") or {}, cfg["test_cfg"]
    settings = {
        "rpn_head": {"train_cfg": train_cfg.get("rpn"), "test_cfg": test_cfg.get("rpn"), "num_classes": 1},
        "roi_head": {"train_cfg": train_cfg.get("rcnn"), "test_cfg": test_cfg.get("rcnn")},
        "bbox_head": {"train_cfg": train_cfg, "test_cfg": test_cfg},
    }
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(variant.scope):
        for name in ("backbone", "neck", "data_preprocessor", *settings):
            if cfg.get(name) is not None:
                cfg[name] = MODELS.build({**cfg[name], **settings.get(name, {}), **branches(cfg, name)})
        from_objects = MODELS.build(cfg)
    assert from_objects.state_dict().keys() == from_configs.state_dict().keys()
    from_objects.load_state_dict(from_configs.state_dict())
    every = []
    for model in (from_configs, from_objects):
        torch.manual_seed(0)
        every.append(model_contracts.losses_of(model.train(), variant.batch(3, 2)))
    assert every[0].keys() == every[1].keys()
    for name, value in every[0].items():
        assert torch.equal(value, every[1][name]), name


def branches(cfg: dict[str, Any], name: str) -> dict[str, Any]:
    """What a ready-made head of Deformable DETR has to know itself."""
    if cfg["type"] != "DeformableDETR" or name != "bbox_head":
        return {}
    refine, two_stage = cfg.get("with_box_refine", False), cfg.get("as_two_stage", False)
    return {"share_pred_layer": not refine, "num_pred_layer": 2 + two_stage, "as_two_stage": two_stage}


def test_wrong_channels_fail_when_the_model_is_built(variant: Variant) -> None:
    cfg: Any = variant.config()
    part = functools.reduce(lambda inside, key: inside[key], variant.head, cfg)
    wanted = part["in_channels"]
    part["in_channels"] = 24 if isinstance(wanted, int) else [24] * len(wanted)
    told = r"in_channels of .* is .*\d.*, but it gets maps of|in_channels of .* is .*24.*, but "
    with pytest.raises(ValueError, match=told):
        MODELS.build(cfg)


@pytest.mark.parametrize("cascade", [False, True])
def test_wrong_channels_of_regions_fail_too(cascade: bool) -> None:
    variant = VARIANTS["cascade-mask-rcnn" if cascade else "mask-rcnn"]
    for name, key in (("mask_head", "in_channels"), ("mask_roi_extractor", "out_channels")):
        cfg = variant.config()
        cfg["roi_head"][name] = {**cfg["roi_head"][name], key: 24}
        with pytest.raises(ValueError, match=f"{key} of .* is 24|in_channels of .* is 16, but .* gives features of 24"):
            MODELS.build(cfg)
    cfg = variant.config()
    for head, extractor in (("bbox_head", "bbox_roi_extractor"), ("mask_head", "mask_roi_extractor")):
        heads = cfg["roi_head"][head]
        wider: Any = [{**one, "in_channels": 24} for one in (heads if isinstance(heads, list) else [heads])]
        wider = wider if isinstance(heads, list) else wider[0]
        cfg["roi_head"] |= {head: wider, extractor: {**cfg["roi_head"][extractor], "out_channels": 24}}
    with pytest.raises(ValueError, match="out_channels of SingleRoIExtractor is 24, but it gets maps of"):
        MODELS.build(cfg)


@pytest.mark.parametrize("name", ["fast-rcnn", "mask-rcnn", "mask-rcnn-c4", "cascade-mask-rcnn"])
def test_images_without_proposals(name: str) -> None:
    """Nothing is found in them, and nothing is learnt but that."""
    variant = VARIANTS[name]

    def batch(*left: int) -> dict[str, Any]:
        made = variant.batch(2, 0)
        for sample, count in zip(made["data_samples"], left, strict=True):
            boxes = boxes_within(sample.img_shape, count, torch.Generator().manual_seed(0))
            sample.proposals = InstanceData(bboxes=boxes, scores=torch.ones(count))
        return made

    some, none = variant.make().eval().test_step(batch(5, 0))
    assert len(some.pred_instances) > 0
    for sample in (none, *variant.make().eval().test_step(batch(0, 0))):
        assert len(sample.pred_instances) == 0
        holds_for_objects(variant, sample, CLASSES)
    if variant.proposals:
        losses = model_contracts.learns(variant.make, lambda: batch(0, 0))
        assert losses["loss_bbox"] > 0  # of the objects' own boxes


def test_stages_of_a_cascade_do_not_share_a_ready_made_part() -> None:
    cfg = VARIANTS["cascade-rcnn"].config()
    cfg["roi_head"]["bbox_roi_extractor"] = MODELS.build(cfg["roi_head"]["bbox_roi_extractor"])
    with pytest.raises(ValueError, match="one ready-made SingleRoIExtractor, which all stages would share"):
        MODELS.build(cfg)


def test_exports_what_the_heads_say(variant: Variant, tmp_path: Path) -> None:
    if not variant.traces:
        pytest.skip("its heads need samples")
    path = tmp_path / "model.onnx"
    contracts.exports(lambda: shaken(variant.make(), variant.shake), path, size=(64, 96), dynamo=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["retinanet", "detr", "deformable-detr"])
def test_exports_as_a_program(name: str, tmp_path: Path) -> None:
    contracts.exports(lambda: shaken(VARIANTS[name].make()), tmp_path / "model.onnx", size=(64, 96))


def test_unknown_modes_and_missing_samples(variant: Variant) -> None:
    model = variant.make()
    with pytest.raises(ValueError, match="none of 'loss', 'predict', 'tensor'"):
        model(torch.zeros(1, 3, 32, 32), mode="train")
    with pytest.raises(ValueError, match="needs data_samples"):
        model(torch.zeros(1, 3, 32, 32), mode="predict")


def test_the_table_has_what_it_says() -> None:
    assert all(isinstance(one.make(), nn.Module) for one in VARIANTS.values())
    assert filled(torch.tensor([[1.0, 2, 3, 4]]), (5, 5)).sum() == 4
