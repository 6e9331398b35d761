from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.det.sampling.assigned import image
from visuite.cv.losses import CrossEntropyLoss
from visuite.det.registry import TASK_UTILS

CLASSES = 13


class BoxHead:
    num_classes = CLASSES

    def __init__(self, use_sigmoid):
        self.loss_cls = CrossEntropyLoss(use_sigmoid=use_sigmoid)


class Head:
    """Scores that follow from the boxes alone."""

    def __init__(self, use_sigmoid=False):
        self.bbox_head = BoxHead(use_sigmoid)
        generator = torch.Generator().manual_seed(3)
        self.weight = torch.randn(CLASSES + (not use_sigmoid), 4, generator=generator) / 50
        self.weight.requires_grad_()

    def bbox_forward(self, x, rois):
        assert [len(one) for one in x] == [1]
        assert (rois[:, 0] == 0).all()
        return (F.linear(rois[:, 1:], self.weight), None)


@pytest.mark.parametrize("use_sigmoid", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_the_hardest_are_chosen(use_sigmoid, own):
    head = Head(use_sigmoid)
    config = {"type": "OHEMSampler", "num": 12, "pos_fraction": 0.5, "add_gt_as_proposals": own}
    sampler = TASK_UTILS.build(config, default_args={"context": head})
    result, priors, truth = image([1, 2, 3, 0, 0] * 10)
    boxes = torch.cat((truth.bboxes, priors.priors)) if own else priors.priors
    found = sampler.sample(result, priors, truth, feats=[torch.zeros(1, 2, 3, 3)])
    scores = head.bbox_forward([torch.zeros(1)], F.pad(boxes, (1, 0)))[0].detach()
    labels = torch.where(result.gt_inds > 0, result.labels, CLASSES)
    if use_sigmoid:
        target = F.one_hot(labels, CLASSES + 1)[:, :-1].float()
        losses = F.binary_cross_entropy_with_logits(scores, target, reduction="none").sum(1)
    else:
        losses = F.cross_entropy(scores, labels, reduction="none")
    for chosen, mask in ((found.pos_inds, result.gt_inds > 0), (found.neg_inds, result.gt_inds == 0)):
        assert len(chosen) == 6
        hardest = losses.masked_fill(~mask, -1).topk(6).indices
        assert set(chosen.tolist()) == set(hardest.tolist())


def test_few_are_all_chosen_without_asking():
    sampler = TASK_UTILS.build({"type": "OHEMSampler", "num": 100, "pos_fraction": 0.5, "context": None})
    found = sampler.sample(*image([1, 0, 0, 2]), feats=[])
    assert len(found.priors) == 7
