"""Heads for regions and their parts, against plain loops and by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import nms, roi_align

from tests.cv.ops.checks import random_boxes
from visuite.det.roi_heads import BBoxHead, SingleRoIExtractor, bbox2roi, multiclass_nms, paste
from visuite.det.sampling import SamplingResult

NMS = {"type": "nms", "iou_threshold": 0.3}


def test_regions_are_numbered() -> None:
    one, two = random_boxes(3), random_boxes(2, seed=1)
    rois = bbox2roi([one, one[:0], two])
    assert rois[:, 0].tolist() == [0, 0, 0, 2, 2]
    assert torch.equal(rois[:, 1:], torch.cat([one, two]))


# ---------------------------------------------------------------------- suppression


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("most", [-1, 7])
def test_suppression_against_a_loop_over_classes(most: int, per_class: bool) -> None:
    torch.manual_seed(0)
    scores = torch.rand(40, 3)
    boxes = random_boxes(120, size=64).view(40, 12) if per_class else random_boxes(40, size=64)
    found, regions = multiclass_nms(boxes, scores, score_thr=0.4, nms_cfg=NMS, max_num=most)
    wanted = []
    for label in range(3):
        own = boxes[:, label * 4 : label * 4 + 4] if per_class else boxes
        places = (scores[:, label] > 0.4).nonzero().squeeze(1)
        for kept in places[nms(own[places], scores[places, label], 0.3)].tolist():
            wanted.append((scores[kept, label].item(), label, kept, own[kept].tolist()))
    wanted = sorted(wanted, reverse=True)[: most if most > 0 else None]
    assert found.scores.tolist() == [one[0] for one in wanted]
    assert found.labels.tolist() == [one[1] for one in wanted]
    assert regions.tolist() == [one[2] for one in wanted]
    torch.testing.assert_close(found.bboxes, torch.tensor([one[3] for one in wanted]))


def test_suppression_of_nothing() -> None:
    found, regions = multiclass_nms(torch.zeros(0, 12), torch.zeros(0, 3), score_thr=0.1, nms_cfg=NMS)
    assert found.bboxes.shape == (0, 4)
    assert len(regions) == 0


# ---------------------------------------------------------------------- extraction


def extractor(**options: Any) -> SingleRoIExtractor:
    layer = {"type": "RoIAlign", "output_size": 2, "sampling_ratio": 2}
    return SingleRoIExtractor(layer, 3, featmap_strides=[4, 8, 16], finest_scale=16, **options)


def test_each_region_is_read_from_the_level_of_its_size() -> None:
    edges = [1.0, 15.9, 16.1, 31.9, 32.1, 63.9, 64.1, 1000.0]
    rois = torch.tensor([[0, 5, 5, 5 + edge, 5 + edge] for edge in edges])
    assert extractor().map_roi_levels(rois, 3).tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
    flat = torch.tensor([[0.0, 5, 5, 5, 9], [0, 9, 9, 5, 5]])
    assert extractor().map_roi_levels(flat, 3).tolist() == [0, 0]


@pytest.mark.parametrize("factor", [None, 1.5])
def test_features_come_in_the_order_of_regions(factor: float | None) -> None:
    torch.manual_seed(0)
    maps = [torch.randn(2, 3, 128 // stride, 128 // stride) for stride in (4, 8, 16)]
    start = torch.rand(30, 2) * 40
    rois = torch.cat([torch.arange(30)[:, None] % 2, start, start + 2 + torch.rand(30, 2) ** 2 * 80], dim=1)
    part = extractor()
    levels = part.map_roi_levels(rois, 3).tolist()
    assert set(levels) == {0, 1, 2}
    found = part(maps, rois, roi_scale_factor=factor)
    for index, level in enumerate(levels):
        number, x1, y1, x2, y2 = rois[index].tolist()
        grow = 0 if factor is None else (factor - 1) / 2
        wide, high = (x2 - x1) * grow, (y2 - y1) * grow
        one = torch.tensor([[number, x1 - wide, y1 - high, x2 + wide, y2 + high]])
        stride = (4, 8, 16)[level]
        wanted = roi_align(maps[level], one, 2, spatial_scale=1 / stride, sampling_ratio=2, aligned=True)[0]
        torch.testing.assert_close(found[index], wanted, rtol=1e-4, atol=1e-5)


def test_no_regions_leave_all_maps_in_the_graph() -> None:
    maps = [torch.randn(2, 3, 8, 8, requires_grad=True) for _ in range(3)]
    found = extractor()(maps, torch.zeros(0, 5))
    assert found.shape == (0, 3, 2, 2)
    found.sum().backward()
    assert all(one.grad is not None for one in maps)


# ---------------------------------------------------------------------- the box head


def sampled(found: int, none: int, *, own: int = 0, seed: int = 0) -> SamplingResult:
    """Regions, of which the first `found` belong to objects 0, 1, ... and the first `own` are objects' own boxes."""
    priors = random_boxes(found + none, size=32, seed=seed)
    boxes = priors[:found] + 1
    assigned = SimpleNamespace(
        num_gts=found,
        gt_inds=torch.cat([torch.arange(1, found + 1), torch.zeros(none, dtype=torch.long)]),
        labels=torch.cat([torch.arange(found) % 3, torch.full((none,), -1)]),
    )
    flags = (torch.arange(found + none) < own).to(torch.uint8)
    return SamplingResult(
        torch.arange(found),
        torch.arange(found, found + none),
        priors=priors,
        gt_bboxes=boxes,
        assign_result=assigned,
        gt_flags=flags,
    )


def test_losses_of_two_regions_by_hand() -> None:
    stds = (0.1, 0.1, 0.2, 0.2)
    head = BBoxHead(4, 3, loss_bbox={"type": "SmoothL1Loss", "beta": 1.0}, roi_feat_size=2)
    region, box = torch.tensor([[0.0, 0, 10, 20], [4, 4, 8, 8]]), torch.tensor([[1.0, 2, 13, 18]])
    assigned = SimpleNamespace(num_gts=1, gt_inds=torch.tensor([1, 0]), labels=torch.tensor([2, -1]))
    chosen = SamplingResult(
        torch.tensor([0]),
        torch.tensor([1]),
        priors=region,
        gt_bboxes=box,
        assign_result=assigned,
        gt_flags=torch.zeros(2, dtype=torch.uint8),
    )
    torch.manual_seed(0)
    scores, written = torch.randn(2, 4), torch.randn(2, 12)
    losses = head.loss_and_target(scores, written, bbox2roi([region]), [chosen], {"pos_weight": 2.0})
    logs = scores.log_softmax(dim=1)
    assert losses["loss_cls"].item() == pytest.approx((-2 * logs[0, 2] - logs[1, 3]).item() / 2, rel=1e-5)
    # The region is centred at (5, 10) and 10 x 20, its object at (7, 10) and 12 x 16.
    wanted = [2 / 10 / stds[0], 0.0, math.log(12 / 10) / stds[2], math.log(16 / 20) / stds[3]]
    away = [abs(a - b) for a, b in zip(written[0, 8:12].tolist(), wanted, strict=True)]
    smooth = sum(d - 0.5 if d >= 1 else d * d / 2 for d in away)
    assert losses["loss_bbox"].item() == pytest.approx(smooth / 2, rel=1e-4)
    right = (scores.argmax(dim=1) == torch.tensor([2, 3])).float().mean() * 100
    assert losses["acc"].item() == pytest.approx(right.item())


@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("decoded", [False, True])
def test_exact_boxes_cost_nothing(decoded: bool, agnostic: bool) -> None:
    head = BBoxHead(4, 3, roi_feat_size=2, reg_class_agnostic=agnostic, reg_decoded_bbox=decoded)
    every = [sampled(3, 2), sampled(0, 4, seed=1), sampled(2, 0, seed=2)]
    rois = bbox2roi([one.priors for one in every])
    written = torch.randn(len(rois), 4 if agnostic else 12)
    start = 0
    for one in every:
        exact = head.bbox_coder.encode(one.pos_priors, one.pos_gt_bboxes)
        for index, (label, offsets) in enumerate(zip(one.pos_gt_labels.tolist(), exact, strict=True)):
            at = 0 if agnostic else label * 4
            written[start + index, at : at + 4] = offsets
        start += len(one.priors)
    losses = head.loss_and_target(torch.zeros(len(rois), 4), written, rois, every, {})
    assert losses["loss_bbox"].item() == pytest.approx(0, abs=1e-5)
    assert losses["loss_cls"].item() == pytest.approx(math.log(4), rel=1e-5)


def test_boxes_that_were_objects_themselves_go() -> None:
    head = BBoxHead(4, 3, roi_feat_size=2)
    every = [sampled(3, 2, own=2), sampled(1, 0, own=1, seed=1), sampled(0, 3, seed=2)]
    torch.manual_seed(0)
    scores, written = torch.randn(9, 4), torch.randn(9, 12) * 0.5
    scores[3, 3] = scores[7, 3] = 9.0  # background is no class to move by
    metas = [{"img_shape": (40, 36)}] * 3
    refined = head.refine_bboxes(every, scores, written, metas)
    assert [len(one) for one in refined] == [3, 0, 3]
    start = 0
    for one, kept in zip(every, refined, strict=True):
        wanted = []
        for index, region in enumerate(one.priors):
            if index < len(one.pos_priors) and one.pos_is_gt[index]:
                continue
            own = index < len(one.pos_priors)
            label = int(one.pos_gt_labels[index]) if own else int(scores[start + index, :3].argmax())
            offsets = written[start + index, label * 4 : label * 4 + 4]
            wanted.append(head.bbox_coder.decode(region[None], offsets[None], max_shape=(40, 36))[0])
        torch.testing.assert_close(kept.bboxes, torch.stack(wanted) if wanted else torch.zeros(0, 4))
        start += len(one.priors)


def test_regions_without_boxes_are_clipped_and_scaled() -> None:
    head = BBoxHead(4, 2, with_reg=False, roi_feat_size=2)
    rois = torch.tensor([[0.0, -4, 2, 30, 50], [0, 1, 1, 5, 5]])
    scores = torch.tensor([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1]])
    meta = {"img_shape": (40, 20), "scale_factor": (2.0, 4.0)}
    cfg = {"score_thr": 0.5, "nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 5}
    found = head.predict_by_feat(rois, scores, None, meta, cfg=cfg, rescale=True)
    assert found.bboxes.tolist() == [[0, 0.5, 10, 10], [0.5, 0.25, 2.5, 1.25]]
    assert found.labels.tolist() == [0, 1]
    raw = head.predict_by_feat(rois, scores, None, meta, cfg={})
    assert torch.equal(raw.scores, scores)


def test_a_box_head_tells_something() -> None:
    with pytest.raises(ValueError, match="with_cls and with_reg are False"):
        BBoxHead(4, 3, with_cls=False, with_reg=False)


# ---------------------------------------------------------------------- masks


def pasted_by_sampling(masks: torch.Tensor, boxes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Masks (N, H, W) float, read by torch's sampler."""
    pasted = []
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        x = (torch.arange(size[1]) + 0.5 - x1) / (x2 - x1) * 2 - 1
        y = (torch.arange(size[0]) + 0.5 - y1) / (y2 - y1) * 2 - 1
        grid = torch.stack([x.expand(size[0], -1), y[:, None].expand(-1, size[1])], dim=-1)
        pasted.append(F.grid_sample(mask[None, None], grid[None], align_corners=False)[0, 0])
    return torch.stack(pasted)


@pytest.mark.parametrize("way", [paste._paste_each, paste._paste_together])
@pytest.mark.parametrize("threshold", [0.5, 0.2, -1])
def test_masks_are_pasted_as_the_sampler_reads(way: Any, threshold: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paste, "_PIXELS", 60 * 80 * 4)  # three parts
    torch.manual_seed(0)
    masks, start = torch.rand(10, 7, 7), torch.rand(10, 2) * 60 - 10
    boxes = torch.cat([start, start + 0.5 + torch.rand(10, 2) * 60], dim=1)
    boxes[0] = torch.tensor([-5.0, -5, 100, 90])
    boxes[1] = torch.tensor([200.0, 10, 220, 30])  # outside
    wanted = pasted_by_sampling(masks, boxes, (60, 80))
    out = torch.zeros(10, 60, 80, dtype=torch.bool if threshold >= 0 else torch.uint8)
    way(out, masks, boxes, threshold)
    if threshold < 0:
        assert (out.float() - wanted * 255).abs().amax() <= 1.001
    else:
        sure = (wanted - threshold).abs() > 1e-4
        assert torch.equal(out[sure], (wanted >= threshold)[sure])
        assert out.any()
    assert not out[1].any()
    assert torch.equal(paste.paste_masks(masks, boxes, (60, 80), threshold), out)


def test_no_masks_to_paste() -> None:
    assert paste.paste_masks(torch.zeros(0, 7, 7), torch.zeros(0, 4), (5, 6), 0.5).shape == (0, 5, 6)
    flat = paste.paste_masks(torch.ones(1, 7, 7), torch.tensor([[3.0, 3, 3, 9]]), (12, 12), 0.5)
    assert flat.sum() <= 12
