"""What all dense heads do, against plain loops."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from tests.cv.ops.checks import random_boxes
from visuite.det.boxes import AnchorGenerator, MlvlPointGenerator
from visuite.det.heads import RPNHead, best_of_levels, finish, flatten_levels, map_sizes, usable_priors
from visuite.det.heads.dense import DenseOutputs
from visuite.det.heads.levels import level_numbers
from visuite.engine.structures import InstanceData

META = {"img_shape": (64, 96), "scale_factor": (0.5, 2.0)}


def test_maps_are_flattened_in_the_order_of_priors() -> None:
    """A map that says, for each anchor, where that anchor is, must become the list of anchors."""
    generator = AnchorGenerator([8, 16], [0.5, 1.0], scales=[1, 2, 4])
    sizes = [(3, 5), (2, 4)]
    maps = []
    for (h, w), stride, base in zip(sizes, (8, 16), generator.base_anchors, strict=True):
        told = torch.zeros(2, len(base) * 4, h, w)
        for y, x, (number, box) in itertools.product(range(h), range(w), enumerate(base)):
            told[:, number * 4 : number * 4 + 4, y, x] = box + torch.tensor([x, y, x, y]) * stride
        maps.append(told)
    flat = flatten_levels(maps, 4)
    assert flat.shape == (2, 3 * 5 * 6 + 2 * 4 * 6, 4)
    torch.testing.assert_close(flat[1], torch.cat(generator.grid_priors(sizes)))
    assert map_sizes(maps) == sizes
    levels = level_numbers(sizes, generator.num_base_priors, torch.device("cpu"))
    assert levels.tolist() == [0] * 90 + [1] * 48


def test_flattened_maps_are_in_full_precision() -> None:
    assert flatten_levels([torch.zeros(1, 4, 2, 2, dtype=torch.bfloat16)], 4).dtype == torch.float32
    assert flatten_levels([torch.zeros(1, 4, 2, 2, dtype=torch.float64)], 4).dtype == torch.float64


def test_priors_over_padding_are_not_usable() -> None:
    generator = MlvlPointGenerator([8, 16], 0.5)
    sizes = [(8, 8), (4, 4)]
    priors = torch.cat(generator.grid_priors(sizes))
    metas = [{"pad_shape": (64, 64), "img_shape": (64, 64)}, {"pad_shape": (40, 24), "img_shape": (33, 24)}]
    usable = usable_priors(generator, sizes, metas, priors=priors)
    assert usable[0].all()
    for place, flag in zip(priors.tolist(), usable[1].tolist(), strict=True):
        stride = 8 if place[0] % 8 == 4 and place[1] % 8 == 4 else 16
        assert flag == (place[0] - stride / 2 < 24 and place[1] - stride / 2 < 40)


def test_anchors_may_stand_out_of_the_image_so_far() -> None:
    generator = AnchorGenerator([8], [1.0], scales=[4])
    priors = torch.cat(generator.grid_priors([(8, 8)]))
    meta = {"pad_shape": (64, 64), "img_shape": (60, 50)}
    for border in (0, 6):
        usable = usable_priors(generator, [(8, 8)], [meta], priors=priors, allowed_border=border)[0]
        for (x1, y1, x2, y2), flag in zip(priors.tolist(), usable.tolist(), strict=True):
            assert flag == (x1 >= -border and y1 >= -border and x2 < 50 + border and y2 < 60 + border)
        assert usable.any()
        assert not usable.all()


@pytest.mark.parametrize("nms_pre", [-1, 3, 1000])
@pytest.mark.parametrize("score_thr", [0.0, 0.5, 2.0])
def test_the_best_of_each_level(score_thr: float, nms_pre: int) -> None:
    torch.manual_seed(0)
    scores, sizes = torch.rand(12, 3), [7, 4, 1]
    score, prior, label = best_of_levels(scores, sizes, score_thr=score_thr, nms_pre=nms_pre)
    wanted, start = [], 0
    for size in sizes:
        level = [(float(scores[p, k]), p, k) for p in range(start, start + size) for k in range(3)]
        level = sorted((one for one in level if one[0] > score_thr), reverse=True)
        wanted += level[:nms_pre] if nms_pre > 0 else level
        start += size
    assert list(zip(score.tolist(), prior.tolist(), label.tolist(), strict=True)) == wanted


def some(count: int = 60) -> InstanceData:
    torch.manual_seed(1)
    return InstanceData(
        bboxes=random_boxes(count, size=64), scores=torch.rand(count), labels=torch.randint(0, 3, (count,))
    )


def iou(one: list[float], other: list[float]) -> float:
    wide = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    high = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    union = sum(areas) - wide * high
    return wide * high / union if union > 0 else 0.0


def suppressed(candidates: InstanceData, threshold: float, group: str = "labels") -> list[int]:
    """The indices of what greedy suppression within groups keeps, the best first."""
    boxes, groups = candidates.bboxes.tolist(), candidates[group].tolist()
    kept: list[int] = []
    for index in candidates.scores.argsort(descending=True).tolist():
        rivals = [other for other in kept if groups[other] == groups[index]]
        if all(iou(boxes[index], boxes[other]) <= threshold for other in rivals):
            kept.append(index)
    return kept


@pytest.mark.parametrize("rescale", [False, True])
@pytest.mark.parametrize("most", [-1, 5])
@pytest.mark.parametrize("least", [-1, 0, 10])
def test_results_against_a_loop(least: float, most: int, rescale: bool) -> None:
    cfg = {"nms": {"type": "nms", "iou_threshold": 0.3}, "max_per_img": most, "min_bbox_size": least}
    given = some()
    if rescale:
        given.bboxes = given.bboxes / torch.tensor([0.5, 2.0, 0.5, 2.0])
    size = given.bboxes[:, 2:] - given.bboxes[:, :2]
    given = given[(size > least).all(dim=1)]
    wanted = given[suppressed(given, 0.3)[: most if most > 0 else None]]
    found = finish(some(), cfg, META, rescale=rescale)
    torch.testing.assert_close(found.bboxes, wanted.bboxes)
    torch.testing.assert_close(found.scores, wanted.scores)
    assert found.labels.tolist() == wanted.labels.tolist()
    everything = finish(some(), cfg, META, rescale=rescale, with_nms=False)
    torch.testing.assert_close(everything.bboxes, given.bboxes)


def test_small_boxes_are_measured_in_the_file_s_size() -> None:
    one = InstanceData(bboxes=torch.tensor([[0.0, 0, 6, 6]]), scores=torch.ones(1), labels=torch.zeros(1).long())
    cfg = {"min_bbox_size": 5, "nms": {"type": "nms", "iou_threshold": 0.5}}
    assert len(finish(one[:], cfg, META)) == 1
    assert len(finish(one[:], cfg, META, rescale=True)) == 0  # 12 wide and 3 high


def test_nothing_found() -> None:
    found = finish(some()[:0], {"nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 3}, META, rescale=True)
    assert found.bboxes.shape == (0, 4)
    assert len(found.scores) == len(found.labels) == 0


def test_proposals_are_the_best_of_each_level_and_levels_leave_each_other_alone() -> None:
    head = RPNHead(4, anchor_generator={"type": "AnchorGenerator", "scales": [2], "ratios": [1.0], "strides": [8, 16]})
    torch.manual_seed(0)
    maps = [[torch.randn(2, d, 4, 6), torch.randn(2, d, 2, 3)] for d in (1, 4)]
    outputs: DenseOutputs = head.read(*maps)
    cfg: dict[str, Any] = {"nms_pre": 8, "nms": {"type": "nms", "iou_threshold": 0.4}, "max_per_img": 9}
    candidates = head.candidates(outputs, 1, META, cfg)
    scores = maps[0][0][1].flatten().sigmoid(), maps[0][1][1].flatten().sigmoid()
    wanted = torch.cat([scores[0].topk(8).values, scores[1].topk(6).values])
    torch.testing.assert_close(candidates.scores, wanted)
    assert candidates.level_ids.tolist() == [0] * 8 + [1] * 6
    assert candidates.bboxes.amin() >= 0
    kept = candidates[suppressed(candidates, 0.4, "level_ids")][:9]
    found = head.predict_by_feat(*maps, batch_img_metas=[META, META], cfg=cfg)[1]
    torch.testing.assert_close(found.bboxes, kept.bboxes)
    torch.testing.assert_close(found.scores, kept.scores)
    assert found.labels.tolist() == [0] * len(kept)
    assert len(head.candidates(outputs, 0, META, {})) == 4 * 6 + 2 * 3


def test_factors_count_once_candidates_are_chosen() -> None:
    head = RPNHead(4, anchor_generator={"type": "AnchorGenerator", "scales": [2], "ratios": [1.0], "strides": [8]})
    outputs = DenseOutputs(
        torch.tensor([[[0.9], [0.8], [0.7]]]),
        torch.zeros(1, 3, 4),
        torch.tensor([[0.0, 0, 8, 8], [20, 0, 28, 8], [40, 0, 48, 8]]),
        [3],
        torch.tensor([[0.1, 0.5, 1.0]]),
    )
    found = super(RPNHead, head).candidates(outputs, 0, META, {"score_thr": 0.75, "nms_pre": 5})
    torch.testing.assert_close(found.scores, torch.tensor([0.09, 0.4]))
    torch.testing.assert_close(found.bboxes, outputs.priors[:2])
