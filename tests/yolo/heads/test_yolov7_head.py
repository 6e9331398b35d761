"""YOLOv7's head: who teaches whom, and what auxiliary branches add."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.yolo.heads.small import SIZES, build, config, features, some_truth
from tests.yolo.heads.test_anchors import PLACES, box_at, plain_losses, said_at
from visuite.yolo.assign import BatchYOLOv7Assigner
from visuite.yolo.assign.ratio import Matches, match_by_ratio

P6 = {"main_out_channels": (8, 16), "aux_out_channels": (16, 24)}


def head_of(module: str, **options: Any) -> Any:
    """A head whose predictions differ from place to place."""
    head = build(config("YOLOv7Head", module=module, **options))
    for conv in head.modules():
        if isinstance(conv, nn.Conv2d) and conv.bias is not None:
            nn.init.normal_(conv.weight, std=0.2)
    return head.train()


def taught(head: Any, maps: Any, truth: Any, reach: float) -> Matches:
    """Who learns, given what the lead says: its boxes and scores are read place by place."""
    matches = match_by_ratio(truth.rows, head.prior_generator, SIZES, reach=reach)
    boxes, scores = [], []
    for image, prior in zip(matches.images.tolist(), matches.priors.tolist(), strict=True):
        classes, written, objectness = said_at(maps, image, PLACES[prior])
        boxes.append(box_at(written, PLACES[prior]))
        scores.append((classes.sigmoid() * objectness.sigmoid()).sqrt())
    assigner = BatchYOLOv7Assigner(candidate_topk=20, iou_weight=3.0, cls_weight=1.0)
    labels, valid = truth.labels[..., None], truth.valid[..., None]
    return assigner(matches, torch.stack(boxes), torch.stack(scores), labels, truth.boxes, valid)


def test_losses_of_what_the_lead_chooses() -> None:
    head, truth = head_of("YOLOv7HeadModule"), some_truth([4, 3])
    maps = head(features())
    chosen = taught(head, maps, truth, 0.5)
    everything = match_by_ratio(truth.rows, head.prior_generator, SIZES)
    assert 7 <= len(chosen.priors) < len(everything.priors)
    told = plain_losses(maps, truth, chosen)
    for name, loss in head.loss_by_feat(*maps, truth=truth).items():
        torch.testing.assert_close(loss, told[name], rtol=1e-4, atol=1e-6)


def test_auxiliary_branches_learn_from_more_anchors_that_the_lead_chooses() -> None:
    head, truth = head_of("YOLOv7p6HeadModule", head_module=P6), some_truth([4, 3])
    maps = head(features())
    assert len(maps) == 6
    lead, aux = maps[:3], maps[3:]
    near, far = taught(head, lead, truth, 0.5), taught(head, lead, truth, 1.0)
    told = plain_losses(lead, truth, near)
    more = plain_losses(aux, truth, far)
    found = head.loss_by_feat(*maps, truth=truth)
    alone = head.loss_by_feat(*lead, truth=truth)
    assert set(found) == {"loss_cls", "loss_obj", "loss_bbox"}
    for name, loss in found.items():
        torch.testing.assert_close(loss, told[name] + 0.25 * more[name], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(alone[name], told[name], rtol=1e-4, atol=1e-6)


def test_auxiliary_branches_are_for_training() -> None:
    head = head_of("YOLOv7p6HeadModule", head_module=P6)
    lead = head(features())[:3]
    without = head_of("YOLOv7p6HeadModule", head_module={**P6, "use_aux": False})
    assert not any("aux" in name for name in without.state_dict())
    assert len(without(features())) == 3
    later = head.eval()(features())
    assert len(later) == 3
    assert [one.shape for one in later[0]] == [one.shape for one in lead[0]]


def test_names_of_parameters() -> None:
    """Those of published checkpoints, and channels as configs give them."""
    small = {name: tuple(value.shape) for name, value in head_of("YOLOv7HeadModule").head_module.state_dict().items()}
    assert small["convs_pred.1.0.implicit"] == (1, 16, 1, 1)
    assert small["convs_pred.1.1.weight"] == (16, 16, 1, 1)
    assert small["convs_pred.1.2.implicit"] == (1, 16, 1, 1)
    large = head_of("YOLOv7p6HeadModule", head_module=P6).head_module.state_dict()
    shapes = {name: tuple(value.shape) for name, value in large.items()}
    assert shapes["main_convs_pred.0.0.conv.weight"] == (8, 8, 3, 3)
    assert shapes["main_convs_pred.0.1.implicit"] == (1, 8, 1, 1)
    assert shapes["main_convs_pred.0.3.implicit"] == (1, 16, 1, 1)
    assert shapes["aux_convs_pred.1.0.conv.weight"] == (24, 16, 3, 3)
    assert shapes["aux_convs_pred.1.1.weight"] == (16, 24, 1, 1)


def test_implicit_knowledge() -> None:
    head = head_of("YOLOv7HeadModule").head_module
    x = features()
    add, conv, times = head.convs_pred[0]
    told = conv(x[0] + add.implicit) * times.implicit
    scores, boxes, objects = (kind[0] for kind in head(x))
    torch.testing.assert_close(torch.cat([boxes[:, :4], objects[:, :1], scores[:, :3]], dim=1), told[:, :8])
