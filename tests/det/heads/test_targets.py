"""Which prior learns what, against plain loops."""

from __future__ import annotations

import math

import pytest
import torch

from tests.cv.ops.checks import random_boxes
from tests.det.assign.instances import LEVELS, STRIDES, anchors, objects
from visuite.det.assign import MaxIoUAssigner
from visuite.det.boxes import DeltaXYWHBBoxCoder
from visuite.det.heads import ATSSHead, FCOSHead
from visuite.det.heads.anchor_targets import anchor_targets
from visuite.det.heads.atss_head import box_centrality, centrality_of
from visuite.det.heads.levels import level_numbers
from visuite.det.sampling import PseudoSampler, RandomSampler
from visuite.engine.structures import InstanceData

ASSIGNER = MaxIoUAssigner(0.4, 0.3, min_pos_iou=0.1, ignore_iof_thr=0.5)
CODER = DeltaXYWHBBoxCoder()


@pytest.mark.parametrize("pos_weight", [-1, 2.5])
@pytest.mark.parametrize("encode", [None, CODER.encode])
def test_anchor_targets_against_a_loop(pos_weight: float, encode: object) -> None:
    priors, _ = anchors()
    torch.manual_seed(0)
    usable = torch.rand(3, len(priors)) < 0.8
    truth = [objects(4), objects(0, 1), objects(7, 2)]
    ignored = [InstanceData(bboxes=random_boxes(count, size=64, seed=9)) for count in (1, 2, 0)]
    found = anchor_targets(
        priors,
        usable,
        truth,
        ignored,
        assign=ASSIGNER.assign,
        sample=PseudoSampler().sample,
        encode=encode,
        num_classes=4,
        pos_weight=pos_weight,
    )
    boxes, numbers, overlaps, count = [], [], [], 0
    for index in range(3):
        places = [p for p in range(len(priors)) if usable[index, p]]
        assigned = ASSIGNER.assign(InstanceData(priors=priors[places]), truth[index], ignored[index])
        count += max(int((assigned.gt_inds > 0).sum()), 1) + max(int((assigned.gt_inds == 0).sum()), 1)
        of_place = dict(zip(places, range(len(places)), strict=True))
        for prior in range(len(priors)):
            number = int(assigned.gt_inds[of_place[prior]]) if prior in of_place else -1
            label, weight = found.labels[index, prior].item(), found.label_weights[index, prior].item()
            assert bool(found.positive[index, prior]) == (number > 0)
            if number > 0:
                assert label == truth[index].labels[number - 1]
                assert weight == (pos_weight if pos_weight > 0 else 1)
                box = truth[index].bboxes[number - 1 : number]
                boxes.append(box if encode is None else CODER.encode(priors[prior : prior + 1], box))
                numbers.append(number - 1)
                overlaps.append(assigned.max_overlaps[of_place[prior]])
            else:
                assert (label, weight) == (4, float(number == 0))
    torch.testing.assert_close(found.boxes, torch.cat(boxes))
    assert found.objects.tolist() == numbers
    assert len(numbers) > 5
    torch.testing.assert_close(found.overlaps, torch.stack(overlaps))
    assert found.avg_factor in (count, sum(max(int(one.sum()), 1) for one in found.positive))


def test_only_sampled_priors_count() -> None:
    priors, _ = anchors()
    torch.manual_seed(0)
    sampler = RandomSampler(8, 0.5, add_gt_as_proposals=False)
    usable = torch.ones(1, len(priors), dtype=torch.bool)
    found = anchor_targets(
        priors, usable, [objects(6)], None, assign=ASSIGNER.assign, sample=sampler.sample, encode=None, num_classes=4
    )
    assert found.label_weights.sum() == 8
    assert found.avg_factor == 8
    assert found.positive.sum() == len(found.boxes) <= 4
    assert (found.labels[0][found.positive[0]] < 4).all()


def test_nothing_is_usable() -> None:
    priors, _ = anchors()
    usable = torch.zeros(1, len(priors), dtype=torch.bool)
    found = anchor_targets(
        priors,
        usable,
        [objects(2)],
        None,
        assign=ASSIGNER.assign,
        sample=PseudoSampler().sample,
        encode=CODER.encode,
        num_classes=4,
    )
    assert (found.labels == 4).all()
    assert found.label_weights.sum() == 0
    assert found.boxes.shape == (0, 4)


# ---------------------------------------------------------------------- FCOS

RANGES = ((-1, 12), (12, 24), (24, 1e8))


def fcos(**options: object) -> FCOSHead:
    return FCOSHead(
        4, 8, feat_channels=8, stacked_convs=1, norm_cfg=None, strides=STRIDES, regress_ranges=RANGES, **options
    )


@pytest.mark.parametrize("radius", [None, 0.5, 1.5])
@pytest.mark.parametrize("count", [0, 1, 5, 150])
def test_fcos_targets_against_a_loop(count: int, radius: float | None) -> None:
    options = {} if radius is None else {"center_sampling": True, "center_sample_radius": radius}
    head, truth = fcos(**options), objects(count, 3)
    points = torch.cat(head.prior_generator.grid_priors(LEVELS))
    levels = level_numbers(LEVELS, [1, 1, 1], points.device)
    labels, boxes = head.get_targets(points, levels, truth)
    for place, ((x, y), level) in enumerate(zip(points.tolist(), levels.tolist(), strict=True)):
        best, least = None, math.inf
        for number, (x1, y1, x2, y2) in enumerate(truth.bboxes.tolist()):
            distances = [x - x1, y - y1, x2 - x, y2 - y]
            if min(distances) <= 0 or not RANGES[level][0] <= max(distances) <= RANGES[level][1]:
                continue
            far = max(abs(x - (x1 + x2) / 2), abs(y - (y1 + y2) / 2))
            if radius is not None and far >= radius * STRIDES[level]:
                continue
            area = (x2 - x1) * (y2 - y1)
            if area < least:
                best, least = number, area
        assert labels[place] == (4 if best is None else truth.labels[best]), place
        if best is not None:
            assert torch.equal(boxes[place], truth.bboxes[best])
    assert (labels < 4).any() == (count > 0)


def test_fcos_needs_a_range_for_each_stride() -> None:
    with pytest.raises(ValueError, match="2 regress_ranges for 3 strides"):
        FCOSHead(4, 8, strides=STRIDES, regress_ranges=RANGES[:2])


def test_centrality_by_hand() -> None:
    distances = torch.tensor([[5.0, 5, 5, 5], [2, 3, 8, 12], [0, 1, 4, 1], [-1, 2, 3, 2]])
    torch.testing.assert_close(centrality_of(distances), torch.tensor([1, math.sqrt(2 / 8 * 3 / 12), 0, 0]))
    box = torch.tensor([[0.0, 0, 10, 15]])
    anchor = torch.tensor([[1.0, 2, 3, 4]])  # its centre is (2, 3)
    torch.testing.assert_close(box_centrality(anchor, box), torch.tensor([math.sqrt(2 / 8 * 3 / 12)]))


@pytest.mark.parametrize("decoded", [True, False])
def test_atss_learns_offsets_or_boxes(decoded: bool) -> None:
    """Written boxes that are exact cost nothing, whichever way they are compared."""
    head = ATSSHead(
        4,
        8,
        feat_channels=8,
        stacked_convs=0,
        norm_cfg=None,
        reg_decoded_bbox=decoded,
        anchor_generator={"type": "AnchorGenerator", "scales": [2], "ratios": [1.0], "strides": STRIDES},
        loss_cls={"type": "FocalLoss", "use_sigmoid": True},
        loss_bbox={"type": "GIoULoss"} if decoded else {"type": "L1Loss"},
        train_cfg={"assigner": {"type": "ATSSAssigner", "topk": 4}},
    )
    truth = InstanceData(bboxes=torch.tensor([[8.0, 8, 30, 28]]), labels=torch.tensor([1]))
    meta = {"img_shape": (64, 64), "pad_shape": (64, 64)}
    priors = torch.cat(head.prior_generator.grid_priors(LEVELS))
    written = head.bbox_coder.encode(priors, truth.bboxes.expand_as(priors)).split([64, 16, 4])
    maps = [
        [torch.zeros(1, 4, *size) for size in LEVELS],
        [one.T.reshape(1, 4, *size) for one, size in zip(written, LEVELS, strict=True)],
        [torch.zeros(1, 1, *size) for size in LEVELS],
    ]
    losses = head.loss_by_feat(*maps, batch_gt_instances=[truth], batch_img_metas=[meta])
    assert losses["loss_bbox"].item() == pytest.approx(0, abs=1e-5)
    assert losses["loss_centerness"] > 0
